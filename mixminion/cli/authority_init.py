"""``mixminion authority init``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from mixminion.app import authority, authority_keys, passphrase, process
from mixminion.app import authority_configuration as configuration
from mixminion.app import configuration as composing
from mixminion.app.usual import AUTHORITY_FILE
from mixminion.authority import config as authority_config
from mixminion.cli.home import authority_home_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.passphrase import passphrase_options
from mixminion.disk import private


@click.command()
@authority_home_option
@click.option("--nickname", required=True, help="The authority's name, for people.")
@click.option(
    "--url",
    metavar="http://HOST:PORT/",
    required=True,
    help="Where servers, clients and the other authorities reach it.",
)
@click.option(
    "--listen",
    metavar="IP:PORT",
    multiple=True,
    help="What to listen on.  May be given several times.  [default: port 48080 everywhere]",
)
@click.option("--contact", help="How to reach you; published.")
@click.option(
    "--authority",
    "authorities",
    metavar="LINE",
    multiple=True,
    help="Another authority, in the line that its `init` printed: NICKNAME KEY URL.  May be given"
    " several times.",
)
@click.option(
    "--policy",
    type=click.Choice(["manual", "open"]),
    help="Whether new servers wait for your word, or only for a time.  [default: manual]",
)
@click.option("--test-network", is_flag=True, help="Be in a network on one machine.")
@passphrase_options("A passphrase for the identity key and the signing key")
@json_option
def command(home: Path, as_json: bool, **chosen: Any) -> None:
    """Make an authority's home: its configuration and its keys."""
    path = home / AUTHORITY_FILE
    if path.exists():
        raise authority_keys.HasAuthority(home=home)
    process.harden()
    text = composing.compose(_parts(chosen), path, configuration.HEAD, configuration.read)
    settings = authority_config.Settings.of(configuration.read(text, path))
    secret = passphrase.given(chosen["passphrase"], "A new passphrase: ", again=True)
    private.make_folder(home)
    identity = authority_keys.initialise(home, secret, now=time.time())
    private.write(path, text.encode())

    line = authority.join_line(settings, identity)
    result = {
        "nickname": settings.authority.nickname,
        "identity": identity.hex(),
        "home": str(home),
        "config": str(path),
        "join-line": line,
    }
    lines = [
        f"Made the authority {settings.authority.nickname} in {home}.",
        "The other authorities, servers and clients need this line, under [Directory] authorities:",
        f"  {line}",
        "",
        "What to do next:",
        f"1. Put the lines of the other authorities into {path}, too.  Read it, change what you",
        "   like, and run",
        f"     mixminion authority check-config --home {home}",
        "2. Keep keys/identity.key off this machine, and a copy of it in a safe place.  Whoever",
        "   has that key is this authority; only `mixminion authority certify` needs it.",
        f"3. mixminion authority start --home {home}",
        "4. New servers show up in",
        f"     mixminion authority servers --home {home}",
        "   and are let in by `mixminion authority approve NAME`.",
    ]
    print_result(result, lines, as_json=as_json)


def _parts(chosen: dict[str, Any]) -> list[composing.Part]:
    """The new configuration: what was chosen, and what the operator should think of."""
    authority = {name: chosen[name] for name in ("nickname", "contact", "url")}
    if chosen["listen"]:
        authority["listen"] = chosen["listen"]
    if chosen["passphrase"] is not None:
        authority["passphrase"] = str(chosen["passphrase"])
    network = {"test-network": "yes", "profile": "local-demo"} if chosen["test_network"] else {}
    admission = {"policy": chosen["policy"]}
    if chosen["test_network"]:
        admission |= {"waiting-time": "0 s", "exit-waiting-time": "0 s", "dial-every": "1 min"}
    return [
        composing.Part("Authority", "Who this authority is, and where it is found.", authority),
        composing.Part(
            "Directory",
            "All authorities of the network, a line each: NICKNAME KEY URL, separated by commas.\n"
            "This one may be among them.",
            {"authorities": chosen["authorities"]},
        ),
        composing.Part(
            "Network", "What the network is to be; most authorities have to agree.", network
        ),
        composing.Part("Admission", "Which servers are listed.", admission),
    ]
