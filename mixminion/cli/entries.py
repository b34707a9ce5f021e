"""``mixminion entries``: the servers that packets go to first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from mixminion import api
from mixminion.cli.client import config_option, run, say, tell
from mixminion.cli.output import json_option, print_result, table
from mixminion.util import times

if TYPE_CHECKING:
    Standing = Sequence[tuple[api.KeptEntry, api.EntryRole]]


@click.group()
def command() -> None:
    """The servers that your packets go to first: two are used, and kept for two to four months."""


@command.command("list")
@json_option
@config_option
def list_(config: api.Config, as_json: bool) -> None:
    """Show the entries that you keep, and until when."""

    async def look(client: api.Client) -> Standing:
        return await client.entries.standing(await client.view(progress=tell))

    found = run(config, look)
    print_result([_data(*each) for each in found], _table(found), as_json=as_json)


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
@config_option
def replace(config: api.Config, names: tuple[str, ...], as_json: bool) -> None:
    """Let entries go, all or those called NAME, and draw others.

    For a server that you do not trust any more, or that your line cannot reach.
    """
    say(
        "note: the more servers your packets have begun at, the likelier one of them was bad: do"
        " this seldom."
    )

    async def work(client: api.Client) -> Standing:
        view = await client.view(progress=tell)
        await client.entries.forget(names)
        return await client.entries.standing(view)

    found = run(config, work)
    print_result([_data(*each) for each in found], _table(found), as_json=as_json)


def _table(found: Standing) -> Iterator[str]:
    if not found:
        return iter(("No server of the network can be an entry.",))
    head = ("nickname", "use", "kept until", "")
    rows = (
        (entry.nickname, str(role), times.to_text(entry.until), _note(entry))
        for entry, role in found
    )
    return table([head, *rows])


def _note(entry: api.KeptEntry) -> str:
    if entry.absent is not None:
        return f"not usable since {times.to_text(entry.absent)}"
    if entry.silent is not None:
        return f"takes nothing since {times.to_text(entry.silent)}"
    return ""


def _data(entry: api.KeptEntry, role: api.EntryRole) -> dict[str, Any]:
    def date(seconds: int | None) -> str | None:
        return None if seconds is None else times.to_text(seconds)

    return {
        "nickname": entry.nickname,
        "identity": entry.identity.hex(),
        "use": str(role),
        "since": date(entry.drawn),
        "until": date(entry.until),
        "absent-since": date(entry.absent),
        "silent-since": date(entry.silent),
    }
