"""``mixminion receipts``: what became of messages that were sent with one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from mixminion import api
from mixminion.cli.client import config_option, run, tell
from mixminion.cli.output import json_option, print_result
from mixminion.util import times

ENDS = {
    "accepted": "accepted by the next system",
    "refused": "refused",
    "expired": "given up by the exit, which could not hand it over",
    "silent": "no receipt came",
    "withdrawn": "called back before it left",
}


@click.group()
def command() -> None:
    """What became of messages that were sent with --receipt."""


@command.command("list")
@json_option
@config_option
def list_receipts(config: api.Config, as_json: bool) -> None:
    """Show what is known; nothing is fetched or sent."""

    async def known(client: api.Client) -> list[api.Receipt]:
        return await client.receipts.all()

    _show(run(config, known), as_json=as_json)


@command.command()
@json_option
@config_option
def check(config: api.Config, as_json: bool) -> None:
    """Fetch receipts, send again what has had none in its time, and show what is known.

    A message goes to the same exit once more, which knows whether it had it, and then to another.
    """

    async def look(client: api.Client) -> list[api.Receipt]:
        return await client.receipts.check(progress=tell)

    _show(run(config, look), as_json=as_json)


@command.command()
@click.argument("numbers", nargs=-1, required=True, type=click.IntRange(min=1))
@json_option
@config_option
def forget(config: api.Config, numbers: tuple[int, ...], as_json: bool) -> None:
    """Wait no longer for the receipts of these NUMBERS, and send nothing again."""

    async def let_go(client: api.Client) -> int:
        return await client.receipts.forget(numbers)

    forgotten = run(config, let_go)
    data = {"forgotten": forgotten}
    print_result(data, [f"{forgotten} forgotten"], as_json=as_json, confirms=True)


def _show(receipts: Sequence[api.Receipt], *, as_json: bool) -> None:
    lines = [line for each in receipts for line in _lines(each)]
    data: list[Any] = [_data(each) for each in receipts]
    print_result(data, lines or ["No message waits for a receipt."], as_json=as_json)


def _lines(receipt: api.Receipt) -> Iterator[str]:
    times_sent = "once" if receipt.attempts == 1 else f"{receipt.attempts} times"
    since = times.to_text(receipt.hour)
    if receipt.state is api.ReceiptState.WAITING:
        due = times.to_text(receipt.due)
        yield f"{receipt.number}: since {since}, sent {times_sent}, waits until {due}"
    else:
        why = f" ({receipt.reason})" if receipt.reason else ""
        yield f"{receipt.number}: since {since}, sent {times_sent}, {ENDS[receipt.state]}{why}"


def _data(receipt: api.Receipt) -> Mapping[str, Any]:
    waits = receipt.state is api.ReceiptState.WAITING
    return {
        "number": receipt.number,
        "message": receipt.message,
        "state": str(receipt.state),
        "since": times.to_text(receipt.hour),
        "attempts": receipt.attempts,
        **({"due": times.to_text(receipt.due)} if waits else {}),
        **({"reason": receipt.reason} if receipt.reason else {}),
        **({"date": times.to_text(receipt.date)} if receipt.date else {}),
    }
