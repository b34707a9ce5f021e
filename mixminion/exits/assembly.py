"""Messages that come in fragments: what has arrived of each, until there is enough.

Every fragment is a record of the store, from before its packet was acknowledged until its
message has been handed over; which ones have arrived is kept in memory and learnt again at a start.
When a message has enough of them one transaction stores that they are a whole, under a Message-ID;
when it has been dealt with another one puts a mark in the place of that, and the parts go.  So a
message enters its exit's queue once, and a copy that comes after the mark is dropped; one that
brings reply blocks for a receipt is put together for these, and answered by the mark.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mixminion.counters import Counters, Name
from mixminion.crypto.kdf import sha256
from mixminion.exits.answering import Answering
from mixminion.exits.joining import ENVELOPE, Joiner, PartsMissing
from mixminion.exits.parts import (
    DONE,
    PART,
    WHOLE,
    Complete,
    Done,
    decode_part,
    encode_part,
)
from mixminion.exits.record import BadRecord
from mixminion.exits.section import FragmentsSection
from mixminion.interfaces import Accepted, Clock, Outcome, OutcomeKind, RecordStore
from mixminion.payload.errors import BadPayload
from mixminion.payload.fragments import Fragment, Whole
from mixminion.store import Pooled, StoreError
from mixminion.util import faults

TOO_LARGE = "too-large"
LATE = "fragment-late"
SURPLUS = "fragment-surplus"
FULL = "fragments-full"

BATCH = 32
"""Records that are read at a time: a megabyte."""

ERASED = 256
"""Records that are deleted at a time."""

SWEEP = 600.0
"""Seconds between two looks for what has expired, and two tries after the store failed."""

log = Logger()


@contextmanager
def _reading() -> Iterator[None]:
    """A record that cannot be read is no reason not to start."""
    try:
        yield
    except BadRecord:
        log.error("A stored message in fragments cannot be read; it is left where it is.")


class PartStore(RecordStore, Protocol):
    """What fragments need of the store."""

    def exchange(self, added: Sequence[Pooled], removed: Iterable[int]) -> Deferred[list[int]]:
        """Pool some records and remove others in one transaction; the new ones' ids."""


Announce = Callable[[int, str, float], None]
"""(record id, exit, due): a whole message is stored under that id."""


@dataclass(slots=True)
class _Incomplete:
    """What has arrived of a message: of each block the pieces' numbers and records."""

    since: float
    blocks: dict[int, dict[int, int]] = field(default_factory=dict)
    lacking: int = 0  #: blocks that have not enough

    def wants(self, fragment: Fragment) -> bool:
        pieces = self.blocks.get(fragment.block, {})
        enough = fragment.whole.data(fragment.block)
        return fragment.index not in pieces and len(pieces) < enough

    @property
    def records(self) -> list[int]:
        return [record_id for pieces in self.blocks.values() for record_id in pieces.values()]


@dataclass(slots=True)
class _Over:
    """A message that is complete (without a *mark*), or has been dealt with, and the record that
    says so."""

    done: Done
    mark: int | None = None
    until: float = float("inf")

    def wants(self, whole: Whole) -> bool:
        """Whether another attempt at it is worth putting together."""
        return whole.coding.receipt and not self.done.attempts >> whole.attempt & 1


BAD = Outcome(OutcomeKind.PERMANENT, "bad-payload")


