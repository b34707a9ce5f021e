"""``mixminion fragments``: answers in several parts, of which not all are here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from mixminion import api
from mixminion.cli import reading
from mixminion.cli.client import config_option, run
from mixminion.cli.output import json_option, print_result, table
from mixminion.util import times


@click.group()
def command() -> None:
    """Answers in several parts: show, put together or delete those that are not read."""


@command.command("list")
@json_option
@config_option
def list_partial(config: api.Config, as_json: bool) -> None:
    """Show answers of which parts are here."""

    async def find(client: api.Client) -> list[api.PartialReply]:
        return await client.inbox.fragments()

    found = run(config, find)
    rows = [("number", "identity", "here", "lacking", "octets", "since", "until")]
    for each in found:
        since, until = times.to_text(each.hour), times.to_text(each.expires)
        rows.append(
            (
                str(each.number),
                each.identity,
                str(each.have),
                str(each.lacking),
                f"{each.size:,}",
                since[:10],
                until[:10],
            )
        )
    lines = table(rows) if found else ["There are no parts of answers."]
    print_result([_data(each) for each in found], lines, as_json=as_json)


@command.command()
@click.argument("number", type=click.IntRange(min=1))
@reading.output_option
@reading.reading_options
@json_option
@config_option
def assemble(
    config: api.Config, number: int, output: str | None, how: dict[str, Any], as_json: bool
) -> None:
    """Put the answer of that NUMBER together, once enough parts are here.

    This happens by itself when the last part is decoded; by hand it is for an answer that was too
    large for --max-size then.
    """
    if how.pop("identity") is not None:
        raise click.UsageError("An answer has one identity; leave --identity away.")

    async def join(client: api.Client) -> None:
        opened = await client.inbox.assemble(number, **how)
        into, file = reading.place(output)
        reading.write([opened], into, file=file, as_json=as_json, titles=False)
        await client.inbox.mark_read([opened])

    run(config, join)


@command.command()
@click.argument("numbers", nargs=-1, type=click.IntRange(min=1))
@json_option
@config_option
def purge(config: api.Config, numbers: tuple[int, ...], as_json: bool) -> None:
    """Delete the parts of the answers of these NUMBERS, and of those that have waited too long."""

    async def delete(client: api.Client) -> int:
        return await client.inbox.purge(numbers)

    deleted = run(config, delete)
    print_result({"deleted": deleted}, [f"{deleted} deleted"], as_json=as_json)


def _data(partial: api.PartialReply) -> Mapping[str, Any]:
    return {
        "number": partial.number,
        "identity": partial.identity,
        "size": partial.size,
        "have": partial.have,
        "lacking": partial.lacking,
        "since": times.to_text(partial.hour),
        "until": times.to_text(partial.expires),
    }
