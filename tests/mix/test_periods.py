"""Key periods at their borders."""

from mixminion.mix.periods import EARLY, KeyPeriods
from mixminion.testing.cases import SyncTestCase

WEEK = 7 * 86400
DAY = 86400.0


class KeyPeriodsTests(SyncTestCase):
    """Which keys are tried, published and erased, and when."""

    periods = KeyPeriods(WEEK, grace=DAY)

    def test_in_the_middle_of_a_period_only_its_own_key_opens(self) -> None:
        """Far from both borders nothing else is accepted."""
        self.assertEqual(self.periods.accepted(10 * WEEK + 3 * DAY), (10,))

    def test_the_next_key_opens_ten_minutes_early(self) -> None:
        """Senders' clocks may be ahead by EARLY, and by no more."""
        border = 11 * WEEK
        self.assertEqual(self.periods.accepted(border - EARLY), (10, 11))
        self.assertEqual(self.periods.accepted(border - EARLY - 1), (10,))

    def test_the_last_key_opens_through_its_grace_and_not_after(self) -> None:
        """The current key is tried first, the last one after it."""
        border = 11 * WEEK
        self.assertEqual(self.periods.accepted(border), (11, 10))
        self.assertEqual(self.periods.accepted(border + DAY - 1), (11, 10))
        self.assertEqual(self.periods.accepted(border + DAY), (11,))

    def test_a_grace_of_several_periods_keeps_several_keys(self) -> None:
        """Short periods, as tests use them, with a grace that spans two."""
        self.assertEqual(KeyPeriods(10, grace=25.0).accepted(100.0), (10, 11, 9, 8, 7))
        self.assertEqual(KeyPeriods(10, grace=25.0).accepted(106.0), (10, 11, 9, 8))

    def test_kept_is_what_is_accepted_or_published(self) -> None:
        """Past its grace a key goes; keys published ahead stay."""
        border = 11 * WEEK
        self.assertEqual(self.periods.kept(border + DAY - 1), (10, 11, 12, 13))
        self.assertEqual(self.periods.kept(border + DAY), (11, 12, 13))
