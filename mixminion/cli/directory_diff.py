"""``mixminion directory diff``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from mixminion import api
from mixminion.cli.client import config_file_option, run
from mixminion.cli.documents import open_consensus, read_file
from mixminion.cli.output import json_option, print_result
from mixminion.directory.changes import Change, Changes, changes
from mixminion.directory.consensus import Consensus
from mixminion.directory.plain import plain
from mixminion.util import times

_HELD = re.compile(r"held(?:-([12]))?")


@click.command()
@click.argument("old")
@click.argument("new")
@json_option
@config_file_option
def command(filename: str | None, old: str, new: str, as_json: bool) -> None:
    """Show what changed from the directory OLD to NEW: servers, parameters, key periods.

    Each is a file, or held for the newest one here, held-1 and held-2 for those before it.
    Signatures are not looked at; `mixminion directory verify` does that.
    """
    (before, first), (after, second) = _documents(filename, [old, new])
    found = changes(before, after)
    data = {
        "old": _name(before, first),
        "new": _name(after, second),
        "added": [plain(server) for server in found.added],
        "removed": [plain(server) for server in found.removed],
        "changed": [
            {
                "nickname": each.server.nickname,
                "identity": each.server.identity.hex(),
                "members": _members(each.changes),
            }
            for each in found.changed
        ],
        "parameters": _members(found.parameters),
        "network": _members(found.others),
    }
    title = (
        f"From the directory of {times.to_text(before.valid_after)} to the one of"
        f" {times.to_text(after.valid_after)}:"
    )
    print_result(data, [title, *_lines(found)], as_json=as_json)


def _documents(filename: str | None, names: Sequence[str]) -> list[tuple[Consensus, str]]:
    """The consensuses of those *names*, and their digests in hexadecimal."""
    matches = {name: _HELD.fullmatch(name) for name in names}
    numbers = {name: int(match[1] or 0) for name, match in matches.items() if match}

    async def held(client: api.Client) -> dict[str, bytes]:
        return {name: await client.held(number) for name, number in numbers.items()}

    octets = run(api.load_config(filename), held) if numbers else {}
    found = []
    for name in names:
        consensus, envelope = open_consensus(octets.get(name) or read_file(Path(name)))
        found.append((consensus, envelope.digest.hex()))
    return found


def _name(consensus: Consensus, digest: str) -> dict[str, Any]:
    return {"valid-after": times.to_text(consensus.valid_after), "digest": digest}


def _members(found: Sequence[Change]) -> dict[str, Any]:
    return {each.member: {"old": each.old, "new": each.new} for each in found}


def _lines(found: Changes) -> Iterator[str]:
    if not found:
        yield "  nothing changed but the dates"
    for server in found.added:
        yield f"+ {server.nickname} {server.identity.hex()}"
    for server in found.removed:
        yield f"- {server.nickname} {server.identity.hex()}"
    for each in found.changed:
        yield f"  {each.server.nickname} {each.server.identity.hex()}"
        yield from _changes(each.changes)
    if found.parameters:
        yield "  parameters"
        yield from _changes(found.parameters)
    if found.others:
        yield "  network"
        yield from _changes(found.others)


def _changes(found: Sequence[Change]) -> Iterator[str]:
    for each in found:
        yield f"    {each.member}: {_shown(each.old)} -> {_shown(each.new)}"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "(none)"
        case str():
            return value
        case list() if all(isinstance(item, str) for item in value):
            return " ".join(value)
        case _:
            return json.dumps(value, ensure_ascii=False)
