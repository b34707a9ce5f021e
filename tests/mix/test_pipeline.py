"""From taken in to pooled, with workers and a store that fail in every way."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from twisted.internet.defer import Deferred, fail

from mixminion.counters import Counters
from mixminion.crypto.rng import SeededRandom
from mixminion.interfaces import Accepted
from mixminion.mix import pipeline
from mixminion.mix.batches import Answers
from mixminion.mix.cache import PacketCache
from mixminion.mix.keys import DamagedKey
from mixminion.mix.periods import KeyPeriods
from mixminion.mix.pipeline import UNDER_WAY, Pipeline
from mixminion.mix.pool import Pool
from mixminion.mix.slots import BATCH
from mixminion.mix.unwrapping import Unwrapping
from mixminion.mix.worker import WorkerFailed
from mixminion.mix.workers import InlineWorkers, WorkersDied
from mixminion.mixing.poisson import Poisson
from mixminion.store import Counts, InlineExecutor, Step, Store, StoreError, Verdict
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import START, HeapClock
from tests.mix.kit import GEOMETRY, OTHER, Maker

CAP_MS = 5000
LENGTH = 86_400
PERIOD = int(START // LENGTH)
EXIT = b"exit:collect"


class FakeDelivery:
    """Takes bodies for one exit, but for some."""

    def accept(self, payload: bytes, due: float) -> Accepted | str:
        word = payload.rstrip(b".")
        if word == b"cover":
            return "cover"
        if word == b"fault":
            raise ValueError(payload)
        return Accepted(EXIT, b"%d %s" % (due * 1000, word))


class FakeWorkers(InlineWorkers):
    """Workers that fail when told, and are slow when told."""

    def __init__(self, unwrapping: Unwrapping) -> None:
        super().__init__(unwrapping)
        self.errors: list[Exception] = []
        self.poison: set[bytes] = set()
        self.slow = False
        self.held: list[tuple[Deferred[Answers], Sequence[int], Sequence[bytes]]] = []
        self.sizes: list[int] = []

    def unwrap(self, periods: Sequence[int], packets: Sequence[bytes]) -> Deferred[Answers]:
        self.sizes.append(len(packets))
        if self.poison & set(packets):
            return fail(WorkersDied())
        if self.errors:
            return fail(self.errors.pop(0))
        if not self.slow:
            return super().unwrap(periods, packets)
        waiting: Deferred[Answers] = Deferred()
        self.held.append((waiting, periods, packets))
        return waiting

    def finish(self) -> None:
        """Answer what was held back."""
        held, self.held = self.held, []
        for waiting, periods, packets in held:
            waiting.callback(self._unwrapping.unwrap(periods, packets))


class FailingStore:
    """A store that fails some transactions of one kind."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.unwrapped_errors: list[Exception] = []
        self.read_errors: list[Exception] = []
        self.reading = 0

    def unwrapped(self, steps: Sequence[Step]) -> Deferred[list[Verdict]]:
        if self.unwrapped_errors:
            return fail(self.unwrapped_errors.pop(0))
        return self.store.unwrapped(steps)

    def read_incoming(self, ids: Sequence[int]) -> Deferred[list[bytes | None]]:
        if self.read_errors:
            return fail(self.read_errors.pop(0))
        self.reading = max(self.reading, len(ids))
        return self.store.read_incoming(ids)