class Assembly:
    """The incomplete messages of one server, and those that are complete and not yet away.

    *message_id* makes one for an exit, of these octets or of random ones; *announce* is called for
    each whole message.
    """

    def __init__(
        self,
        section: FragmentsSection,
        store: PartStore,
        clock: Clock,
        counters: Counters,
        message_id: Callable[[str, bytes], str],
        announce: Announce,
    ) -> None:
        self._section = section
        self._store = store
        self._clock = clock
        self._counters = counters
        self._message_id = message_id
        self._announce = announce
        self.joiner = Joiner(store, clock, section.max_message)
        self.answering = Answering(self.joiner, clock, counters)
        self._incomplete: dict[Whole, _Incomplete] = {}
        self._octets = 0
        self._wholes: dict[int, Complete] = {}
        self._parts: set[int] = set()  # records of those
        self._over: dict[bytes, _Over] = {}
        self._arrived: deque[tuple[int, float]] = deque()
        self._recalled = self._working = self._more = self._stopping = False
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        """Messages of which parts are missing."""
        return len(self._incomplete)

    # -- before the pool -------------------------------------------------------------------

    def accept(self, content: bytes) -> Accepted | str:
        """What to store for a fragment frame of that content, or the reason to drop it."""
        try:
            fragment = Fragment.parse(content)
        except BadPayload:
            return "bad-payload"
        whole = fragment.whole
        if whole.size > self._section.max_message + ENVELOPE:
            return TOO_LARGE
        if self._is_over(whole):
            return LATE
        held = self._incomplete.get(whole)
        if held is not None and not held.wants(fragment):
            return SURPLUS
        if not self._has_room(held, len(content)):
            return FULL
        return Accepted(PART, encode_part(content))

    def _is_over(self, whole: Whole) -> bool:
        over = self._over.get(whole.id)
        return over is not None and not over.wants(whole)

    def _has_room(self, held: _Incomplete | None, octets: int) -> bool:
        section = self._section
        if held is None and len(self._incomplete) >= section.max_incomplete:
            return False
        return self._octets + octets <= section.room

    # -- at a start ------------------------------------------------------------------------

    async def recall(self, entries: Sequence[tuple[int, bytes, float]]) -> set[int]:
        """Learn again which messages are complete and which are over; the ids of the latter."""
        marks = [(id, due) for id, destination, due in entries if destination == DONE]
        wholes = [(id, due) for id, destination, due in entries if destination == WHOLE]
        for record_id, due, octets in await self._read(marks):
            with _reading():
                done = Done.decode(octets)
                self._over[done.id] = _Over(done, record_id, due + self._section.expiry)
        for record_id, _, octets in await self._read(wholes):
            with _reading():
                self._remember(record_id, Complete.decode(octets))
        self._recalled = True
        self._wind()
        self._work()
        return {record_id for record_id, _ in marks}

    async def _read(self, wanted: Sequence[tuple[int, float]]) -> list[tuple[int, float, bytes]]:
        found = []
        for at in range(0, len(wanted), BATCH):
            batch = wanted[at : at + BATCH]
            records = await self._store.read([record_id for record_id, _ in batch])
            found += [
                (record_id, due, octets)
                for (record_id, due), octets in zip(batch, records, strict=True)
                if octets is not None
            ]
        return found

    def _remember(self, record_id: int, complete: Complete) -> None:
        self._wholes[record_id] = complete
        self._parts.update(complete.records)
        whole = complete.whole
        self._over.setdefault(whole.id, _Over(Done(whole.id, attempts=_bit(whole))))

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    # -- after the pool --------------------------------------------------------------------

    def offer(self, record_id: int, destination: bytes, due: float) -> None:
        """The pool released a record of ours."""
        if destination == PART:
            if record_id not in self._parts:
                self._arrived.append((record_id, due))
                self._work()
        elif (complete := self._wholes.get(record_id)) is not None:
            self._announce(record_id, complete.exit, due)

    def _work(self) -> None:
        if self._working:
            self._more = True
        elif self._recalled and not self._stopping:
            self._working, self._more = True, False
            _ = Deferred.fromCoroutine(self._take_up())

    async def _take_up(self) -> None:
        batch: list[tuple[int, float]] = []
        try:
            await self._finish_incomplete()  # what the store had no room for before
            while self._arrived and not self._stopping:
                batch = [self._arrived.popleft() for _ in range(min(BATCH, len(self._arrived)))]
                surplus: list[int] = []
                for record_id, due, octets in await self._read(batch):
                    if not self._take(record_id, octets, due):
                        surplus.append(record_id)
                batch = []
                if surplus:
                    await self._store.delete(surplus)
                await self._finish_incomplete()
        except Exception as error:  # they are stored, and looked at again
            self._arrived.extendleft(reversed(batch))
            if not self._stopping:
                log.error("Fragments could not be joined: {report}", report=faults.report(error))
        finally:
            self._working = False
        if self._more:
            self._work()

    def _take(self, record_id: int, octets: bytes, due: float) -> bool:
        """Count a part in; whether it was wanted."""
        try:
            fragment = decode_part(octets)
        except BadRecord:
            log.error("A stored fragment cannot be read; it is deleted.")
            return False
        whole = fragment.whole
        held = self._incomplete.get(whole)
        if self._is_over(whole) or (held is not None and not held.wants(fragment)):
            self._counters.add(Name.FRAGMENTS_SURPLUS)
            return False
        if not self._has_room(held, len(octets)):
            self._counters.add(Name.FRAGMENTS_FULL)
            return False
        if held is None:
            held = self._incomplete[whole] = _Incomplete(due, lacking=whole.blocks)
        pieces = held.blocks.setdefault(fragment.block, {})
        pieces[fragment.index] = record_id
        held.lacking -= len(pieces) == whole.data(fragment.block)
        self._octets += len(octets)
        self._counters.add(Name.FRAGMENTS)
        return True

    # -- complete --------------------------------------------------------------------------

    async def _finish_incomplete(self) -> None:
        """Whatever is lacking nothing any more is complete."""
        for whole in [each for each, held in self._incomplete.items() if not held.lacking]:
            over, held = self._over.get(whole.id), self._incomplete[whole]
            if over is None:
                await self._complete(whole, held)
            elif over.mark is not None:  # or what comes of it is not known yet
                await self._complete_again(whole, held, over)

    async def _complete(self, whole: Whole, held: _Incomplete) -> None:
        """Enough has arrived: store that it has, and queue it."""
        complete = self._found(whole, held)
        now, places = self._clock.seconds(), complete.places
        try:
            exit = await self.joiner.exit(complete)
        except (BadPayload, PartsMissing):
            self._counters.add("drop-bad-payload")
            await self._end(complete, [], BAD)
            self._forget(whole)
            return
        complete = Complete(self._message_id(exit, _unique(whole)), int(now), exit, whole, places)
        pooled = Pooled(WHOLE, int(now * 1000), complete.encode())
        [record_id] = await self._store.exchange([pooled], [])
        self._remember(record_id, complete)
        self._forget(whole)
        self._counters.add(Name.ASSEMBLED)
        self._announce(record_id, exit, now)

    async def _complete_again(self, whole: Whole, held: _Incomplete, over: _Over) -> None:
        """One more attempt at a message that has been dealt with: it is answered once."""
        complete = self._found(whole, held)
        if over.wants(whole):
            done = replace(over.done, attempts=over.done.attempts | _bit(whole))
            await self._mark(done, complete, [] if over.mark is None else [over.mark])
        self._forget(whole)
        await self._erase(complete.records)

    def _found(self, whole: Whole, held: _Incomplete) -> Complete:
        places = tuple(tuple(sorted(held.blocks[block].items())) for block in range(whole.blocks))
        return Complete("", int(self._clock.seconds()), "", whole, places)

    def _forget(self, whole: Whole) -> None:
        held = self._incomplete.pop(whole)
        self._octets -= len(held.records) * (whole.piece + 25)

    def complete(self, record_id: int) -> Complete | None:
        """The message stored under *record_id*; None when it is gone."""
        return self._wholes.get(record_id)

    async def finish(self, record_ids: Iterable[int], outcome: Outcome | None) -> None:
        """These have been dealt with, which ended in *outcome*, or they have expired: put marks in
        their place, and erase their parts."""
        for record_id in record_ids:
            complete = self._wholes.pop(record_id, None)
            if complete is not None:
                await self._end(complete, [record_id], outcome)

    async def _end(
        self, complete: Complete, removed: Sequence[int], outcome: Outcome | None
    ) -> None:
        whole = complete.whole
        done = self.answering.done(whole.id, outcome, _bit(whole))
        await self._mark(done, complete, removed)
        await self._erase(complete.records)
        if any(each.id == whole.id for each in self._incomplete):
            self._work()

    async def _mark(self, done: Done, complete: Complete, removed: Sequence[int]) -> None:
        """Write down how a message ended, and with it the receipt that says so."""
        now = self._clock.seconds()
        mark = Pooled(DONE, int(now * 1000), done.encode())
        departure = await self.answering.departure(done, complete)
        packets = []
        if departure is not None:
            due_ms = int(departure.due * 1000)
            packets.append(Pooled(departure.destination, due_ms, departure.packet))
        try:
            ids = await self._store.exchange([mark, *packets], removed)
        except StoreError:
            if not packets:
                raise
            ids = await self._store.exchange([mark], removed)  # there may be room for that
        for leaving in ids[1:]:
            self.answering.depart(leaving, departure)
        record_id = ids[0]
        self._over[done.id] = _Over(done, record_id, now + self._section.expiry)

    async def _erase(self, record_ids: Sequence[int]) -> None:
        for at in range(0, len(record_ids), ERASED):
            await self._store.delete(record_ids[at : at + ERASED])
        self._parts.difference_update(record_ids)

    # -- time ------------------------------------------------------------------------------

    def _wind(self) -> None:
        if not self._stopping:
            self._timer = self._clock.callLater(SWEEP, self._sweep)

    def _sweep(self) -> None:
        _ = Deferred.fromCoroutine(self._expire())
        self._wind()
        self._work()

    async def _expire(self) -> None:
        """Delete what has waited too long, and marks that nothing can come after."""
        now = self._clock.seconds()
        gone = []
        for whole, held in list(self._incomplete.items()):
            if held.lacking and held.since + self._section.expiry <= now:
                gone += held.records
                self._forget(whole)
        self._counters.add(Name.FRAGMENTS_EXPIRED, len(gone))
        for id, over in list(self._over.items()):
            if over.mark is not None and over.until <= now:
                del self._over[id]
                gone.append(over.mark)
        try:
            await self._erase(gone)
        except Exception as error:
            kind = type(error).__name__
            log.error("{n} records could not be deleted: {kind}", n=len(gone), kind=kind)


def _bit(whole: Whole) -> int:
    """Of the attempt; none of a message without a receipt."""
    return 1 << whole.attempt if whole.coding.receipt else 0


def _unique(whole: Whole) -> bytes:
    """What its Message-ID is made of: with a receipt of its id, since it may be sent by way of
    another server as well; else of nothing known."""
    if not whole.coding.receipt:
        return b""
    return sha256(b"mixminion2 message-id" + whole.id)[:16]
