"""Whether this machine's clock is right."""

from __future__ import annotations

from mixminion.mix.clockcheck import ClockCheck
from mixminion.testing.cases import SyncTestCase

NOW = 1_800_000_000


class ClockCheckTests(SyncTestCase):
    """Five authorities."""

    def setUp(self):
        self.check = ClockCheck(5)

    def hear(self, *ahead: float, trip: float = 0.0) -> None:
        """Receipts that show this clock so many seconds ahead, after a round trip."""
        for number, seconds in enumerate(ahead):
            theirs = int(NOW - seconds)
            self.check.heard(bytes([number]), theirs, NOW - trip / 2, NOW + trip / 2)

    def test_right(self):
        """Nothing is said of a clock that is right, or of which nobody has said anything."""
        self.assertEqual((self.check.difference, self.check.wrong), (0.0, False))
        self.hear(0, 1, -1, 59, -59)
        self.assertLess(abs(self.check.difference), 2)
        self.assertEqual(list(self.check.attention()), [])

    def test_sides(self):
        """Ahead and behind, with what to do."""
        for seconds, side in ((80, "79 seconds ahead of"), (-80, "80 seconds behind")):
            self.hear(*[seconds] * 5)
            (sentence,) = self.check.attention()
            self.assertIn(f"clock is {side} the authorities'", sentence)
            self.assertIn("timedatectl", sentence)
            self.assertIn("from 300 seconds on this server publishes nothing", sentence)
            self.assertFalse(self.check.wrong)

    def test_thresholds(self):
        """60 seconds are told, 300 stop publishing; a second more or less is the way's."""
        for seconds, told, wrong in (
            (58, False, False),
            (62, True, False),
            (298, True, False),
            (302, True, True),
            (90_000, True, True),
        ):
            for sign in (1, -1):
                self.hear(*[sign * seconds] * 5)
                self.assertEqual(bool(list(self.check.attention())), told, seconds)
                self.assertEqual(self.check.wrong, wrong, seconds)
        (sentence,) = self.check.attention()
        self.assertIn("1500 minutes", sentence)
        self.assertIn("until then this server publishes nothing", sentence)

    def test_the_way(self):
        """What the way may have taken is in our favour."""
        self.hear(*[90.0] * 5, trip=70)
        self.assertLess(self.check.difference, 56)
        self.hear(*[90.0] * 5, trip=10)
        self.assertGreater(self.check.difference, 83)

    def test_minority(self):
        """Two of five that lie, or are the only ones to answer, neither blame a clock nor
        clear it; three decide."""
        for lie in (10_000, -10_000):
            self.hear(lie, lie)
            self.assertEqual(self.check.difference, 0.0)
            self.hear(lie, lie, 1, 1, 1)
            self.assertLess(abs(self.check.difference), 2)
            self.hear(lie, lie, 400, 400, 400)
            self.assertTrue(398 <= self.check.difference <= 400 or lie > 0)
            self.assertTrue(self.check.wrong)
            self.setUp()
        self.hear(400, 400, 400)
        self.assertTrue(self.check.wrong)

    def test_even_number(self):
        """Of two that differ the nearer one counts, of two that contradict none."""
        for one, other, expected in ((400, 100, 100), (-400, -100, -100), (400, -400, 0)):
            self.check = ClockCheck(2)
            self.hear(one, other)
            self.assertLess(abs(self.check.difference - expected), 2)
        self.check = ClockCheck(2)
        self.hear(400)
        self.assertFalse(self.check.wrong)

    def test_consensus(self):
        """One that begins only later shows a clock that is behind; one in time takes it back."""
        self.check.early(200.0)
        self.assertEqual(self.check.difference, -200)
        self.hear(*[-400] * 5)
        self.assertLess(self.check.difference, -398)
        self.hear(*[-100] * 5)
        self.assertEqual(self.check.difference, -200)
        self.hear(*[400] * 5)
        self.assertGreater(self.check.difference, 398)
        self.hear(*[0] * 5)
        self.check.early(0.0)
        self.assertEqual(list(self.check.attention()), [])

    def test_nobody(self):
        """A server that publishes nowhere learns from consensuses alone."""
        self.check = ClockCheck(0)
        self.assertEqual(self.check.difference, 0.0)
        self.check.early(400.0)
        self.assertTrue(self.check.wrong)
