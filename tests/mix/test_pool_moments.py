"""Stored packets until their moment."""

from mixminion.counters import Counters
from mixminion.crypto.rng import SeededRandom
from mixminion.mix.pool import Pool
from mixminion.mixing.poisson import Poisson
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock

WHERE = b"n" * 32


class PoolTests(SyncTestCase):
    """A pool under the Poisson strategy, and what leaves it."""

    def make(self, tick: float, cap: float = 100.0) -> None:
        """A new one."""
        self.clock = HeapClock(1000.0)
        self.counters = Counters()
        self.left: list[tuple[int, bytes, float, float]] = []
        strategy = Poisson(tick, cap, SeededRandom(b"pool"))
        self.pool = Pool(self.clock, strategy, self._offered, self.counters)

    def _offered(self, record_id: int, destination: bytes, due: float) -> None:
        self.left.append((record_id, destination, due, self.clock.seconds()))

    def test_each_leaves_at_its_tick(self) -> None:
        """Never early; its queue counts from that moment."""
        self.make(0.5)
        for number, delay in enumerate((3.2, 0.1, 1.0, 0.0)):
            self.pool.add(number, WHERE, 1000 + delay, delay)
        self.assertEqual(len(self.pool), 4)
        self.clock.advance(10)
        self.assertEqual(
            [(n, at) for n, _, _, at in self.left],
            [(3, 1000.0), (1, 1000.5), (2, 1001.0), (0, 1003.5)],
        )
        self.assertEqual([due for _, _, due, _ in self.left], [1000.0, 1000.5, 1001.0, 1003.5])
        self.assertEqual((len(self.pool), self.counters["released"]), (0, 4))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_those_of_one_tick_leave_shuffled(self) -> None:
        """The order of their arrival does not show."""
        self.make(1.0)
        for number in range(50):
            self.pool.add(number, WHERE, 1000.5, 0.5)
        self.clock.advance(1)
        order = [n for n, _, _, _ in self.left]
        self.assertEqual(sorted(order), list(range(50)))
        self.assertNotEqual(order, list(range(50)))

    def test_without_delay_and_tick_it_leaves_at_once(self) -> None:
        """In the reactor's next turn, not within the call."""
        self.make(0.0)
        self.pool.add(1, WHERE, 1000.0, 0.0)
        self.assertEqual(self.left, [])
        self.clock.advance(0)
        self.assertEqual(self.left, [(1, WHERE, 1000.0, 1000.0)])

    def test_a_shorter_delay_is_not_kept_waiting(self) -> None:
        """The clock is asked anew when the next moment comes nearer; one timer is enough."""
        self.make(0.0)
        self.pool.add(1, WHERE, 1050.0, 50.0)
        self.pool.add(2, WHERE, 1001.0, 1.0)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(1)
        self.assertEqual([n for n, _, _, _ in self.left], [2])
        self.clock.advance(49)
        self.assertEqual([n for n, _, _, _ in self.left], [2, 1])

    def test_one_that_leaves_may_bring_others(self) -> None:
        """Adding while it releases."""
        self.make(0.0)
        self.pool = Pool(
            self.clock, Poisson(0.0, 9.0, SeededRandom(b"")), self._offered_again, self.counters
        )
        self.pool.add(1, WHERE, 1001.0, 1.0)
        self.clock.advance(10)
        self.assertEqual([n for n, _, _, _ in self.left], [1, 2, 3, 4, 5])

    def _offered_again(self, record_id: int, destination: bytes, due: float) -> None:
        self._offered(record_id, destination, due)
        if record_id < 5:
            self.pool.add(record_id + 1, destination, due + 1, 1.0)

    def test_a_stopped_pool_releases_nothing(self) -> None:
        """Neither what it holds nor what is still added; no timer is left."""
        self.make(0.5)
        self.pool.add(1, WHERE, 1001.0, 1.0)
        self.pool.stop()
        self.pool.add(2, WHERE, 1001.0, 1.0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10)
        self.assertEqual(self.left, [])
