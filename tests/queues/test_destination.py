"""One destination's queue: nothing lost, nothing doubled, nothing before its time."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock

from mixminion.crypto.rng import SeededRandom
from mixminion.queues import Backoff, DestinationQueue
from mixminion.testing.cases import SyncTestCase

BACKOFF = Backoff(first=10.0, factor=2.0, longest=1000.0)
EXPIRY = 200.0


class QueueTests(SyncTestCase):
    """Each operation."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.now = self.clock.seconds()
        random = SeededRandom(b"queue")
        self.queue = DestinationQueue(self.clock, BACKOFF, EXPIRY, random)

    def add(self, *ids: int) -> None:
        for record_id in ids:
            self.queue.add(record_id, self.now)

    def wait(self) -> None:
        """Move the clock to when the queue has something."""
        ready = self.queue.next_ready()
        assert ready is not None
        self.clock.advance(ready - self.clock.seconds())

    def test_order(self):
        """What is ready leaves as it came: the pool's shuffle is not undone by due times."""
        for record_id, due in ((5, -1), (2, -3), (9, -2)):
            self.queue.add(record_id, self.now + due)
        self.assertEqual(self.queue.take(2), [5, 2])
        self.assertEqual(self.queue.take(2), [9])
        self.assertEqual(self.queue.take(2), [])
        self.assertEqual(len(self.queue), 3)

    def test_due(self):
        """Nothing leaves before it is due."""
        self.queue.add(1, self.now + 5)
        self.assertEqual(self.queue.next_ready(), self.now + 5)
        self.clock.advance(4.9)
        self.assertEqual(self.queue.take(1), [])
        self.clock.advance(0.1)
        self.assertEqual(self.queue.take(1), [1])

    def test_added_twice(self):
        """An id that is queued already is not queued again, waiting or in flight."""
        self.add(1, 1)
        self.assertEqual(self.queue.take(9), [1])
        self.add(1)
        self.assertEqual(self.queue.take(9), [])
        self.assertEqual(len(self.queue), 1)

    def test_done(self):
        """What is done is forgotten."""
        self.add(1, 2)
        self.queue.done(self.queue.take(1))
        self.assertEqual(len(self.queue), 1)
        self.assertEqual(self.queue.take(9), [2])
        self.assertIsNone(self.queue.next_ready())

    def test_put_back(self):
        """What a broken link left comes first again, in its order, and at once."""
        self.add(1, 2, 3, 4)
        self.queue.put_back(self.queue.take(2))
        self.assertEqual(self.queue.take(9), [1, 2, 3, 4])

    def test_put_back_not_in_flight(self):
        """Only what is in flight can be put back: the rest would be there twice."""
        self.add(1, 2)
        self.queue.put_back([2, 77])
        self.queue.retry(1)
        self.assertEqual(self.queue.take(9), [1, 2])

    def test_retry(self):
        """A retried id waits longer each time, the others do not wait for it."""
        self.add(1, 2)
        waits = []
        for _ in range(4):
            self.assertIn(1, self.queue.take(9))
            self.queue.done([2])
            before = self.clock.seconds()
            self.queue.retry(1)
            self.add(2)
            self.assertEqual(self.queue.take(9), [2])
            self.queue.done([2])
            self.wait()
            waits.append(self.clock.seconds() - before)
        for wait, whole in zip(waits, (10, 20, 40, 80), strict=True):
            self.assertTrue(whole / 2 <= wait <= whole)

    def test_hold(self):
        """While the destination is away nothing leaves, longer each time; up ends that."""
        self.add(1, 2)
        for whole in (10, 20, 40):
            before = self.clock.seconds()
            self.queue.put_back(self.queue.take(1))
            self.queue.hold()
            self.assertEqual(self.queue.take(9), [])
            self.wait()
            self.assertTrue(whole / 2 <= self.clock.seconds() - before <= whole)
        self.queue.hold()
        self.queue.up()
        self.assertEqual(self.queue.next_ready(), self.clock.seconds())
        self.assertEqual(self.queue.take(9), [1, 2])
        self.queue.put_back([1, 2])
        self.queue.hold()
        self.wait()
        self.assertLessEqual(self.queue.next_ready() or 0, self.clock.seconds() + 10)

    def test_expiry(self):
        """Expiry counts from the due time; what is in flight does not expire."""
        self.add(1, 2)
        self.queue.add(3, self.now + 100)
        self.assertEqual(self.queue.take(1), [1])
        self.assertEqual(self.queue.expire(self.now + EXPIRY - 1), [])
        self.assertEqual(self.queue.expire(self.now + EXPIRY), [2])
        self.assertEqual(self.queue.take(9), [])
        self.assertEqual(len(self.queue), 2)
        self.queue.put_back([1])
        self.assertEqual(self.queue.expire(self.now + EXPIRY), [1])
        self.assertEqual(self.queue.next_ready(), self.now + 100)
        self.assertEqual(self.queue.take(9), [])
        self.assertEqual(self.queue.expire(self.now + EXPIRY + 100), [3])
        self.assertIsNone(self.queue.next_ready())

    def test_nothing_waits(self):
        """Nothing is promised for a queue whose every id is in flight."""
        self.assertIsNone(self.queue.next_ready())
        self.add(1)
        self.queue.take(1)
        self.assertIsNone(self.queue.next_ready())


