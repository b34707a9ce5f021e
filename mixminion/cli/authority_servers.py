"""``mixminion authority servers``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mixminion.cli.home import authority_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.running import ask_authority

STATES = ("waiting", "refused", "unreachable", "listed", "unknown", "banned")


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--state", "states", type=click.Choice(STATES), multiple=True, help="Only servers in it."
)
@authority_option
@json_option
def command(path: Path, names: Sequence[str], states: Sequence[str], as_json: bool) -> None:
    """List the servers this authority knows, each with its state and why.

    NAME is a nickname, or how an identity begins.  `*` marks servers in the last consensus.
    """
    servers = [
        server
        for server in ask_authority(path, "servers")["servers"]
        if (not states or server["state"] in states) and (not names or _named(server, names))
    ]
    print_result(servers, _lines(servers), as_json=as_json)


def _named(server: Mapping[str, Any], names: Sequence[str]) -> bool:
    return any(
        server["nickname"].lower() == name.lower() or server["identity"].startswith(name.lower())
        for name in names
    )


def _lines(servers: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not servers:
        yield "No servers."
    width = max((len(server["nickname"]) for server in servers), default=0)
    for server in servers:
        mark = "*" if server["listed"] else " "
        addresses = " ".join(each["address"] for each in server.get("addresses", []))
        head = f"{mark} {server['nickname'] or '-':{width}}  {server['state']:11}"
        yield f"{head}  {server['identity'][:16]}  {addresses}".rstrip()
        yield f"      {server['reason']}"
