"""``mixminion decode``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from mixminion import api
from mixminion.cli import given, reading
from mixminion.cli.client import config_option, run
from mixminion.cli.output import json_option
from mixminion.client import arrived
from mixminion.client.reply_errors import NothingToDecode

_HANDLE = re.compile("[0-9a-fA-F]{32}")


@click.command()
@click.option(
    "-i",
    "--input",
    "source",
    metavar="FILE",
    default="-",
    help="What came: a mail, a folder of mails in mbox form, a file from a mailbox; - is standard"
    " input, and what is read when there is no -i.",
)
@reading.output_option
@click.option(
    "--handle",
    metavar="HANDLE",
    help="The reply block that the file answers, when it is a sealed reply by itself and its name"
    " does not say it: 32 hexadecimal digits.",
)
@click.option("--again", is_flag=True, help="Show also what was read before.")
@reading.reading_options
@json_option
@config_option
def command(
    config: api.Config,
    source: str,
    output: str | None,
    handle: str | None,
    again: bool,
    how: dict[str, Any],
    as_json: bool,
) -> None:
    """Read what came back: answers to your reply blocks, and messages in every form.

    What was read counts as read, and the reply blocks of answers as used; a second copy is
    told and not shown.  Of an answer in several parts the parts are kept until all are here.
    """
    octets = given.read(source, "Paste what came")
    name = "standard input" if source == given.STANDARD_INPUT else source
    if not octets:
        raise NothingToDecode(name=name)
    if handle is not None and not _HANDLE.fullmatch(handle):
        raise click.UsageError("A handle is 32 hexadecimal digits.")
    known = arrived.handle_of(Path(source).name) if handle is None else bytes.fromhex(handle)

    async def decode(client: api.Client) -> Sequence[api.Opened]:
        """Mark as read only what was written."""
        opened = await client.inbox.decode(octets, handle=known, again=again, **how)
        _write(opened, output, as_json)
        await client.inbox.mark_read(opened)
        return opened

    problem = reading.problem(run(config, decode))
    if problem is not None:
        raise problem


def _write(opened: Sequence[api.Opened], output: str | None, as_json: bool) -> None:
    into, file = reading.place(output)
    readable = sum(each.readable for each in opened)
    if file is not None and readable > 1:
        raise click.UsageError(f"There are {readable} messages: give -o FOLDER/, ended by a /.")
    reading.write(opened, into, file=file, as_json=as_json, titles=len(opened) > 1)
