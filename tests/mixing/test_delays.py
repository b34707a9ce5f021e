"""Delays have the distribution they are said to have."""

from __future__ import annotations

import math
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from mixminion.crypto.rng import SeededRandom, SystemRandom
from mixminion.mixing import delays
from mixminion.testing.cases import SyncTestCase
from tests.mixing.statistics import ks_p

N = 20_000
MEAN, CAP = 240_000, 2_400_000


def truncated(mean: float, cap: float) -> Callable[[float], float]:
    """The distribution function, written down from its definition: P(X <= x | X <= cap)."""
    whole = 1 - math.exp(-cap / mean)
    return lambda x: (1 - math.exp(-x / mean)) / whole


class TruncatedExponentialTests(SyncTestCase):
    """What senders draw."""

    def draw(self, mean: int, cap: int) -> list[float]:
        random = SeededRandom(b"delays %d %d" % (mean, cap))
        return [delays.truncated_exponential(random, mean, cap) + 0.5 for _ in range(N)]

    def test_distribution(self):
        """With caps far out and near the mean: Kolmogorov-Smirnov, p > 0.001."""
        for mean, cap in ((MEAN, CAP), (MEAN, MEAN), (MEAN, MEAN // 2)):
            with self.subTest(mean=mean, cap=cap):
                self.assertGreater(ks_p(self.draw(mean, cap), truncated(mean, cap)), 0.001)

    def test_wrong_rate(self):
        """The test sees a mean that is 4 % off, and a clamped distribution."""
        self.assertLess(ks_p(self.draw(MEAN, CAP), truncated(MEAN * 1.04, CAP)), 0.001)
        random = SeededRandom(b"clamped")
        clamped = [min(random.exponential(MEAN), MEAN) for _ in range(N)]
        self.assertLess(ks_p(clamped, truncated(MEAN, MEAN)), 0.001)

    @given(mean=st.integers(0, 10**9), cap=st.integers(0, 2**31))
    def test_bounds(self, mean, cap):
        """Whole milliseconds between nothing and the cap, also at the ends of the generator."""

        class Largest(SystemRandom):
            def uniform(self) -> float:
                return 1 - 2.0**-53

        for random in (SystemRandom(), Largest()):
            delay = delays.truncated_exponential(random, mean, cap)
            self.assertIsInstance(delay, int)
            self.assertTrue(0 <= delay <= cap)

    def test_no_delay(self):
        """A mean of nothing is no delay."""
        self.assertEqual(delays.truncated_exponential(SystemRandom(), 0, CAP), 0)


class FreshTests(SyncTestCase):
    """What waits after a stop."""

    def test_not_yet_due(self):
        """What was not yet due keeps its moment, within the cap."""
        random = SystemRandom()
        self.assertEqual(delays.fresh(random, MEAN, CAP, due_ms=5000, now_ms=2000), 3000)
        self.assertEqual(delays.fresh(random, MEAN, CAP, due_ms=9 * CAP, now_ms=0), CAP)

    def test_overdue(self):
        """What fell due meanwhile draws again from the senders' distribution."""
        random = SeededRandom(b"fresh")
        drawn = [delays.fresh(random, MEAN, CAP, due_ms=n, now_ms=N) + 0.5 for n in range(N)]
        self.assertGreater(ks_p(drawn, truncated(MEAN, CAP)), 0.001)
