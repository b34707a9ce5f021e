"""From taken in to pooled: batches to the workers, one store transaction a batch.

What was taken in waits here, in memory while there is little of it and in the store
alone when there is more, until a worker has room.  The worker's answers become one
shuffled store transaction that writes each new tag, removes the incoming packet and
inserts the pooled one; only packets whose tag was new reach the pool.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.counters import Counters, Name
from mixminion.errors import MixminionError
from mixminion.interfaces import Accepted, Clock, IDelivery, Random
from mixminion.mix.batches import Answer, Drop
from mixminion.mix.cache import PacketCache
from mixminion.mix.periods import KeyPeriods
from mixminion.mix.pool import Pool
from mixminion.mix.slots import BATCH
from mixminion.mix.workers import DIED, WorkerFailed, Workers
from mixminion.sphinx.errors import Reason
from mixminion.sphinx.unwrap import Deliver, Relay, Reply
from mixminion.store import REPLAY, Pooled, Step, Store, Verdict

log = Logger()

IN_MEMORY = 1024
"""Packets kept in memory between being taken in and unwrapped; more are read back."""

UNKNOWN_NEXT = "unknown-next"

RETRY = 1.0
"""Seconds before packets go to the workers again after a batch failed."""


class Pipeline:
    """Unwraps what was taken in and puts it into the pool."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        counters: Counters,
        store: Store,
        workers: Workers,
        periods: KeyPeriods,
        cap_ms: int,
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
        self._periods = periods
        self._cap_ms = cap_ms
        self._knows = knows
        self._pool = pool
        self._delivery = delivery
        self._cache = cache
        self._waiting: deque[int] = deque()
        self._packets: dict[int, bytes] = {}
        self._under_way = 0
        self._alone: deque[int] = deque()
        self._working = self._stopping = self._paused = False
        self._stopped: list[Deferred[None]] = []

    def __len__(self) -> int:
        """Packets taken in and not yet pooled."""
        return len(self._waiting) + len(self._alone) + self._under_way

    def add(self, incoming: int, packet: bytes | None = None) -> None:
        """One packet that is in the store as *incoming*."""
        self._waiting.append(incoming)
        if packet is not None and len(self._packets) < IN_MEMORY:
            self._packets[incoming] = packet
        self.work()

    def work(self) -> None:
        """Give the workers what they have room for."""
        if self._working:
            return
        self._working = True
        while self._workers.room and not (self._stopping or self._paused):
            if self._alone:
                ids = [self._alone.popleft()]
            elif self._waiting:
                ids = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            else:
                break
            self._under_way += len(ids)
            _ = Deferred.fromCoroutine(self._run(ids)).addErrback(self._lost)
        self._working = False

    def stop(self) -> Deferred[None]:
        """Begin no more batches; fires when those under way have ended."""
        self._stopping = True
        if not self._under_way:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._stopped.append(done)
        return done

    # -- one batch -----------------------------------------------------------------------

    async def _run(self, ids: Sequence[int]) -> None:
        try:
            await self._batch(ids)
        except Exception as error:
            await self._broken(error, ids)
        finally:
            self._under_way -= len(ids)
            if self._stopping and not self._under_way:
                stopped, self._stopped = self._stopped, []
                for done in stopped:
                    done.callback(None)
        self.work()

    async def _batch(self, ids: Sequence[int]) -> None:
        held = await self._load(ids)
        accepted = self._periods.accepted(self._clock.seconds())
        answers = await self._workers.unwrap(accepted, list(held.values()))
        now = self._clock.seconds()
        steps = [self._step(n, answer, now) for n, answer in zip(held, answers, strict=True)]
        self._random.shuffle(steps)
        verdicts = await self._store.unwrapped(steps)
        for step, verdict in zip(steps, verdicts, strict=True):
            self._pooled(step, verdict, now)

    async def _load(self, ids: Sequence[int]) -> dict[int, bytes]:
        held = {n: self._packets.pop(n, None) for n in ids}
        missing = [n for n, packet in held.items() if packet is None]
        if missing:
            held |= zip(missing, await self._store.read_incoming(missing), strict=True)
        return {n: packet for n, packet in held.items() if packet is not None}

    def _step(self, incoming: int, answer: Answer | Drop, now: float) -> Step:
        """What the store writes for one answer."""
        if isinstance(answer, Drop):
            self._counters.add("drop-" + answer.reason)
            return Step(incoming)
        result = answer.result
        if result.delay_ms > self._cap_ms:
            self._counters.add("drop-" + Reason.DELAY)
            return Step(incoming)
        due = now + result.delay_ms / 1000
        accepted = self._accept(result, due)
        if isinstance(accepted, str):
            self._counters.add("drop-" + accepted)
            return Step(incoming, answer.period, result.tag)
        pooled = Pooled(accepted.destination, int(due * 1000), accepted.record)
        return Step(incoming, answer.period, result.tag, pooled)

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

    def _pooled(self, step: Step, verdict: Verdict, now: float) -> None:
        """The step is committed."""
        if verdict is REPLAY:
            self._counters.add(Name.REPLAYED)
        if not isinstance(verdict, int) or step.pooled is None:
            return
        self._counters.add(Name.POOLED)
        pooled = step.pooled
        due = pooled.due_ms / 1000
        self._cache.put(verdict, pooled.record)
        self._pool.add(verdict, pooled.destination, due, max(0.0, due - now))

    # -- when it fails ---------------------------------------------------------------------

    async def _broken(self, error: Exception, ids: Sequence[int]) -> None:
        """Nothing of the batch was committed: all of it is still in the store.

        Where workers died over it, each packet goes again alone, and one that ends
        workers alone is dropped.
        """
        if not isinstance(error, MixminionError):
            log.failure("A batch of packets could not be unwrapped.", Failure(error))
        if isinstance(error, WorkerFailed) and error.fields["reason"] == DIED:
            if len(ids) > 1:
                self._alone.extend(ids)
                return
            self._counters.add("drop-worker-died")
            await self._store.unwrapped([Step(ids[0])])
            return
        self._waiting.extendleft(reversed(ids))
        if not self._paused:
            self._paused = True
            self._clock.callLater(RETRY, self._resume)

    def _lost(self, failure: Failure) -> None:
        """Its packets stay stored, and are met again at the next start."""
        log.failure("A packet that ends workers could not be dropped.", failure)

    def _resume(self) -> None:
        self._paused = False
        self.work()
