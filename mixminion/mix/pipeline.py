"""From taken in to pooled: batches to the workers, one store transaction a batch.

What was taken in waits here, in memory while there is little of it and in the store
alone when there is more, until a worker has room.  The worker's answers become one
shuffled store transaction that writes each new tag, removes the incoming packet and
inserts the pooled one; only packets whose tag was new reach the pool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.counters import Counters, Name
from mixminion.errors import MixminionError
from mixminion.interfaces import Accepted, Clock, IDelivery, Random
from mixminion.mix.batches import Answer, Drop
from mixminion.mix.cache import PacketCache
from mixminion.mix.pool import Pool
from mixminion.mix.slots import BATCH
from mixminion.mix.workers import Workers, WorkersDied
from mixminion.queues import Backoff
from mixminion.sphinx.errors import Reason
from mixminion.sphinx.unwrap import Deliver, Relay, Reply
from mixminion.store import DROPPED, REPLAY, Pooled, Step, Store, StoreError, Verdict

log = Logger()

IN_MEMORY = 1024
"""Packets kept in memory between being taken in and unwrapped; more are read back."""

UNDER_WAY = 512
"""Packets on their way through the workers and the store's transaction at one time: what a
slow disk, or a start with a full store, may take of the memory."""

UNKNOWN_NEXT = "unknown-next"
FAULT = "fault"
WORKERS_DIED = "workers-died"

RETRY = Backoff(first=1.0, factor=2.0, longest=60.0)
"""When packets go to the workers again after a batch failed."""


@dataclass(frozen=True, slots=True)
class _Fate:
    """What becomes of a packet, once it is written: *reason* says why it is dropped, if it is."""

    step: Step
    reason: str | None = None


class Pipeline:
    """Unwraps what was taken in and puts it into the pool.

    *accepted* gives the key periods whose keys open packets at a time, in the order in which
    they are tried, *cap_ms* the longest delay that is not dropped at a time.  ``problem`` is why
    the last batch was put back, if it was.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        counters: Counters,
        store: Store,
        workers: Workers,
        accepted: Callable[[float], Sequence[int]],
        cap_ms: Callable[[float], int],
        knows: Callable[[bytes], bool],
        pool: Pool,
        delivery: IDelivery,
        cache: PacketCache,
    ) -> None:
        self._clock = clock
        self._random = random
        self._counters = counters
        self._store = store
        self._workers = workers
        self._accepted = accepted
        self._cap_ms = cap_ms
        self._knows = knows
        self._pool = pool
        self._delivery = delivery
        self._cache = cache
        self._waiting: deque[int] = deque()
        self._packets: dict[int, bytes] = {}
        self._under_way = 0
        self._alone: deque[int] = deque()
        self._working = self._stopping = False
        self._failures = 0
        self.problem: MixminionError | None = None
        self._pause: IDelayedCall | None = None
        self._stopped: list[Deferred[None]] = []

    def __len__(self) -> int:
        """Packets taken in and not yet pooled."""
        return len(self._waiting) + len(self._alone) + self._under_way

    def add(self, incoming: int, packet: bytes) -> None:
        """One packet that is in the store as *incoming*."""
        if len(self._packets) < IN_MEMORY:
            self._packets[incoming] = packet
        self.take_up([incoming])

    def take_up(self, incoming: Iterable[int]) -> None:
        """Packets that are in the store alone."""
        self._waiting.extend(incoming)
        self.work()

    def work(self) -> None:
        """Give the workers what they have room for."""
        if self._working:
            return
        self._working = True
        try:
            while self._workers.room and self._under_way < UNDER_WAY:
                if self._stopping or self._pause is not None:
                    break
                if self._alone:
                    ids = [self._alone.popleft()]
                elif self._waiting:
                    ids = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                else:
                    break
                self._under_way += len(ids)
                _ = Deferred.fromCoroutine(self._run(ids))
        finally:
            self._working = False

    def stop(self) -> Deferred[None]:
        """Begin no more batches; fires when those under way have ended."""
        self._stopping = True
        if self._pause is not None:
            self._pause.cancel()
        if not self._under_way:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._stopped.append(done)
        return done

    # -- one batch -----------------------------------------------------------------------

    async def _run(self, ids: Sequence[int]) -> None:
        try:
            try:
                await self._batch(ids)
            except WorkersDied:
                await self._isolate(ids)
            self._failures, self.problem = 0, None
        except Exception as error:
            self._put_back(ids, error)
        self._under_way -= len(ids)
        if self._stopping and not self._under_way:
            stopped, self._stopped = self._stopped, []
            for done in stopped:
                done.callback(None)
        self.work()

    async def _batch(self, ids: Sequence[int]) -> None:
        fates = await self._unwrap(ids)
        now = self._clock.seconds()
        self._random.shuffle(fates)
        committed = self._store.unwrapped([fate.step for fate in fates])
        self.work()
        for fate, verdict in zip(fates, await committed, strict=True):
            self._settled(fate, verdict, now)

    async def _unwrap(self, ids: Sequence[int]) -> list[_Fate]:
        held = await self._load(ids)
        accepted = self._accepted(self._clock.seconds())
        answers = await self._workers.unwrap(accepted, list(held.values()))
        now = self._clock.seconds()
        # A key whose time ended meanwhile may have lost its tags: what it opened could be a replay.
        accepted = self._accepted(now)
        return [
            self._fate(incoming, answer, accepted, now)
            for incoming, answer in zip(held, answers, strict=True)
        ]

    async def _load(self, ids: Sequence[int]) -> dict[int, bytes]:
        held = {n: self._packets.pop(n, None) for n in ids}
        missing = [n for n, packet in held.items() if packet is None]
        if missing:
            held |= zip(missing, await self._store.read_incoming(missing), strict=True)
        return {n: packet for n, packet in held.items() if packet is not None}

    def _fate(
        self, incoming: int, answer: Answer | Drop, accepted: Sequence[int], now: float
    ) -> _Fate:
        if isinstance(answer, Drop):
            return _Fate(Step(incoming), answer.reason)
        if answer.period not in accepted:
            return _Fate(Step(incoming), Reason.MAC)
        result = answer.result
        if result.delay_ms > self._cap_ms(now):
            return _Fate(Step(incoming), Reason.DELAY)
        due = now + result.delay_ms / 1000
        try:
            taken = self._accept(result, due)
        except Exception as error:  # its text might quote the packet
            log.error("A packet could not be accepted: {kind}", kind=type(error).__name__)
            taken = FAULT
        if isinstance(taken, str):
            return _Fate(Step(incoming, answer.period, result.tag), taken)
        pooled = Pooled(taken.destination, int(due * 1000), taken.record)
        return _Fate(Step(incoming, answer.period, result.tag, pooled))

    def _accept(self, result: Relay | Deliver | Reply, due: float) -> Accepted | str:
        if isinstance(result, Relay):
            if not self._knows(result.next):
                return UNKNOWN_NEXT
            return Accepted(result.next, result.packet)
        if isinstance(result, Deliver):
            return self._delivery.accept(result.body, due)
        return self._delivery.accept_reply(
            result.surb_id, result.exit, result.address, result.payload, due
        )

    def _settled(self, fate: _Fate, verdict: Verdict, now: float) -> None:
        """The step is committed; one that was GONE had been counted before."""
        pooled = fate.step.pooled
        if verdict is REPLAY:
            self._counters.add(Name.REPLAYED)
        elif verdict is DROPPED:
            self._counters.add(f"drop-{fate.reason}")
        elif isinstance(verdict, int) and pooled is not None:
            self._counters.add(Name.POOLED)
            due = pooled.due_ms / 1000
            if self._knows(pooled.destination):  # exits read what they hand over themselves
                self._cache.put(verdict, pooled.record)
            self._pool.add(verdict, pooled.destination, due, max(0.0, due - now))

    # -- when it fails ---------------------------------------------------------------------

    async def _isolate(self, ids: Sequence[int]) -> None:
        """Workers died over these: each goes again alone, and one that ends workers alone is
        dropped."""
        if len(ids) > 1:
            self._alone.extend(ids)
            return
        for verdict in await self._store.unwrapped([Step(ids[0])]):
            self._settled(_Fate(Step(ids[0]), WORKERS_DIED), verdict, 0.0)

    def _put_back(self, ids: Sequence[int], error: Exception) -> None:
        """Nothing was committed: all of it is still in the store, and is tried again after a
        pause; one by one where the disk may have had no room for a whole batch."""
        if len(ids) == 1 or isinstance(error, StoreError):
            self._alone.extendleft(reversed(ids))
        else:
            self._waiting.extendleft(reversed(ids))
        if self._stopping or self._pause is not None:
            return
        if isinstance(error, MixminionError):
            self.problem = error
            reason = error.fields.get("reason", error.code)
            log.error("Packets could not be unwrapped ({reason}); tried again.", reason=reason)
        else:
            log.failure("A batch of packets could not be unwrapped.", Failure(error))
        self._failures += 1
        wait = RETRY.wait(self._failures, self._random)
        self._pause = self._clock.callLater(wait, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self.work()
