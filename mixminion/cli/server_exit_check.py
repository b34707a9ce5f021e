"""``mixminion server exit check``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mixminion.app import configuration, exit_records
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result
from mixminion.cli.reactor import run
from mixminion.cli.server_exit_dns import about
from mixminion.errors import EX_UNAVAILABLE, UserError
from mixminion.util.hostport import HostPort


@click.command()
@about
@click.option("--resolver", metavar="IP[:PORT]", help="Ask this DNS server, and not the system's.")
@click.option(
    "--port-25",
    "servers",
    metavar="HOST[:PORT]",
    multiple=True,
    help="Try to reach this mail server, as an exit without a relay has to.",
)
@server_option
@json_option
def command(
    path: Path,
    names: Sequence[str],
    addresses: Sequence[str],
    resolver: str | None,
    servers: Sequence[str],
    as_json: bool,
) -> int:
    """Look up whether the DNS has what these exits need, and whether block lists have them.

    What is wrong keeps mail from arriving, or from coming back.  The DNS server that is asked
    learns which exit asks; nothing of anybody's mail.
    """
    config = configuration.load(path)
    found = exit_records.described(config, names, addresses)
    at = None if resolver is None else _host_port(resolver, 53)
    wanted = [_host_port(each, 25) for each in servers]
    result: list[dict[str, Any]] = run(
        lambda reactor: exit_records.look(reactor, config, found, at, wanted)
    )
    lines = [f"{each['state']:8} {each['what']}: {each['said']}" for each in result]
    print_result(result, lines or ["This server has no exit to mail."], as_json=as_json)
    return EX_UNAVAILABLE if any(each["state"] == "wrong" for each in result) else 0


def _host_port(text: str, port: int) -> HostPort:
    try:
        return HostPort.parse(text, default_port=port)
    except ValueError as error:
        raise UserError(problem=f"{text}: {error}.") from None
