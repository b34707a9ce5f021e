"""Putting a message together from its parts, block by block, as it is handed over.

No more than a block of pieces is in memory besides the message itself, and the reactor gets a
turn after each piece that had to be repaired.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO

from twisted.internet.defer import Deferred

from mixminion.errors import Fault
from mixminion.exits.parts import Complete
from mixminion.interfaces import Clock, Message, RecordStore
from mixminion.payload import erasure, message, receipt
from mixminion.payload.deflate import RATIO, Inflater
from mixminion.payload.errors import BadPayload, Problem
from mixminion.payload.fragments import HEAD

ENVELOPE = 64 * 2**10
"""Octets: the longest exit name and recipients of a message in fragments."""


class PartsMissing(Fault):
    """Parts of a message are not in the store any more, or not what they were."""

    code = "parts-missing"
    sentence = "Parts of a stored message cannot be read; look at the disk, and report it."


class Joiner:
    """Joins what *store* has; messages of at most *limit* octets of content."""

    def __init__(self, store: RecordStore, clock: Clock, limit: int) -> None:
        self._store = store
        self._clock = clock
        self._limit = limit

    async def exit(self, complete: Complete) -> str:
        """The exit that the message is for, which its first octets say.

        :raises BadPayload: it says none.
        :raises PartsMissing: it cannot be read.
        """
        head = b""
        async for octets in self._plain(complete):
            head += octets
            if len(head) > 0xFF or len(head) > head[0]:
                return message.exit_of(head)
        return message.exit_of(head)

    async def message(self, complete: Complete) -> Message:
        """The whole of it.

        :raises BadPayload: it is no message, or larger than it may be.
        :raises PartsMissing: it cannot be read.
        """
        head, known = b"", None
        content = BytesIO()
        async for octets in self._plain(complete):
            if known is None:
                head += octets
                try:
                    known = message.envelope(head)
                except BadPayload as error:
                    if error.problem is not Problem.SHORT or len(head) > ENVELOPE:
                        raise
                    continue
                octets, head = head[known[2] :], b""
            if content.tell() + len(octets) > self._limit:
                raise BadPayload(Problem.SIZE)
            content.write(octets)
        exit, recipients, _ = known or message.envelope(head)
        # getvalue() gives the buffer itself, not a copy of it
        return Message(
            exit, recipients, content.getvalue(), None, complete.message_id, complete.date
        )

    async def blocks(self, complete: Complete) -> tuple[bytes, ...]:
        """The reply blocks for its receipt, none when it asks for none.

        :raises BadPayload: there are none where they should be.
        :raises PartsMissing: it cannot be read.
        """
        found, _ = await self._asked(complete)
        return found

    async def _asked(self, complete: Complete) -> tuple[tuple[bytes, ...], int]:
        """The same, and where the message begins."""
        if not complete.whole.coding.receipt:
            return (), 0
        head = b""
        async for octets in self._coded(complete):
            head += octets
            try:
                return receipt.asked(head)
            except BadPayload as error:
                if error.problem is not Problem.SHORT or len(head) > ENVELOPE:
                    raise
        raise BadPayload(Problem.SHORT)

    async def _plain(self, complete: Complete) -> AsyncIterator[bytes]:
        whole = complete.whole
        _, begin = await self._asked(complete)
        size = whole.size - begin
        inflater = Inflater(size, min(self._limit + ENVELOPE, RATIO * size))
        async for octets in self._coded(complete):
            here, begin = octets[begin:], max(0, begin - len(octets))
            if not whole.coding.deflated:
                yield here
            elif here:
                for made in inflater.feed(here):
                    yield made
                await self._pause()
        if whole.coding.deflated:
            inflater.finish()

    async def _coded(self, complete: Complete) -> AsyncIterator[bytes]:
        whole = complete.whole
        for block, places in enumerate(complete.places):
            k, left = whole.data(block), whole.length(block)
            pieces = await self._read(places, whole.piece)
            for step in erasure.recovering(k, pieces):
                if step is not None:
                    pieces[step[0]] = step[1]
                await self._pause()
            for number in range(k):
                octets = pieces[number]
                yield octets[:left]
                left -= len(octets)

    async def _read(self, places: tuple[tuple[int, int], ...], length: int) -> dict[int, bytes]:
        records = await self._store.read([record_id for _, record_id in places])
        pieces = {}
        for (number, _), record in zip(places, records, strict=True):
            if record is None or len(record) != 1 + HEAD + length:
                raise PartsMissing
            pieces[number] = record[1 + HEAD :]
        return pieces

    def _pause(self) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        self._clock.callLater(0, turn.callback, None)
        return turn
