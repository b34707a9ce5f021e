"""``mixminion send --wait``: until the first server has it."""

from __future__ import annotations

from mixminion import api
from mixminion.cli import reactor
from mixminion.cli.client import say, tell
from mixminion.cli.sentences import span

FIRST = 5.0
LAST = 300.0
"""Seconds between attempts: doubled from the first to the last."""


async def insist(
    client: api.Client, number: int, error: api.MixminionError, first: float = FIRST
) -> None:
    """Hand over what is kept as *number* and was not taken for *error*, again and again."""
    pause = first
    while True:
        why = error.fields.get("why", error.code)
        entry = error.fields.get("entry", "its entry")
        say(
            f"{entry} did not take it ({why}): trying again in {span(pause)}; Control-C leaves it"
            " in the outbox"
        )
        await reactor.sleep(pause)
        flushed = await client.flush([number], progress=tell)
        if not flushed.kept:
            say("handed over: this computer may be switched off")
            return
        error = next(iter(flushed.kept.values()))
        pause = min(2 * pause, LAST)


FIRST_LOOK = 2.0
LAST_LOOK = 60.0
"""Seconds between visits to the mailbox where the receipt comes: doubled too."""


async def until_receipt(
    client: api.Client, message: int, first: float = FIRST_LOOK
) -> api.Receipt | None:
    """The receipt of what was sent as *message*, when it is known what became of it; messages are
    sent again meanwhile, as with ``mixminion receipts check``.  None when it was forgotten."""
    say("waiting for the receipt; after Control-C `mixminion receipts check` fetches it")
    pause = first
    number = next(each.number for each in await client.receipts.all() if each.message == message)
    while True:
        await reactor.sleep(pause)
        known = {each.number: each for each in await client.receipts.check(progress=tell)}
        found = known.get(number)
        if found is None or found.state is not api.ReceiptState.WAITING:
            return found
        pause = min(2 * pause, LAST_LOOK)
