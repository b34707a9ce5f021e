"""``mixminion server exit dns``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from mixminion.app import configuration, exit_records
from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result


def about(function: Callable[..., Any]) -> Callable[..., Any]:
    """``[NAME]...`` and ``--address``, as the arguments ``names`` and ``addresses``."""
    named = click.argument("names", metavar="[NAME]...", nargs=-1)
    address = click.option(
        "--address",
        "addresses",
        metavar="IP",
        multiple=True,
        help="The address that mail leaves from.  May be given several times.  [default: the IP"
        " addresses that the server publishes]",
    )
    return named(address(function))


@click.command()
@about
@server_option
@json_option
def command(path: Path, names: Sequence[str], addresses: Sequence[str], as_json: bool) -> None:
    """Print the DNS records that these exits need, all exits to mail when none is named.

    They are lines of a zone file; a line above each says what it is for.
    """
    found = exit_records.described(configuration.load(path), names, addresses)
    result = [
        {
            "exit": exit.name,
            "domain": exit.domain,
            "records": [
                {"name": each.name, "type": each.type, "text": each.text, "why": each.why}
                for each in exit_records.wanted(exit)
            ],
        }
        for exit in found
    ]
    print_result(result, _lines(found), as_json=as_json)


def _lines(found: Sequence[exit_records.Exit]) -> Iterator[str]:
    if not found:
        yield "; This server has no exit to mail."
    for exit in found:
        yield f"; The exit {exit.name}, mail from {exit.domain}"
        for each in exit_records.wanted(exit):
            yield f"; {each.why}"
            yield each.zone_line
        if not exit.keys:
            yield "; DKIM: no dkim-keys in the section, so the record is whoever's who signs"
