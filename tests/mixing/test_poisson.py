"""The Poisson strategy holds each packet its time and shows no order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from zope.interface.verify import verifyObject

from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parameters import Parameters
from mixminion.interfaces import IStrategy
from mixminion.mixing.poisson import Poisson
from mixminion.testing.cases import SyncTestCase
from tests.mixing.statistics import uniform_z

NOW = 1_700_000_000.0
CAP = 2400.0


class PoissonTests(SyncTestCase):
    """Packet in, clock ticks, packets out."""

    def make(self, tick: float = 0.1) -> Poisson:
        return Poisson(tick, CAP, SeededRandom(b"poisson"))

    def test_interface(self):
        """It is a strategy."""
        verifyObject(IStrategy, self.make())

    def test_due(self):
        """A packet leaves at the first tick that is its delay away or later, not before."""
        strategy = self.make(tick=10.0)
        strategy.add(1, 12.0, NOW)
        strategy.add(2, 20.0, NOW)
        self.assertEqual(strategy.next_release(), NOW + 20)
        self.assertEqual(strategy.release(NOW + 19.9), [])
        self.assertEqual(len(strategy), 2)
        self.assertEqual(sorted(strategy.release(NOW + 20)), [1, 2])
        self.assertEqual(len(strategy), 0)
        self.assertIsNone(strategy.next_release())

    def test_no_tick(self):
        """Without ticks each leaves when it is due, and at once when that is now."""
        strategy = self.make(tick=0)
        strategy.add(1, 0.0, NOW)
        strategy.add(2, 1.5, NOW)
        self.assertEqual(strategy.next_release(), NOW)
        self.assertEqual(strategy.release(NOW), [1])
        self.assertEqual(strategy.next_release(), NOW + 1.5)

    def test_cap(self):
        """A clock that was set back holds nothing longer than the cap."""
        strategy = self.make(tick=0)
        strategy.add(1, 10 * CAP, NOW)
        self.assertEqual(strategy.next_release(), NOW + CAP)

    def test_adjusted(self):
        """Another tick holds for what comes from then on; a higher cap, too; a lower one not."""
        strategy = self.make(tick=10.0)
        strategy.add(1, 12.0, NOW)
        strategy.adjust(Parameters(tick_ms=7_000, delay_cap_ms=3_000_000))
        strategy.add(2, 12.0, NOW)
        strategy.add(3, 2_900.0, NOW)
        strategy.adjust(Parameters(tick_ms=7_000, delay_cap_ms=1_000))
        strategy.add(4, 2_900.0, NOW)
        ticks: dict[int, float] = {}
        while (now := strategy.next_release()) is not None:
            ticks |= dict.fromkeys(strategy.release(now), now)
        self.assertEqual(ticks[1], NOW + 20)
        for item, due in ((2, NOW + 12), (3, NOW + 2_900), (4, NOW + 2_900)):
            self.assertTrue(due <= ticks[item] < due + 7, item)
            self.assertEqual(ticks[item] % 7, 0)

    def test_shuffled(self):
        """All orders of three packets of a tick are equally likely, however they came."""
        strategy = self.make()
        orders = []
        for _ in range(6000):
            for item, delay in enumerate((0.01, 0.02, 0.03)):
                strategy.add(item, delay, NOW)
            orders.append(tuple(strategy.release(strategy.next_release() or 0)))
        self.assertEqual({len(order) for order in orders}, {3})
        self.assertLess(uniform_z(orders, 6), 3.1)

    def test_shuffle_is_seen(self):
        """The test above sees a favourite order of one in twelve."""
        fair = [(n * 7919) % 6 for n in range(5500)]
        self.assertGreater(uniform_z(fair + [0] * 500, 6), 3.1)

    @given(
        tick=st.sampled_from([0.0, 0.05, 0.1, 1 / 3, 7.0]),
        packets=st.lists(st.tuples(st.floats(0, 3 * CAP), st.floats(0, 1000)), max_size=50),
    )
    def test_each_once(self, tick, packets):
        """Called when it asks to be, it gives out every packet once, none early, none more
        than a tick late, and never asks in vain."""
        strategy = self.make(tick)
        due = {}
        for item, (delay, arrival) in enumerate(packets):
            strategy.add(item, delay, NOW + arrival)
            due[item] = NOW + arrival + min(delay, CAP)
        while (now := strategy.next_release()) is not None:
            leaving = strategy.release(now)
            self.assertTrue(leaving)
            for item in leaving:
                self.assertTrue(-1e-6 <= now - due.pop(item) <= tick + 1e-6)
        self.assertEqual(due, {})
