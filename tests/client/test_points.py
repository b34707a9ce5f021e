"""The schedule alone: when its points are, and what is got ready for them."""

from itertools import pairwise
from math import exp

from twisted.internet.task import Clock

from mixminion.client.points import ASLEEP, LEAD, Points, mean_gap
from mixminion.crypto.rng import SeededRandom
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.mixing.statistics import ks_p


class Loading:
    """Notes when it was asked to do what."""

    def __init__(self, clock):
        self.clock = clock
        self.prepared, self.left, self.out = [], [], []

    def prepare(self):
        self.prepared.append(self.clock.seconds())
        return len(self.prepared)

    def leave(self, load):
        self.left.append((load, self.clock.seconds()))

    def leave_out(self, load):
        self.out.append(load)


class PointsTests(SyncTestCase):
    def setUp(self):
        self.clock = HeapClock()
        self.loading = Loading(self.clock)
        self.mean = 60.0
        self.points = Points(self.clock, SeededRandom(b"points"), lambda: self.mean, self.loading)

    def test_poisson(self):
        """The gaps are exponential, of that mean, and one says nothing of the next."""
        self.points.start()
        self.clock.advance(7 * 86_400)
        times = [time for _, time in self.loading.left]
        gaps = [b - a for a, b in pairwise(times)]
        self.assertGreater(ks_p(gaps, lambda x: 1 - exp(-x / 60)), 0.001)
        long = [b for a, b in pairwise(gaps) if a > 60]
        self.assertGreater(ks_p(long, lambda x: 1 - exp(-x / 60)), 0.001)

    def test_ready_before(self):
        """Each has its lead, also where points are closer; what was prepared first leaves first."""
        self.points.start()
        self.clock.advance(86_400)
        self.assertEqual(
            [load for load, _ in self.loading.left], sorted(load for load, _ in self.loading.left)
        )
        begun = self.loading.prepared
        early = [time - begun[load - 1] for load, time in self.loading.left]
        self.assertEqual({round(each, 6) for each in early[1:]}, {LEAD})

    def test_asleep(self):
        """After the machine slept, what was missed is not made up for, in a burst."""
        clock = Clock()  # shows every late call the time it is, as a machine that wakes does
        loading = Loading(clock)
        Points(clock, SeededRandom(b"points"), lambda: 60.0, loading).start()
        for _ in range(600):
            clock.advance(1)
        before = len(loading.left)
        self.assertGreater(before, 3)
        clock.advance(86_400)
        self.assertEqual(len(loading.left), before)
        for _ in range(3600):
            clock.advance(1)
        self.assertLess(abs(len(loading.left) - before - 60), 35)
        self.assertGreater(ASLEEP, 1)

    def test_stop(self):
        """Nothing leaves any more, and what was ready is said to stay."""
        self.points.start()
        self.clock.run_until(lambda: len(self.loading.prepared) > len(self.loading.left) + 0)
        ready = set(range(1, len(self.loading.prepared) + 1)) - {x for x, _ in self.loading.left}
        self.points.stop()
        self.clock.advance(3600)
        self.assertEqual(set(self.loading.out), ready)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertFalse(self.points.running)

    def test_rate(self):
        """From the network's mean delay; slower if somebody wants that."""
        self.assertEqual([mean_gap(240), mean_gap(240, 3), mean_gap(0.5)], [60.0, 180.0, 1.0])
        self.mean = 600.0
        self.points.start()
        self.clock.advance(7 * 86_400)
        self.assertLess(abs(len(self.loading.left) - 1008), 110)
