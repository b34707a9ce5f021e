"""Waits after failures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixminion.crypto.rng import SystemRandom
from mixminion.queues import Backoff
from mixminion.testing.cases import SyncTestCase

BACKOFF = Backoff(first=2.0, factor=3.0, longest=100.0)


class BackoffTests(SyncTestCase):
    """Exponential, bounded, jittered."""

    @given(failures=st.integers(1, 10**6))
    def test_bounds(self, failures):
        """Between half and all of the exponential wait, whatever the number of failures."""
        whole = min(100.0, 2.0 * 3.0 ** min(failures - 1, 50))
        wait = BACKOFF.wait(failures, SystemRandom())
        self.assertTrue(whole / 2 <= wait <= whole)

    def test_jitter(self):
        """Two that failed together do not return together."""
        random = SystemRandom()
        waits = {BACKOFF.wait(1, random) for _ in range(100)}
        self.assertGreater(len(waits), 95)
        self.assertLess(min(waits), 1.2)
        self.assertGreater(max(waits), 1.8)
