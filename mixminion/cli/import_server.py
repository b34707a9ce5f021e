"""``mixminion import-server``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from mixminion import api
from mixminion.cli.client import config_option, run, tell
from mixminion.cli.output import json_option, print_result, table
from mixminion.util import times


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1)
@click.option("--list", "listing", is_flag=True, help="Show the servers that were imported.")
@click.option("--remove", metavar="NAME", multiple=True, help="Forget one of them.")
@json_option
@config_option
def command(
    config: api.Config,
    files: tuple[str, ...],
    listing: bool,
    remove: tuple[str, ...],
    as_json: bool,
) -> None:
    """Use a server that no directory lists, such as your own.

    FILE is its descriptor: the file `descriptor` in the server's folder `keys`.  The server is used
    where a path names it, and nowhere else.
    """
    if sum(map(bool, (files, listing, remove))) != 1:
        raise click.UsageError("Give files, or --list, or --remove NAME.")

    async def work(client: api.Client) -> list[api.ImportedServer]:
        for name in remove:
            await client.imported.remove(name)
        if not files:
            return await client.imported.all()
        view = await client.view(progress=tell)
        return [await client.imported.add_file(name, view) for name in files]

    found = run(config, work)
    lines = _table(found) if listing else map(_said, found) if files else ()
    print_result([_data(each) for each in found], lines, as_json=as_json)


def _said(server: api.ImportedServer) -> str:
    name = server.descriptor.nickname
    if server.listed:
        return f"The directory lists {name}, too: what it says of it counts."
    until = times.to_text(server.descriptor.valid_until)
    return (
        f"Imported {name}, until {until}: it is used where a path names it, and nowhere else. Few"
        " others' messages go through it."
    )


def _table(found: Sequence[api.ImportedServer]) -> Iterator[str]:
    if not found:
        return iter(("None were imported.",))
    head = ("nickname", "valid until", "addresses")
    rows = (
        (
            each.descriptor.nickname,
            times.to_text(each.descriptor.valid_until),
            " ".join(map(str, each.descriptor.addresses)) or "-",
        )
        for each in found
    )
    return table([head, *rows])


def _data(server: api.ImportedServer) -> dict[str, Any]:
    descriptor = server.descriptor
    return {
        "nickname": descriptor.nickname,
        "identity": descriptor.identity.hex(),
        "valid-until": times.to_text(descriptor.valid_until),
        "addresses": [str(place) for place in descriptor.addresses],
        "exits": sorted(exit.name for exit in descriptor.exits),
    }
