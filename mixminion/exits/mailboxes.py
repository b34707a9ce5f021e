"""What the exits of a server hold, together with the store that it is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.exits import record
from mixminion.exits.assembly import PartStore
from mixminion.exits.lane import discard
from mixminion.exits.record import BadRecord
from mixminion.interfaces import (
    Clock,
    IHoldingExit,
    IMailboxes,
    Message,
)
from mixminion.store import Pooled
from mixminion.util import faults

HELD = b"exit:@"
"""Begins the destination of a message that is held; no exit's name begins so."""

ORPHAN_EXPIRY = 30 * 86_400.0
"""Seconds after its release that what an exit held waits for it when it is gone."""

SWEEP = 60.0
"""Seconds between two looks for what has been held for its time, and before what could not be
read at a start is read again."""

READ = 32
"""Records read at a time after a start: a MiB of packets."""

NOBODY = 0
"""The id of no record: reading it takes as long as reading one."""

log = Logger()


@implementer(IMailboxes)
class Mailboxes:
    """The exits that hold, by their delivery names.

    The store's index does not say whose a record is, so that a stolen disk without its keys does
    not say it: after a start what was held before is read once, behind everything else, and a
    mailbox fills meanwhile.
    """

    def __init__(
        self,
        exits: Mapping[str, IHoldingExit],
        store: PartStore,
        clock: Clock,
        counters: Counters,
    ) -> None:
        self._exits = dict(exits)
        self._store = store
        self._clock = clock
        self._counters = counters
        self._before: list[tuple[int, str]] = []  # held before the start, not read yet
        self._working: set[Deferred[None]] = set()
        self._timer: IDelayedCall | None = None
        self._stopping = False
        for exit in exits.values():
            exit.keep_with(self._keep)

    def __len__(self) -> int:
        """How many messages are held."""
        return sum(len(exit) for exit in self._exits.values()) + len(self._before)

    # -- before and after --------------------------------------------------------------------

    def recall(self, entries: Sequence[tuple[int, bytes, float]]) -> set[int]:
        """Of the stored messages, by id, destination and moment, those that are held.  What an exit
        held that is gone waits for it, for :data:`ORPHAN_EXPIRY` after its release."""
        held = {id: (where, due) for id, where, due in entries if where.startswith(HELD)}
        orphans: list[int] = []
        for item, (destination, due) in held.items():
            name = destination.removeprefix(HELD).decode()
            if name in self._exits:
                self._before.append((item, name))
            elif due + ORPHAN_EXPIRY <= self._clock.seconds():
                orphans.append(item)
            else:
                log.warn(
                    "A message is held by the exit {exit}, which is not configured; it waits",
                    exit=name,
                )
        self._delete(orphans)
        return set(held)

    def start(self) -> None:
        """Read what was held before, and begin to look for what is too old."""
        if self._exits:
            self._sweep()

    async def stop(self) -> None:
        """End what is under way; what is held stays stored."""
        self._stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        await DeferredList(list(self._working))

    # -- for owners ----------------------------------------------------------------------------

    def waiting(self, capability: bytes) -> list[int]:
        """See :class:`IMailboxes`."""
        held = [each for exit in self._exits.values() for each in exit.held(capability)]
        return [item for _, item in sorted(held)]

    async def read(self, capability: bytes, item: int) -> Message | None:
        """See :class:`IMailboxes`."""
        theirs = item in self.waiting(capability)
        [octets] = await self._store.read([item if theirs else NOBODY])
        if not theirs:
            return None
        if octets is not None:
            return record.decode(octets)
        self._let_go(item)  # it could not be opened, or is deleted this moment
        return None

    def taken(self, capability: bytes, item: int) -> None:
        """See :class:`IMailboxes`."""
        if item in self.waiting(capability):
            self._let_go(item)
            self._counters.add(Name.FETCHED)
            self._discard([item])

    # -- inside --------------------------------------------------------------------------------

    async def _keep(self, message: Message) -> int:
        where = HELD + message.exit.encode()
        kept = Pooled(where, message.date * 1000, record.encode(message))
        [item] = await self._store.exchange([kept], [])
        return item

    def _let_go(self, item: int) -> None:
        for exit in self._exits.values():
            exit.let_go(item)

    def _delete(self, items: list[int]) -> None:
        """Delete what nobody will fetch any more."""
        if items:
            self._counters.add(Name.EXPIRED, len(items))
            self._discard(items)

    def _discard(self, items: list[int]) -> None:
        self._work(ensureDeferred(discard(self._store.delete(items), len(items))))

    def _sweep(self) -> None:
        now = self._clock.seconds()
        self._delete([item for exit in self._exits.values() for item in exit.expire(now)])
        if self._before:
            self._work(ensureDeferred(self._read_before()))
        self._timer = self._clock.callLater(SWEEP, self._sweep)

    def _work(self, deferred: Deferred[None]) -> None:
        self._working.add(deferred)
        _ = deferred.addBoth(self._worked, deferred)

    def _worked(self, result: object, deferred: Deferred[None]) -> None:
        self._working.discard(deferred)
        if isinstance(result, Failure):  # a defect of ours, which costs nobody else's mail
            log.failure("What is held for owners: something ended badly.", result)

    async def _read_before(self) -> None:
        """Read what was held before the start, and note whose it is."""
        batch: list[tuple[int, str]] = []
        try:
            while self._before and not self._stopping:
                batch, self._before = self._before[-READ:], self._before[:-READ]
                octets = await self._store.read([item for item, _ in batch])
                for (item, name), each in zip(batch, octets, strict=True):
                    if each is not None:
                        self._hold_again(item, name, each)
        except Exception as error:
            self._before += batch
            log.error(
                "Messages held for their owners could not be read; tried again: {report}",
                report=faults.report(error),
            )

    def _hold_again(self, item: int, name: str, octets: bytes) -> None:
        try:
            held = self._exits[name].hold_again(item, record.decode(octets))
        except BadRecord:
            held = False
        if not held:
            self._discard([item])
