"""``mixminion reply-block``: what lets others answer."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mixminion import api
from mixminion.app import passphrase as passphrases
from mixminion.cli import given
from mixminion.cli.client import config_option, run, tell
from mixminion.cli.durations import DURATION
from mixminion.cli.output import json_option, print_result, table
from mixminion.cli.passphrase import passphrase_options
from mixminion.client import blocks_text, copying
from mixminion.client.identity_errors import NoSuchReplyBlock
from mixminion.client.reply_errors import NoBlocks
from mixminion.config.secret import SecretSource
from mixminion.disk import private
from mixminion.util import times

MOST = 100
Row = tuple[str, ...]


@click.group()
def command() -> None:
    """Reply blocks: each lets somebody answer you once, without knowing who you are."""


@command.command()
@click.option(
    "-n",
    "--count",
    metavar="N",
    type=click.IntRange(1, MOST),
    default=1,
    show_default=True,
    help="How many pairs: each is a block for this key period and one for the next.",
)
@click.option(
    "--lifetime",
    metavar="TIME",
    type=DURATION,
    default="0 s",
    help="How long an answer must be possible at least, such as 10 days.",
)
@click.option("--identity", metavar="NAME", help="Who reads the answers.  [default: default]")
@click.option(
    "-t",
    "--to",
    "address",
    metavar="ADDRESS",
    help="Where answers go: user@example.org, mailbox:CAPABILITY@server, or mailbox for one of"
    " yours.  [default: the identity's address]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write them there.  [default: standard output]",
)
@click.option("--binary", is_flag=True, help="As octets, a quarter shorter than as text.")
@json_option
@config_option
def create(
    config: api.Config,
    count: int,
    lifetime: float,
    identity: str | None,
    address: str | None,
    output: Path | None,
    binary: bool,
    as_json: bool,
) -> None:
    """Make reply blocks, to be given to whoever is to answer.

    Whoever answers needs no address of yours, and does not learn where the answer goes.  Each
    block is used once.  With `mixminion send --reply-blocks` they are made and sent in one step.
    """
    if binary and output is None and as_json:
        raise click.UsageError("--binary with --json needs a file: say -o FILE")

    told: list[api.BlocksMade] = []

    def progress(event: api.Event) -> None:
        tell(event)
        if isinstance(event, api.BlocksMade):
            told.append(event)

    async def make(client: api.Client) -> list[bytes]:
        return await client.reply_blocks.create(
            count, lifetime=lifetime, identity=identity, address=address, progress=progress
        )

    made = run(config, make)
    octets = b"".join(made) if binary else blocks_text.encode(made).encode()
    heads = [blocks_text.head(each) for each in made]
    begins = times.to_text(min(each.not_before for each in heads))
    ends = times.to_text(max(each.not_after for each in heads))
    data: dict[str, Any] = {
        "blocks": len(made),
        "identity": told[0].identity,
        "address": told[0].address,
        "handles": [handle.hex() for handle in told[0].handles],
        "not_before": begins,
        "not_after": ends,
    }
    if output is not None:
        private.write(output.absolute(), octets)
        print_result({**data, "file": str(output)}, (), as_json=as_json)
    elif as_json:
        print_result({**data, "text": octets.decode()}, (), as_json=True)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
        sys.stdout.flush()


@command.command("list")
@click.option("--identity", metavar="NAME", help="Only those of this one.")
@json_option
@config_option
def list_blocks(config: api.Config, identity: str | None, as_json: bool) -> None:
    """Show the reply blocks that you made and that are remembered."""

    async def found(client: api.Client) -> list[api.ReplyBlock]:
        blocks = await client.reply_blocks.all()
        if identity is None:
            return blocks
        known = await client.identities.get(identity)
        return [each for each in blocks if each.identity == known.id]

    blocks = run(config, found)
    rows: list[Row] = [("", "identity", "from", "to", "answered", "address")]
    rows += [_row(each) for each in blocks]
    print_result(
        [_data(each) for each in blocks],
        table(rows) if blocks else ["There is no reply block of yours."],
        as_json=as_json,
    )


@command.command()
@click.argument("file")
@json_option
@config_option
def show(config: api.Config, file: str, as_json: bool) -> None:
    """Show what reply blocks there are in FILE (- for standard input), whoever made them.

    FILE may be a text or a mail with blocks in it, or blocks in the binary form.
    """
    octets = given.read(file, "Paste the message")

    async def look(client: api.Client) -> list[api.Inspected]:
        return await client.reply_blocks.inspect(octets, await _held(client))

    found = run(config, look)
    if not found:
        raise NoBlocks(name="standard input" if file == given.STANDARD_INPUT else file)
    lines = [f"{number}: {_sentence(each)}" for number, each in enumerate(found, start=1)]
    print_result([_inspected(each) for each in found], lines, as_json=as_json)


@command.command()
@click.argument("numbers", nargs=-1, required=True, type=click.IntRange(min=1))
@json_option
@config_option
def delete(config: api.Config, numbers: tuple[int, ...], as_json: bool) -> None:
    """Forget reply blocks of yours by their NUMBERS: nobody can read their answers any more."""

    async def forget(client: api.Client) -> list[int]:
        return await client.reply_blocks.delete(numbers)

    deleted = run(config, forget)
    for number in numbers:
        if number not in deleted:
            raise NoSuchReplyBlock(number=number)
    print_result({"deleted": deleted}, [f"{len(deleted)} deleted"], as_json=as_json, confirms=True)


@command.command()
@json_option
@config_option
def expire(config: api.Config, as_json: bool) -> None:
    """Forget what [ReplyBlocks] of the configuration says is not remembered any more.

    That is done whenever blocks are made or answers read, too.
    """

    async def forget(client: api.Client) -> int:
        return await client.reply_blocks.expire()

    deleted = run(config, forget)
    print_result({"deleted": deleted}, [f"{deleted} deleted"], as_json=as_json, confirms=True)


@command.command()
@click.argument("places", nargs=-1, required=True, type=click.Path(path_type=Path))
@passphrase_options("The identity's passphrase")
@json_option
@config_option
def restore(
    config: api.Config, places: tuple[Path, ...], passphrase: SecretSource | None, as_json: bool
) -> None:
    """Take over copies, in files or folders, that [ReplyBlocks] copies had written.

    Their identities have to be here: `mixminion identity import` comes first.
    """
    copies = {str(path): given.read(str(path)) for place in places for path in copying.files(place)}
    secret = passphrases.given(passphrase, "Passphrase: ")

    async def take(client: api.Client) -> api.Restored:
        return await client.reply_blocks.restore(copies, secret)

    restored = run(config, take)
    data = {"mailboxes": restored.mailboxes, "reply_blocks": restored.blocks}
    lines = [f"New: {restored.mailboxes} mailboxes, {restored.blocks} reply blocks."]
    print_result(data, lines, as_json=as_json, confirms=True)


async def _held(client: api.Client) -> api.View | None:
    """The network as it is known here; nothing is fetched for a look into a file."""
    try:
        await client.directory()
        return await client.view()
    except api.MixminionError:
        return None


def _row(block: api.ReplyBlock) -> Row:
    return (
        str(block.number),
        block.name,
        *(times.to_text(date)[:10] for date in (block.not_before, block.not_after)),
        "no" if block.used is None else times.to_text(block.used)[:10],
        block.address,
    )


def _data(block: api.ReplyBlock) -> Mapping[str, Any]:
    return {
        "number": block.number,
        "handle": block.surb_id.hex(),
        "identity": block.name,
        "period": block.period,
        "not_before": times.to_text(block.not_before),
        "not_after": times.to_text(block.not_after),
        "address": block.address,
        "used": None if block.used is None else times.to_text(block.used),
    }


def _about(state: api.State) -> str:
    """What is said before a date."""
    match state:
        case api.State.USABLE:
            return "can be answered until"
        case api.State.EARLY:
            return "cannot be answered yet: from"
        case api.State.LATE:
            return "cannot be answered any more: ended"
        case api.State.FOREIGN:
            return "is of another network, or older than the directory held here; valid until"
        case _:
            return "valid until"


def _sentence(block: api.Inspected) -> str:
    if block.not_before is None or block.not_after is None:
        return "cannot be read"
    if block.state is api.State.BROKEN:
        return f"is not whole, suite {block.suite}"
    date = block.not_before if block.state is api.State.EARLY else block.not_after
    said = f"suite {block.suite}, {_about(block.state)} {times.to_text(date)}"
    if block.own is not None:
        said += f"; yours, number {block.own.number} of {block.own.name}"
        said += ", not answered" if block.own.used is None else ", answered"
    if block.used:
        said += "; you have answered it"
    return said


def _inspected(block: api.Inspected) -> Mapping[str, Any]:
    dates = (block.not_before, block.not_after)
    begins, ends = (None if date is None else times.to_text(date) for date in dates)
    return {
        "state": str(block.state),
        "suite": block.suite,
        "not_before": begins,
        "not_after": ends,
        "own": None if block.own is None else _data(block.own),
        "used": block.used,
    }