class Kit(SyncTestCase):
    """A pipeline over a real store and real keys."""

    def setUp(self) -> None:
        self.clock = HeapClock()
        folder = Path(self.mktemp())
        self.maker = Maker(folder / "keys")
        random = SeededRandom(b"pipeline")
        self.counters = Counters()
        self.cache = PacketCache(2**20)
        self.store = Store.open(
            folder / "store",
            map_size=64 * 2**20,
            in_thread=InlineExecutor(self.clock),
            random=random,
            free_reserve=0,
        )
        self.addCleanup(lambda: self.clock.result_of(self.store.close()))
        self.failing = FailingStore(self.store)
        self.workers = FakeWorkers(Unwrapping(self.maker.keys))
        self.left: list[tuple[int, bytes, float, float]] = []
        self.pool = Pool(
            self.clock,
            Poisson(0.0, CAP_MS / 1000, random),
            lambda n, where, due: self.left.append((n, where, due, self.clock.seconds())),
            self.counters,
        )
        self.known = {OTHER}
        self.pipeline = Pipeline(
            clock=self.clock,
            random=random,
            counters=self.counters,
            store=self.failing,  # type: ignore[arg-type]
            workers=self.workers,
            accepted=KeyPeriods(LENGTH, 0.0).accepted,
            cap_ms=lambda now: CAP_MS,
            knows=lambda node: node in self.known,
            pool=self.pool,
            delivery=FakeDelivery(),  # type: ignore[arg-type]
            cache=self.cache,
        )

    def deliver(self, text: bytes, delay_ms: int = 0) -> bytes:
        """A packet that ends here, of this period."""
        return self.maker.deliver(text, PERIOD, delay_ms)

    def take_in(self, *packets: bytes) -> list[int]:
        """Into the store, and no further."""
        return [self.clock.result_of(self.store.take_in(packet)) for packet in packets]

    def add(self, *packets: bytes) -> None:
        """Into the store and the pipeline."""
        for number, packet in zip(self.take_in(*packets), packets, strict=True):
            self.pipeline.add(number, packet)

    def texts(self) -> list[bytes]:
        """What has left the pool for the exit."""
        ids = [n for n, where, _, _ in self.left if where == EXIT]
        records = self.clock.result_of(self.store.read(ids))
        return sorted(record.split()[1] for record in records if record is not None)

    def counts(self) -> Counts:
        """What is stored."""
        return self.clock.result_of(self.store.counts())

    def assert_counted(self, **counts: int) -> None:
        """These counters and no others."""
        named = {name.replace("_", "-"): n for name, n in counts.items()}
        self.assertEqual(dict(self.counters.snapshot()), named)


