"""The hand-overs of one exit: its queue, the attempts under way, and what becomes of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.counters import Counters, Name
from mixminion.exits import record
from mixminion.exits.tally import Tally
from mixminion.exits.words import word
from mixminion.interfaces import (
    Clock,
    IExit,
    Message,
    Outcome,
    OutcomeKind,
    Random,
    RecordStore,
)
from mixminion.queues.destination import Backoff, DestinationQueue
from mixminion.util import faults

T = TypeVar("T")

SWEEP = 60.0
"""Seconds between two looks for messages past their expiry, and two tries to start an exit."""

LONGEST_ATTEMPT = 3600.0
"""An attempt that has not ended after so many seconds is a temporary failure."""

LONGEST_STOP = 30.0
"""Seconds that an exit has for stopping."""

WRONG = (Exception, SystemExit, KeyboardInterrupt)
"""What other people's code may raise; it ends an attempt and not a server."""

CRASH = Outcome(OutcomeKind.TEMPORARY, "exit-fault")

log = Logger()


class Held(Protocol):
    """What a lane hands over, by the ids of its records."""

    async def load(self, record_id: int) -> Message | Outcome | None:
        """The message to hand over; an outcome when there is no need to try, None when it is
        gone."""

    async def discard(self, ids: list[int], outcome: Outcome | None = None) -> None:
        """Delete what is done with, and ended in *outcome* (None: its time was over); one that
        cannot be deleted is logged, and handed over once more after a restart."""