class QueueMachine(RuleBasedStateMachine):
    """Against a model: where every id is, and since when it may leave."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.clock.advance(1000)
        self.queue = DestinationQueue(self.clock, BACKOFF, EXPIRY, SeededRandom(b"machine"))
        self.next_id = 0
        self.due: dict[int, float] = {}
        self.not_before: dict[int, float] = {}
        self.flying: list[int] = []
        self.held = False

    def some(self, data: st.DataObject) -> list[int]:
        if not self.flying:
            return []
        return data.draw(st.lists(st.sampled_from(self.flying), unique=True, max_size=4))

    @rule(later=st.sampled_from([-50.0, 0.0, 7.0, 300.0]))
    def add(self, later):
        self.next_id += 1
        self.due[self.next_id] = self.clock.seconds() + later
        self.not_before[self.next_id] = self.due[self.next_id]
        self.queue.add(self.next_id, self.due[self.next_id])

    @rule(n=st.integers(0, 5))
    def take(self, n):
        now = self.clock.seconds()
        taken = self.queue.take(n)
        assert len(set(taken)) == len(taken) <= n
        for record_id in taken:
            assert record_id in self.due and record_id not in self.flying
            assert self.not_before[record_id] <= now
        ready = [i for i in self.due if i not in self.flying and self.not_before[i] <= now]
        if not self.held:
            assert len(taken) == min(n, len(ready))
        self.flying += taken

    @rule(data=st.data())
    def done(self, data):
        ids = self.some(data)
        self.queue.done(ids)
        for record_id in ids:
            self.flying.remove(record_id)
            del self.due[record_id]

    @rule(data=st.data())
    def put_back(self, data):
        ids = self.some(data)
        self.queue.put_back(ids)
        for record_id in ids:
            self.flying.remove(record_id)

    @rule(data=st.data())
    def retry(self, data):
        for record_id in self.some(data):
            self.queue.retry(record_id)
            self.flying.remove(record_id)
            self.not_before[record_id] = self.clock.seconds() + BACKOFF.first / 2
            self.held = True  # how long exactly is not the model's to know

    @rule()
    def hold(self):
        self.queue.hold()
        self.held = True
        assert self.queue.take(9) == []

    @rule()
    def up(self):
        self.queue.up()

    @rule(seconds=st.sampled_from([0.0, 1.0, 30.0, 2000.0]))
    def wait(self, seconds):
        self.clock.advance(seconds)
        self.held = self.held and seconds < 2000

    @rule()
    def expire(self):
        now = self.clock.seconds()
        expired = self.queue.expire(now)
        late = {i for i in self.due if i not in self.flying and self.due[i] + EXPIRY <= now}
        assert set(expired) == late and len(expired) == len(late)
        for record_id in expired:
            del self.due[record_id]

    @rule()
    def wait_for_next(self):
        """Whatever waits leaves, when next_ready says so: nothing is stuck."""
        ready = self.queue.next_ready()
        assert (ready is None) == (len(self.due) == len(self.flying))
        if ready is not None:
            self.clock.advance(max(0.0, ready - self.clock.seconds()))
            taken = self.queue.take(1)
            assert len(taken) == 1 and taken[0] in self.due and taken[0] not in self.flying
            self.flying += taken

    @invariant()
    def all_there(self):
        assert len(self.queue) == len(self.due)

    def teardown(self) -> None:
        """In the end everything comes out once."""
        self.queue.up()
        self.clock.advance(2000)
        rest = self.queue.take(10**6)
        assert sorted(rest + self.flying) == sorted(self.due)


class MachineTests(SyncTestCase):
    """Any order of operations."""

    def test_machine(self):
        """Nothing is lost and nothing is doubled."""
        run_state_machine_as_test(
            QueueMachine,
            settings=settings(
                max_examples=60, stateful_step_count=40, deadline=None, database=None
            ),
        )