class WorkTests(Kit):
    """What becomes of packets."""

    def test_each_packet_goes_its_way(self) -> None:
        """Relayed, delivered, dropped for a reason, never twice; counted once each."""
        packets = [
            self.maker.relay(b"on", PERIOD),
            self.maker.relay(b"lost", PERIOD, node=bytes(32)),
            self.deliver(b"text"),
            self.deliver(b"cover"),
            self.deliver(b"fault"),
            self.deliver(b"slow", CAP_MS + 1),
            bytes(GEOMETRY.packet),
        ]
        self.add(*packets)
        self.clock.advance(1)
        self.assertEqual({where for _, where, _, _ in self.left}, {OTHER, EXIT})
        self.assertEqual(self.texts(), [b"text"])
        first = {"pooled": 2, "released": 2, "drop_cover": 1, "drop_fault": 1}
        first |= {"drop_unknown_next": 1, "drop_delay": 1, "drop_version": 1}
        self.assert_counted(**first)
        self.add(*packets)
        self.clock.advance(1)
        first |= {"drop_delay": 2, "drop_version": 2}
        self.assert_counted(replayed=5, **first)
        counts = self.counts()
        self.assertEqual((counts.incoming, counts.pooled, counts.tags), (0, 2, 5))
        self.assertEqual(len(self.pipeline), 0)

    def test_only_packets_for_others_are_remembered(self) -> None:
        """What is handed over here is plain text, and read from the store."""
        self.add(self.maker.relay(b"on", PERIOD), self.deliver(b"text"))
        self.clock.advance(1)
        held = {where: self.cache.get(n) is not None for n, where, _, _ in self.left}
        self.assertEqual(held, {OTHER: True, EXIT: False})

    def test_a_packet_waits_as_long_as_it_says(self) -> None:
        """Without a delay it leaves at once; its moment is what an exit dates a mail with."""
        self.add(self.deliver(b"now"), self.deliver(b"later", 2000))
        self.clock.advance(0)
        [(_, _, due, at)] = self.left
        self.assertEqual((due, at), (START, START))
        self.clock.advance(10)
        _, (number, _, due, at) = self.left
        self.assertEqual((due, at), (START + 2, START + 2))
        [record] = self.clock.result_of(self.store.read([number]))
        self.assertEqual(record, b"%d later" % ((START + 2) * 1000))

    def test_packets_go_in_full_batches_when_many_wait(self) -> None:
        """Also when the first came alone."""
        self.workers.room = False
        self.add(*[self.deliver(b"%d" % n) for n in range(40)])
        self.assertEqual(len(self.pipeline), 40)
        self.workers.room = True
        self.pipeline.work()
        self.assertEqual(self.workers.sizes, [BATCH, BATCH, 8])
        self.clock.advance(1)
        self.assertEqual(len(self.texts()), 40)

    def test_a_full_store_is_taken_up_without_filling_the_memory(self) -> None:
        """At a start: in full batches, no more than UNDER_WAY at one time."""
        self.patch(pipeline, "UNDER_WAY", 64)
        self.assertTrue(UNDER_WAY <= 1024)
        ids = self.take_in(*[self.deliver(b"%d" % n) for n in range(200)])
        self.workers.slow = True
        self.pipeline.take_up(ids)
        self.clock.advance(1)
        self.assertEqual(self.workers.sizes, [BATCH] * 4)
        self.workers.slow = False
        self.workers.finish()
        self.clock.advance(1)
        self.assertEqual(len(self.texts()), 200)
        self.assertEqual(set(self.workers.sizes), {BATCH, 8})

    def test_what_is_not_kept_in_memory_is_read_back(self) -> None:
        """And a packet that was dealt with before is left alone."""
        self.patch(pipeline, "IN_MEMORY", 1)
        self.workers.room = False
        self.add(*[self.deliver(b"%d" % n) for n in range(3)])
        self.workers.room = True
        self.pipeline.take_up([1, 99])
        self.clock.advance(1)
        self.assertEqual(self.texts(), [b"0", b"1", b"2"])
        self.assert_counted(pooled=3, released=3)

    def test_a_key_whose_time_ends_meanwhile_opens_nothing(self) -> None:
        """Its tags may be gone already: a replay would pass."""
        self.clock.advance(LENGTH - START % LENGTH - 1)
        self.workers.slow = True
        self.add(self.deliver(b"late"))
        self.clock.advance(1)
        self.workers.finish()
        self.clock.advance(1)
        self.assert_counted(drop_mac=1)
        self.assertEqual(self.counts().tags, 0)