class Records(Held):
    """Messages that are a record each."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    @override
    async def load(self, record_id: int) -> Message | None:
        [octets] = await self._store.read([record_id])
        return None if octets is None else record.decode(octets)

    @override
    async def discard(self, ids: list[int], outcome: Outcome | None = None) -> None:
        await discard(self._store.delete(ids), len(ids))


class Lane:
    """One exit's messages, by the ids of their records."""

    def __init__(
        self,
        exit: IExit,
        held: Held,
        clock: Clock,
        random: Random,
        counters: Counters,
        tally: Tally,
    ) -> None:
        self.name: str = exit.name
        self._exit = exit
        self._held = held
        self._clock = clock
        self._counters = counters
        self._tally = tally
        self._concurrency = exit.policy.concurrency
        backoff = Backoff(exit.policy.retry_first, 2.0, exit.policy.retry_longest)
        self._queue = DestinationQueue(clock, backoff, exit.policy.expiry, random)
        self._attempts: set[Deferred[None]] = set()
        self._holds = 0
        self._open = False
        self._paused = False
        self._stopping = False
        self._working = False
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def open(self) -> bool:
        """Whether the exit has been started, and not stopped."""
        return self._open and not self._stopping

    def add(self, record_id: int, due: float) -> None:
        """One more message, stored under *record_id*."""
        self._queue.add(record_id, due)
        self._work()

    def pause(self, paused: bool) -> None:
        """Begin no hand-over from now on; or go on.  Attempts under way end as they would, and
        what waits too long expires all the same."""
        self._paused = paused
        self._work()

    async def start(self) -> None:
        """Start the exit.  One that fails is tried again later; its messages wait."""
        try:
            await self._within(LONGEST_STOP, self._exit.start)
        except WRONG as error:
            self._crashed("could not be started", error)
            if not self._stopping:
                self._wake(SWEEP, lambda: ensureDeferred(self.start()))
            return
        self._open = True
        self._work()

    async def stop(self) -> None:
        """Stop the exit; attempts under way end with it.  What is left stays stored."""
        self._stopping = True
        self._unwake()
        try:
            await self._within(LONGEST_STOP, self._exit.stop)
        except WRONG as error:
            self._crashed("could not be stopped", error)
        for attempt in list(self._attempts):
            attempt.cancel()
        await DeferredList(list(self._attempts))

    # -- inside ------------------------------------------------------------------------------

    def _work(self) -> None:
        """Begin the attempts that can be begun, and come back when there is more to do."""
        if not self._open or self._stopping or self._working:
            return
        self._working = True  # an attempt may end before it returns, and come back here
        try:
            self._begin()
            pause = self._pause()
        except Exception:  # a defect of ours, which must not stop this exit for ever
            log.failure("{exit}: hand-overs could not be begun; tried again.", exit=self.name)
            pause = SWEEP
        finally:
            self._working = False
        self._unwake()
        if len(self._queue):
            self._wake(pause, self._sweep)

    def _begin(self) -> None:
        while self._may_begin() and (ids := self._queue.take(1)):
            attempt = ensureDeferred(self._attempt(ids[0]))
            self._attempts.add(attempt)
            _ = attempt.addBoth(self._ended, attempt, ids[0])

    def _may_begin(self) -> bool:
        return not self._paused and len(self._attempts) < self._concurrency

    def _pause(self) -> float:
        """Seconds until there may be something to do that nobody tells."""
        if not self._may_begin():
            return SWEEP
        ready = self._queue.next_ready()
        return SWEEP if ready is None else min(SWEEP, max(0.0, ready - self._clock.seconds()))

    def _ended(self, result: object, attempt: Deferred[None], record_id: int) -> None:
        self._attempts.discard(attempt)
        if isinstance(result, Failure):  # a defect of ours: the message is neither away nor lost
            log.failure("{exit}: a hand-over ended badly.", result, exit=self.name)
            self._queue.retry(record_id)
        self._work()

    async def _attempt(self, record_id: int) -> None:
        holds = self._holds
        outcome: Outcome | None
        try:
            outcome = await self._hand_over(record_id)
        except WRONG as error:
            if not self._stopping:
                self._crashed("failed", error)
            outcome = CRASH
        if outcome is None:
            self._queue.done([record_id])
            return
        if self._stopping and outcome.kind in (OutcomeKind.TEMPORARY, OutcomeKind.UNREACHABLE):
            self._queue.put_back([record_id])
            return
        reason = word(outcome.reason)
        log.info(
            "{exit}: {kind} ({reason})", exit=self.name, kind=outcome.kind.value, reason=reason
        )
        self._tally.add(outcome.kind, reason)
        if outcome.kind is OutcomeKind.TEMPORARY:
            self._counters.add(Name.RETRIED)
            self._queue.retry(record_id)
        elif outcome.kind is OutcomeKind.UNREACHABLE:
            self._counters.add(Name.RETRIED)
            self._queue.put_back([record_id])
            if holds == self._holds:  # the attempts beside this one say nothing new
                self._holds += 1
                self._queue.hold()
        else:
            delivered = outcome.kind is OutcomeKind.DELIVERED
            self._counters.add(Name.DELIVERED if delivered else Name.FAILED)
            self._queue.up()
            self._queue.done([record_id])
            await self._held.discard([record_id], outcome)

    async def _hand_over(self, record_id: int) -> Outcome | None:
        """One attempt; None when there is no record any more."""
        message = await self._held.load(record_id)
        if not isinstance(message, Message):
            return message
        outcome = await self._within(LONGEST_ATTEMPT, lambda: self._exit.deliver(message))
        if not (isinstance(outcome, Outcome) and isinstance(outcome.kind, OutcomeKind)):
            raise TypeError  # other people's code, and not everybody runs a type checker
        return outcome

    def _sweep(self) -> None:
        try:
            expired = self._queue.expire(self._clock.seconds())
            if expired:
                self._counters.add(Name.EXPIRED, len(expired))
                _ = ensureDeferred(self._held.discard(expired))
        finally:
            self._work()

    def _within(self, seconds: float, call: Callable[[], Awaitable[T]]) -> Deferred[T]:
        """What *call* gives, or a failure in time, whether it lets itself be cancelled or not."""

        async def run() -> T:
            return await call()

        running = ensureDeferred(run())
        result: Deferred[T] = Deferred(lambda _: running.cancel())

        def end(outcome: T | Failure) -> None:
            if not result.called:
                result.callback(outcome)

        _ = running.addBoth(end)
        return result.addTimeout(seconds, self._clock)

    def _wake(self, seconds: float, call: Callable[[], object]) -> None:
        self._timer = self._clock.callLater(seconds, call)

    def _unwake(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _crashed(self, what: str, error: BaseException) -> None:
        """Log a defect of an exit: where it is, never what the exception says."""
        log.error(
            "The exit {exit} {what}: {report}",
            exit=self.name,
            what=what,
            report=faults.report(error),
        )


async def discard(deleting: Awaitable[None], n: int) -> None:
    """Wait until *n* messages that are done with have been deleted.  What cannot be deleted is
    logged, and handed over once more after a restart."""
    try:
        await deleting
    except Exception as error:
        log.error(
            "{n} messages that are done with could not be deleted: {kind}",
            n=n,
            kind=type(error).__name__,
        )
