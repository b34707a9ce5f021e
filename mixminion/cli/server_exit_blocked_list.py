"""``mixminion server exit blocked list``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from mixminion.cli.home import server_option
from mixminion.cli.output import json_option, print_result, table
from mixminion.cli.running import ask_server

_WHY = {
    "operator": "by you",
    "link": "by the link in a mail",
    "mail": "by a mail of theirs",
    "bounce": "because mail comes back",
}


@click.command(name="list")
@click.argument("address", required=False)
@server_option
@json_option
def command(path: Path, address: str | None, as_json: bool) -> None:
    """Show the list, or whether ADDRESS (or @DOMAIN) gets mail."""
    answer = ask_server(path, "exit-blocked", name=address)
    lines = _all(answer) if address is None else _one(answer)
    print_result(answer, lines, as_json=as_json)


def _all(answer: Mapping[str, Any]) -> Iterator[str]:
    entries = answer["entries"]
    if not entries:
        yield "Nobody is on the list."
        return
    yield from table(
        (each["entry"], each["since"][:10], _until(each), _WHY[each["origin"]]) for each in entries
    )


def _one(answer: Mapping[str, Any]) -> Iterator[str]:
    entry = answer["listed"]
    if entry is not None:
        yield f"Gets no mail since {entry['since'][:10]}, {_until(entry)}, {_WHY[entry['origin']]}."
    if answer["ruled"]:
        yield "Gets no mail, by the files of rules."
    if entry is None and not answer["ruled"]:
        yield "Gets mail."


def _until(entry: Mapping[str, Any]) -> str:
    return "for good" if entry["until"] is None else f"until {entry['until'][:10]}"
