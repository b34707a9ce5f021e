"""``mixminion server init``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from mixminion.app import configuration, init, passphrase, process
from mixminion.app.usual import FILE
from mixminion.cli.errors import HasServer
from mixminion.cli.home import home_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.passphrase import passphrase_options
from mixminion.directory.bootstrap import Bootstrap, authority
from mixminion.disk import private
from mixminion.errors import UserError


@click.command()
@home_option
@click.option("--nickname", required=True, help="The server's name in the network.")
@click.option(
    "--address",
    "addresses",
    metavar="HOST:PORT",
    multiple=True,
    required=True,
    help="Where others reach the server; published.  May be given several times.",
)
@click.option(
    "--listen",
    metavar="IP:PORT",
    multiple=True,
    help="What to listen on.  May be given several times.  [default: port 48099 everywhere]",
)
@click.option("--contact", help="How to reach you; published.")
@click.option("--family", help="A name that all servers you run share; published.")
@click.option("--workers", type=int, help="How many processes unwrap packets.  [default: 1]")
@click.option("--store-limit", metavar="SIZE", help="Disk for packets.  [default: 1 GiB]")
@click.option(
    "--bootstrap",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The network's bootstrap file, which names its authorities and other sources.",
)
@click.option(
    "--authority",
    "authorities",
    metavar="'[NAME] KEY [URL]'",
    multiple=True,
    help="A directory authority: its public key, what you call it, and where the server publishes"
    " itself.  May be given several times.",
)
@click.option(
    "--source",
    "sources",
    metavar="URL",
    multiple=True,
    help="Where to fetch the directory.  May be given several times.",
)
@click.option(
    "--exit-smtp-relay",
    metavar="HOST:PORT",
    help="Be an exit: hand mail over to this mail server.  [default: a middle server]",
)
@click.option("--exit-smtp-domain", metavar="DOMAIN", help="The domain that this mail is from.")
@click.option(
    "--exit-mailbox",
    is_flag=True,
    help="Hold messages for people without an address until they fetch them.",
)
@click.option("--exit-drop", is_flag=True, help="Take messages that are thrown away, for tests.")
@click.option("--test-network", is_flag=True, help="Be in a network on one machine.")
@passphrase_options("A passphrase for the identity key and the packet keys")
@json_option
def command(home: Path, as_json: bool, **chosen: Any) -> None:
    """Make a server's home: its configuration and its keys.

    The server is a middle server, which hands nothing to anybody outside the network, unless
    an exit is asked for.
    """
    if bool(chosen["exit_smtp_relay"]) != bool(chosen["exit_smtp_domain"]):
        raise UserError(problem="--exit-smtp-relay and --exit-smtp-domain go together.")
    if chosen["exit_smtp_relay"] and not chosen["contact"]:
        raise UserError(
            problem="There is no exit without --contact: people will want to reach you."
        )
    path = home / FILE
    if path.exists():
        raise HasServer(home=home)
    if chosen["bootstrap"] is not None:
        network = _network(chosen["bootstrap"])
        chosen["authorities"] = (
            *map(authority.render, network.authorities),
            *chosen["authorities"],
        )
        chosen["sources"] = (*network.others, *chosen["sources"])
    process.harden()
    text = configuration.compose(_parts(chosen), path)
    secret = passphrase.given(chosen["passphrase"], "A new passphrase: ", again=True)
    private.make_folder(home)
    config = configuration.read(text, path)
    made = init.initialise(config, secret, now=time.time())
    private.write(path, text.encode())

    result = {
        "nickname": made.nickname,
        "identity": made.identity.hex(),
        "home": str(home),
        "config": str(path),
        "descriptor": str(made.descriptor),
    }
    start = f"mixminion server start --home {home}"
    lines = [
        f"Made the server {made.nickname} in {home}.",
        f"Its identity is {made.identity.hex()}.",
        "",
        "What to do next:",
        f"1. Read {path}, change what you like, and run",
        f"     mixminion server check-config --home {home}",
        "2. Keep a copy of the configuration and of keys/identity.key in a safe place.  Whoever",
        "   has that key is this server.  Nothing else of the home is worth a copy.",
    ]
    if configuration.publishes(config):
        lines += [
            f"3. {start}",
            "   It fetches the network's directory, and publishes itself to the authorities.",
            f"4. mixminion server status --home {home}",
            "   It says what each of them makes of the server, and what it waits for.",
        ]
    else:
        lines += [
            f"3. Send {made.descriptor} to the network's authorities, so that they list the",
            "   server; or write their addresses into [Directory], and it publishes itself.",
            f"4. {start}",
        ]
    print_result(result, lines, as_json=as_json)


def _network(path: Path) -> Bootstrap:
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise UserError(problem=f"Cannot read {path}: {error.strerror}.") from error
    return Bootstrap.read(octets, str(path))


def _parts(chosen: dict[str, Any]) -> list[configuration.Part]:
    """The new configuration: what was chosen, and what the operator should think of."""
    server = {
        "nickname": chosen["nickname"],
        "contact": chosen["contact"],
        "family": chosen["family"],
    }
    if chosen["workers"] is not None:
        server["workers"] = str(chosen["workers"])
    if chosen["store_limit"]:
        server["store-limit"] = chosen["store_limit"]
    if chosen["passphrase"] is not None:
        server["passphrase"] = str(chosen["passphrase"])
    if chosen["test_network"]:
        server["test-network"] = "yes"
    incoming = {"listen": chosen["listen"]} if chosen["listen"] else {}
    parts = [
        configuration.Part("Server", "Who this server is.", server),
        configuration.Part(
            "Incoming",
            "What the server listens on, and where others reach it.",
            {**incoming, "addresses": chosen["addresses"]},
        ),
        configuration.Part(
            "Directory",
            "The network's directory authorities, each as NAME KEY ADDRESS, and other places\n"
            "that have the directory.  Whoever runs the network publishes both.",
            {"authorities": chosen["authorities"], "sources": chosen["sources"]},
        ),
    ]
    if chosen["exit_smtp_relay"]:
        smtp = {
            "module": "smtp",
            "relay": chosen["exit_smtp_relay"],
            "domain": chosen["exit_smtp_domain"],
        }
        parts.append(configuration.Part("Exit smtp", "Mail leaves the network here.", smtp))
    if chosen["exit_mailbox"]:
        parts.append(
            configuration.Part(
                "Exit mailbox", "What comes here waits for its owner.", {"module": "mailbox"}
            )
        )
    if chosen["exit_drop"]:
        parts.append(
            configuration.Part("Exit drop", "What comes here is thrown away.", {"module": "drop"})
        )
    return parts
