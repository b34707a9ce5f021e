"""Lengths of paths."""

from __future__ import annotations

from collections import Counter

from mixminion.crypto.rng import SeededRandom
from mixminion.errors import render
from mixminion.paths.errors import NeverFits, PathTooLong, PathTooShort
from mixminion.paths.language import parse
from mixminion.paths.lengths import draw_counts
from mixminion.testing.cases import SyncTestCase


class DrawTests(SyncTestCase):
    """How many servers each element stands for."""

    def setUp(self):
        self.random = SeededRandom(b"lengths".ljust(32))

    def draw(self, text: str, least: int = 2, usual: int = 4, most: int = 5) -> tuple[int, ...]:
        return draw_counts(parse(text), least=least, usual=usual, most=most, random=self.random)

    def test_fixed(self):
        """Names, ? and *n have their number, up to what a header holds."""
        self.assertEqual(self.draw("alice,?,*2"), (1, 1, 2))
        self.assertEqual(self.draw("*5"), (5,))
        self.assertEqual(self.draw("alice", least=1), (1,))

    def test_drawn(self):
        """~n gives every length from the least to the network's own, and none beyond."""
        totals = Counter(sum(self.draw("~3")) for _ in range(2000))
        self.assertEqual(sorted(totals), [2, 3, 4])
        # Normal around 3 with deviation 1.5: a length of 3 is the likeliest, 2 and 4 alike.
        self.assertGreater(totals[3], totals[2])
        self.assertLess(abs(totals[2] - totals[4]), 200)

    def test_several(self):
        """All of them are drawn until they fit together, beside what is fixed."""
        for _ in range(300):
            one, fixed, two = self.draw("~2,alice,~2")
            self.assertEqual(fixed, 1)
            self.assertTrue(2 <= one + fixed + two <= 4)

    def test_may_be_nothing(self):
        """Beside a whole path, ~n is drawn until it is no hop at all."""
        self.assertEqual(self.draw("a,b,c,d,~2")[4], 0)

    def test_refused(self):
        """Too long, too short, never fitting: each says how long it may be."""
        for text, error, part in (
            ("*6", PathTooLong, "has 6 hops and this network's packets have room for 5"),
            ("*5,~1", PathTooLong, "room for 4"),
            ("?", PathTooShort, "has 1 hop and needs 2"),
            ("~200", NeverFits, "between 2 and 4 hops"),
        ):
            with self.subTest(text):
                self.assertIn(part, render(self.assertRaises(error, self.draw, text)))
