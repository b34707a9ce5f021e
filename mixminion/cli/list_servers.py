"""``mixminion list-servers``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from mixminion import api
from mixminion.cli.client import config_option, run, say
from mixminion.cli.output import json_option, print_result

COLUMNS = ("nickname", "address", "exits", "family", "flags")


@click.command()
@json_option
@config_option
def command(config: api.Config, as_json: bool) -> None:
    """List the servers of the network: nickname, addresses, exits, family, flags."""

    async def servers(client: api.Client) -> tuple[api.Server, ...]:
        await client.view(progress=lambda _: say("fetching the directory"))
        return await client.servers()

    listed = run(config, servers)
    print_result([_data(server) for server in listed], _table(listed), as_json=as_json)


def _data(server: api.Server) -> dict[str, Any]:
    return {
        "nickname": server.nickname,
        "identity": server.identity.hex(),
        "addresses": [str(address) for address in server.addresses],
        "exits": {exit.name: {"max-message": exit.max_message} for exit in server.exits},
        "family": server.family,
        "jurisdiction": server.jurisdiction,
        "software": server.software,
        "insecure": list(server.insecure),
        "flags": list(server.flags),
    }


def _table(servers: Sequence[api.Server]) -> Iterator[str]:
    rows = [COLUMNS, *map(_row, servers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _row(server: api.Server) -> tuple[str, ...]:
    return (
        server.nickname,
        " ".join(map(str, server.addresses)) or "-",
        " ".join(exit.name for exit in server.exits) or "-",
        server.family or "-",
        " ".join((*server.flags, *(f"insecure:{mode}" for mode in server.insecure))) or "-",
    )
