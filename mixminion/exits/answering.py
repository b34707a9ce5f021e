"""Receipts: what an exit says of a message to whoever asked for it.

Nothing in here fails: whatever goes wrong, a message is handed over as it would be without a
receipt.
"""

from __future__ import annotations

from twisted.logger import Logger

from mixminion.counters import Counters, Name
from mixminion.exits.joining import Joiner, PartsMissing
from mixminion.exits.parts import Complete, Done
from mixminion.exits.words import word
from mixminion.interfaces import Clock, Departure, IReceiptSender, Outcome, OutcomeKind
from mixminion.payload import receipt
from mixminion.payload.errors import BadPayload
from mixminion.payload.receipt import Receipt
from mixminion.util import faults

EXPIRED = "expired"

log = Logger()


class Answering:
    """What a server's exits answer; ``sender`` brings it on its way, None as long as nobody
    does."""

    def __init__(self, joiner: Joiner, clock: Clock, counters: Counters) -> None:
        self._joiner = joiner
        self._clock = clock
        self._counters = counters
        self.sender: IReceiptSender | None = None

    def done(self, id: bytes, outcome: Outcome | None, attempts: int) -> Done:
        """How a hand-over ended, now; without an *outcome* it has not been possible in time."""
        date = int(self._clock.seconds())
        if outcome is None:
            return Done(id, receipt.Outcome.EXPIRED, date, EXPIRED, attempts)
        delivered = outcome.kind is OutcomeKind.DELIVERED
        kind = receipt.Outcome.ACCEPTED if delivered else receipt.Outcome.REFUSED
        return Done(id, kind, date, word(outcome.reason), attempts)

    async def departure(self, done: Done, complete: Complete) -> Departure | None:
        """The packet that tells it to the sender of *complete*; None when he has not asked, or
        cannot be told."""
        if not complete.whole.coding.receipt or done.outcome is None:
            return None
        made: Departure | None = None
        try:
            blocks = await self._joiner.blocks(complete)
            told = Receipt(done.id, done.outcome, done.date, done.reason)
            if self.sender is not None:
                made = self.sender.make(blocks, told.encode())
        except (BadPayload, PartsMissing):
            pass
        except Exception as error:
            log.error("A receipt could not be made: {report}", report=faults.report(error))
        if made is None:
            self._counters.add(Name.RECEIPTS_UNSENT)
        return made

    def depart(self, record_id: int, departure: Departure | None) -> None:
        """It has been stored under that id."""
        self._counters.add(Name.RECEIPTS)
        assert self.sender is not None and departure is not None
        try:
            self.sender.depart(record_id, departure)
        except Exception as error:  # it leaves after the next start
            log.error("A receipt could not leave: {report}", report=faults.report(error))
