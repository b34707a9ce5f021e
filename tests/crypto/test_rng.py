"""The generators: their distributions, and that a seed repeats."""

from __future__ import annotations

import statistics
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto.kdf import sha256
from mixminion.crypto.rng import SeededRandom, SystemRandom
from mixminion.crypto.stream import chacha20
from mixminion.testing.cases import SyncTestCase


class RandomTests(SyncTestCase):
    def test_seed_repeats(self) -> None:
        """The stream is ChaCha20 under SHA-256 of the seed, whatever the pieces drawn."""
        a, b = SeededRandom(b"seed"), SeededRandom(b"seed")
        self.assertEqual(a.octets(10) + a.octets(90), b.octets(100))
        self.assertNotEqual(SeededRandom(b"other").octets(16), SeededRandom(b"seed").octets(16))
        self.assertEqual(SeededRandom(b"seed").octets(40), chacha20(sha256(b"seed"), bytes(40)))

    def test_system(self) -> None:
        """The system's generator gives as many octets as asked, new ones each time."""
        random = SystemRandom()
        self.assertEqual([len(random.octets(n)) for n in (0, 1, 1000)], [0, 1, 1000])
        self.assertNotEqual(random.octets(16), random.octets(16))

    @settings(max_examples=100, deadline=None)
    @given(n=st.integers(1, 1 << 70), seed=st.binary(max_size=4))
    def test_below_stays_below(self, n: int, seed: bytes) -> None:
        """0 <= x < n, for small and huge n."""
        self.assertTrue(0 <= SeededRandom(seed).below(n) < n)

    def test_below_is_uniform(self) -> None:
        """Chi-square over 10 values; 0.1 % of seeds would exceed 27.9."""
        random = SeededRandom(b"uniform")
        counts = Counter(random.below(10) for _ in range(10_000))
        self.assertEqual(sorted(counts), list(range(10)))
        self.assertLess(sum((c - 1000) ** 2 / 1000 for c in counts.values()), 27.9)

    def test_below_nothing(self) -> None:
        """Nothing is below zero."""
        self.assertRaises(ValueError, SeededRandom(b"").below, 0)

    def test_uniform(self) -> None:
        """In [0, 1), mean a half, variance a twelfth."""
        random = SeededRandom(b"uniform")
        drawn = [random.uniform() for _ in range(10_000)]
        self.assertTrue(min(drawn) >= 0 and max(drawn) < 1)
        self.assertApproximates(statistics.mean(drawn), 0.5, 0.01)
        self.assertApproximates(statistics.variance(drawn), 1 / 12, 0.003)

    def test_exponential(self) -> None:
        """Mean and median of the exponential distribution."""
        random = SeededRandom(b"exponential")
        drawn = [random.exponential(4.0) for _ in range(10_000)]
        self.assertGreaterEqual(min(drawn), 0)
        self.assertApproximates(statistics.mean(drawn), 4.0, 0.15)
        self.assertApproximates(statistics.median(drawn), 4.0 * 0.6931, 0.15)

    def test_shuffle(self) -> None:
        """Every order of three items comes up about equally often; nothing is lost."""
        random = SeededRandom(b"shuffle")
        orders: Counter[str] = Counter()
        for _ in range(6000):
            items = list("abc")
            random.shuffle(items)
            orders["".join(items)] += 1
        self.assertEqual(len(orders), 6)
        self.assertLess(sum((c - 1000) ** 2 / 1000 for c in orders.values()), 20.5)
