"""``mixminion list-servers``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from mixminion import api
from mixminion.cli import reactor
from mixminion.cli.client import config_option, run, say, tell
from mixminion.cli.output import json_option, print_result, table
from mixminion.directory.errors import KeysMissing, NoKeyPeriod
from mixminion.directory.plain import plain
from mixminion.util import times

DEFAULT = ("nickname", "addresses", "exits", "family", "flags")

Row = Mapping[str, Any]


def _words(words: Iterable[str]) -> str:
    return " ".join(words) or "-"


def _rules(rules: Sequence[Mapping[str, Any]]) -> str:
    return _words(f"{'allow' if rule['allow'] else 'deny'}:{rule['network']}" for rule in rules)


def _same(name: str) -> Callable[[Row], str]:
    return lambda row: "-" if row[name] in ("", None) else str(row[name])


COLUMNS: dict[str, Callable[[Row], str]] = {
    "nickname": _same("nickname"),
    "identity": _same("identity"),
    "addresses": lambda row: _words(row["addresses"]),
    "protocols": lambda row: _words(row["protocols"]),
    "exits": lambda row: _words(row["exits"]),
    "accepts": lambda row: _rules(row["accepts"]),
    "dials": lambda row: _rules(row["dials"]),
    "family": _same("family"),
    "jurisdiction": _same("jurisdiction"),
    "software": _same("software"),
    "insecure": lambda row: _words(row["insecure"]),
    "flags": lambda row: _words((*row["flags"], *(f"insecure:{mode}" for mode in row["insecure"]))),
    "usable": lambda row: "yes" if row["usable"] else "no",
    "usable-from": _same("usable-from"),
    "reliability": _same("reliability"),
    "descriptor": _same("descriptor"),
}
"""How a column is shown to people; a row has a member of that name for programs."""


def _columns(context: click.Context, option: click.Parameter, text: str | None) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text is not None else []
    for name in names:
        if name not in COLUMNS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(COLUMNS)}.")
    return names


def _complete(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    before, comma, begun = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{name}") for name in COLUMNS if name.startswith(begun)]


@click.command()
@click.option(
    "--columns",
    metavar="NAME,NAME,...",
    shell_complete=_complete,
    callback=_columns,
    help=f"What to show, of {', '.join(COLUMNS)}.  [default: {','.join(DEFAULT)}; with --json all]",
)
@click.option("--exit", metavar="NAME", help="Only servers with an exit of this name.")
@click.option("--usable", is_flag=True, help="Only servers that random paths may use now.")
@json_option
@config_option
def command(
    config: api.Config, columns: list[str], exit: str | None, usable: bool, as_json: bool
) -> None:
    """List the servers of the network."""

    async def look(client: api.Client) -> api.View:
        return await client.view(progress=tell)

    view = run(config, look)
    now = reactor.now()
    in_use = _usable(view, now)
    found = [
        _row(server, server in in_use)
        for server in sorted(view.servers, key=lambda server: server.nickname.lower())
        if exit is None or server.exit(exit) is not None
        if not usable or server in in_use
    ]
    if not found:
        say("no server is like that")
    data = [{name: row[name] for name in columns or COLUMNS} for row in found]
    print_result(data, _table(columns or DEFAULT, found), as_json=as_json)


def _usable(view: api.View, now: float) -> set[api.Server]:
    try:
        return {*view.usable(now, view.current_period(now))}
    except (NoKeyPeriod, KeysMissing):
        return set()


def _row(server: api.Server, usable: bool) -> dict[str, Any]:
    exits = {
        exit.name: {"module": exit.module, "max-message": exit.max_message, "policy": exit.policy}
        for exit in server.exits
    }
    return {
        "nickname": server.nickname,
        "identity": server.identity.hex(),
        "addresses": [str(address) for address in server.addresses],
        "protocols": list(server.protocols),
        "exits": exits,
        "accepts": [plain(rule) for rule in server.accepts],
        "dials": [plain(rule) for rule in server.dials],
        "family": server.family,
        "jurisdiction": server.jurisdiction,
        "software": server.software,
        "insecure": list(server.insecure),
        "flags": list(server.flags),
        "usable": usable,
        "usable-from": times.to_text(server.usable_from),
        "reliability": server.reliability,
        "descriptor": server.descriptor.hex(),
    }


def _table(columns: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    return table([columns, *([COLUMNS[name](row) for name in columns] for row in rows)])
