"""When authorities do what."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixminion.authority.schedule import Schedule, following
from mixminion.testing.cases import SyncTestCase

INTERVALS = st.integers(1, 100_000)
NUMBERS = st.integers(1, 30)


class ScheduleTests(SyncTestCase):
    def test_an_hour(self) -> None:
        """Five authorities: three rounds of six minutes, and two more before the hour."""
        schedule = Schedule(36_000, 3600, 5)
        self.assertEqual((schedule.faults, schedule.rounds, schedule.length), (2, 3, 360))
        self.assertEqual(schedule.opens, 36_000 - 1800 - 360)
        self.assertEqual(schedule.begins, 36_000 - 1800)
        self.assertEqual(schedule.closes, 36_000 - 720)
        moments = (33_000, 34_200, 34_559, 34_560, 35_279, 35_280, 40_000)
        self.assertEqual([schedule.round(each) for each in moments], [0, 1, 1, 2, 3, 4, 4])

    @given(st.floats(0, 1e11), INTERVALS, NUMBERS)
    def test_following(self, now: float, interval: int, n: int) -> None:
        """The next exchange is the first that is not over, whatever floats do."""
        schedule = following(now, interval, n)
        self.assertEqual(schedule.valid_after % interval, 0)
        self.assertGreater(schedule.closes, now)
        self.assertLessEqual(schedule.closes - interval, now + 1e-3)

    @given(st.floats(0, 1e9), INTERVALS, NUMBERS, st.integers(0, 10**9))
    def test_after(self, now: float, interval: int, n: int, after: int) -> None:
        """It does not open before the last consensus, and is the first that does not."""
        schedule = following(now, interval, n, after)
        self.assertGreaterEqual(schedule.opens, after)
        before = Schedule(schedule.valid_after - interval, interval, n)
        self.assertTrue(before.opens < after or before.closes <= now)

    @given(INTERVALS, NUMBERS, st.integers(1, 10**6), st.floats(0, 1))
    def test_rounds(self, interval: int, n: int, number: int, part: float) -> None:
        """Every moment between begin and close is in one of the rounds; none before or after."""
        schedule = Schedule(number * interval, interval, n)
        now = schedule.begins + part * (schedule.closes - schedule.begins)
        if now < schedule.closes:
            self.assertIn(schedule.round(now), range(1, schedule.rounds + 1))
        self.assertEqual(schedule.round(schedule.closes), schedule.rounds + 1)
        self.assertEqual(schedule.round(schedule.begins), 1)