class FailureTests(Kit):
    """Workers and a store that fail."""

    def setUp(self) -> None:
        super().setUp()
        self.packets = [self.deliver(b"%d" % n) for n in range(10)]

    def add_together(self) -> None:
        """All in one batch."""
        self.workers.room = False
        self.add(*self.packets)
        self.workers.room = True
        self.pipeline.work()

    def test_a_batch_that_failed_is_tried_again_and_counted_once(self) -> None:
        """Unwrapped, read or written: what failed is still in the store."""
        for errors, error in (
            (self.workers.errors, WorkerFailed(reason="os-error")),
            (self.failing.unwrapped_errors, StoreError(problem="no")),
        ):
            self.packets = [self.deliver(b"x"), self.deliver(b"cover")]
            errors.append(error)
            before = replace(self.counts())
            self.add_together()
            self.clock.advance(0.4)
            self.assertEqual(self.counts(), replace(before, incoming=2, used=self.counts().used))
            self.clock.advance(1)
        self.assert_counted(pooled=2, released=2, drop_cover=2)

    def test_a_batch_without_room_goes_one_by_one(self) -> None:
        """The disk may have room for one where it has none for sixteen."""
        self.failing.unwrapped_errors.append(StoreError(problem="no room"))
        self.add_together()
        self.clock.advance(2)
        self.assertEqual(len(self.texts()), 10)
        self.assertEqual(self.workers.sizes, [10] + [1] * 10)

    def test_a_read_that_failed_is_tried_again(self) -> None:
        """From the store alone, as after a start."""
        ids = self.take_in(*self.packets)
        self.failing.read_errors.append(StoreError(problem="no"))
        self.pipeline.take_up(ids)
        self.clock.advance(2)
        self.assertEqual(len(self.texts()), 10)

    def test_failures_in_a_row_are_tried_less_and_less_often(self) -> None:
        """A damaged key: nothing is lost, nothing is hot; a batch that works ends the pauses."""
        damaged = DamagedKey(path="/home/keys/packet-1.key")
        self.workers.errors = [damaged] * 100
        self.add_together()
        self.clock.advance(600)
        self.assertIs(self.pipeline.problem, damaged)
        self.assertTrue(10 < len(self.workers.sizes) < 30, self.workers.sizes)
        self.workers.errors.clear()
        self.clock.advance(60)
        self.assertEqual(len(self.texts()), 10)
        self.assertIsNone(self.pipeline.problem)
        self.workers.errors.append(WorkerFailed(reason="os-error"))
        self.add(self.deliver(b"next"))
        self.clock.advance(1)
        self.assertEqual(len(self.texts()), 11)

    def test_a_packet_that_ends_workers_is_found_and_dropped(self) -> None:
        """Its neighbours go on."""
        self.workers.poison = {self.packets[3]}
        self.add_together()
        self.clock.advance(1)
        self.assertEqual(len(self.texts()), 9)
        self.assertEqual(self.workers.sizes, [10] + [1] * 10)
        self.assert_counted(pooled=9, released=9, drop_workers_died=1)
        self.assertEqual(self.counts().incoming, 0)

    def test_a_packet_that_ends_workers_while_the_store_fails(self) -> None:
        """It is dropped later, and only it."""
        self.packets = self.packets[:1]
        self.workers.poison = {self.packets[0]}
        self.failing.unwrapped_errors.append(StoreError(problem="no"))
        self.add_together()
        self.clock.advance(2)
        self.assert_counted(drop_workers_died=1)
        self.assertEqual(self.counts().incoming, 0)

    def test_a_defect_of_ours_loses_nothing(self) -> None:
        """It is logged, and the batch tried again."""
        self.workers.errors.append(ZeroDivisionError())
        self.add_together()
        self.clock.advance(2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(self.texts()), 10)


class StopTests(Kit):
    """How it ends."""

    def test_a_stop_waits_for_what_is_under_way(self) -> None:
        """And begins nothing more."""
        self.workers.slow = True
        self.add(self.deliver(b"begun"))
        stopped = self.pipeline.stop()
        self.add(self.deliver(b"not begun"))
        self.assertNoResult(stopped)
        self.workers.finish()
        self.clock.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(self.workers.sizes, [1])
        self.assertEqual(self.counts().incoming, 1)

    def test_a_stop_in_a_pause_leaves_no_timer(self) -> None:
        """Nor does a batch that fails while it waits."""
        self.workers.errors.append(WorkerFailed(reason="os-error"))
        self.add(self.deliver(b"failed"))
        self.successResultOf(self.pipeline.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.setUp()
        self.workers.slow = True
        self.add(self.deliver(b"failed"))
        stopped = self.pipeline.stop()
        self.workers.held[0][0].errback(WorkerFailed(reason="stopping"))
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.counts().incoming, 1)

    def test_a_stop_of_one_that_is_idle_is_over_at_once(self) -> None:
        """Nothing is under way."""
        self.assertIsNone(self.successResultOf(self.pipeline.stop()))
