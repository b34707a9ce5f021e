"""``mixminion mailbox``: mailboxes of one's own."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from mixminion import api
from mixminion.cli import reading
from mixminion.cli.client import config_option, run, say, tell
from mixminion.cli.completing import servers
from mixminion.cli.output import json_option, print_result
from mixminion.client.usual import FRAMES
from mixminion.disk import private
from mixminion.util import times

MOST = 4096


@click.group()
def command() -> None:
    """Mailboxes: get messages and replies without an address."""


@command.command()
@click.argument("server", required=False, shell_complete=servers)
@json_option
@config_option
def create(config: api.Config, server: str | None, as_json: bool) -> None:
    """Make a mailbox at SERVER, or at a random one, and show its address.

    Nothing is sent: the server learns of the mailbox when something comes for it.
    """

    async def make(client: api.Client) -> api.Mailbox:
        return await client.create_mailbox(server, progress=tell)

    made = run(config, make)
    print_result(_data(made), [made.address], as_json=as_json)


@command.command("list")
@json_option
@config_option
def list_mailboxes(config: api.Config, as_json: bool) -> None:
    """Show your mailboxes."""

    async def found(client: api.Client) -> list[api.Mailbox]:
        return await client.mailboxes()

    mailboxes = run(config, found)
    lines = [f"{each.number}: {each.address}" for each in mailboxes]
    print_result(
        [_data(each) for each in mailboxes], lines or ["There is no mailbox."], as_json=as_json
    )


@command.command()
@click.argument("number", type=click.IntRange(min=1), required=False)
@click.option(
    "-n",
    "--frames",
    type=click.IntRange(1, MOST),
    default=FRAMES,
    show_default=True,
    help="How many frames to ask for: the same each time shows nothing of what is there.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write a file for each message.  [default: standard output]",
)
@click.option("--raw", is_flag=True, help="As it came: answers sealed, for `mixminion decode`.")
@reading.reading_options
@json_option
@config_option
def fetch(
    config: api.Config,
    number: int | None,
    frames: int,
    folder: Path | None,
    raw: bool,
    how: dict[str, Any],
    as_json: bool,
) -> None:
    """Fetch what is held for all your mailboxes, or the one of that NUMBER, and read it.

    What cannot be opened now, for want of a passphrase, say, is kept for the next time.
    """

    async def wanted(client: api.Client) -> list[int]:
        return [number] if number else [each.number for each in await client.mailboxes()] or [1]

    async def take_raw(client: api.Client, held: int | None) -> api.MixminionError | None:
        messages = [each for box in await wanted(client) for each in await client.unread(box)]
        _write(messages, folder, held, as_json)
        await client.mark_read(message.number for message in messages)
        return None

    async def take(client: api.Client, held: int | None) -> api.MixminionError | None:
        opened = await client.inbox.unread(number, **how)
        into = None if folder is None else folder.absolute()
        reading.write(opened, into, as_json=as_json, more={"held": held})
        if not as_json:
            say(f"{sum(each.readable for each in opened)} fetched")
        await client.inbox.mark_read(opened)
        return reading.problem(opened)

    async def visit(client: api.Client) -> tuple[int | None, api.MixminionError | None]:
        """Fetch, write what came even when the visit was cut off, then have it forgotten."""
        held, problem = None, None
        try:
            for box in await wanted(client):
                visited = await client.visit_mailbox(box, frames, progress=tell)
                held = (held or 0) + visited.held
        finally:
            problem = await (take_raw if raw else take)(client, held)
        return held, problem

    held, problem = run(config, visit)
    if held and not as_json:
        say(f"{held} more are held; fetch again")
    if problem is not None:
        raise problem


def _write(
    messages: Sequence[api.Fetched], folder: Path | None, held: int | None, as_json: bool
) -> None:
    files = {}
    if folder is not None:
        private.make_folder(folder.absolute())
        for message in messages:
            files[message.number] = path = folder.absolute() / _file_name(message)
            private.write(path, message.content)
    shown = [_message(message, files.get(message.number)) for message in messages]
    if as_json:
        print_result({"held": held, "messages": shown}, (), as_json=True)
    elif folder is not None:
        print_result([], map(str, files.values()), as_json=False)
    else:
        for message in messages:
            click.echo(f"--- {_title(message)}")
            sys.stdout.flush()
            sys.stdout.buffer.write(message.content)
            if not message.content.endswith(b"\n"):
                click.echo()
    if not as_json:
        say(f"{len(messages)} fetched")
    sys.stdout.flush()


def _file_name(message: api.Fetched) -> str:
    """A reply's name has its handle, by which its reply block is found."""
    if message.handle is None:
        return f"{message.number}.message"
    return f"{message.number}-{message.handle.hex()}.reply"


def _title(message: api.Fetched) -> str:
    kind = "message" if message.handle is None else f"reply {message.handle.hex()}"
    return f"{kind}, {times.to_text(message.date)}, {len(message.content)} octets"


def _message(message: api.Fetched, path: Path | None) -> Mapping[str, Any]:
    place = (
        {"content": b64encode(message.content).decode()} if path is None else {"file": str(path)}
    )
    return {
        "number": message.number,
        "handle": None if message.handle is None else message.handle.hex(),
        "date": times.to_text(message.date),
        **place,
    }


def _data(mailbox: api.Mailbox) -> Mapping[str, Any]:
    return {"number": mailbox.number, "server": mailbox.nickname, "address": mailbox.address}
