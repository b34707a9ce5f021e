"""Key periods at their borders, and as consensuses list them."""

from __future__ import annotations

from collections.abc import Sequence

from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.view import View
from mixminion.mix.periods import EARLY, MOST, KeyPeriods, Period
from mixminion.sphinx import geometry as geometries
from mixminion.testing.cases import SyncTestCase
from tests.directory import network

WEEK = 7 * 86400
DAY = 86400.0
XWING, X25519 = (geometries.default(suite) for suite in ("xwing", "x25519"))


class KeyPeriodsTests(SyncTestCase):
    """Which keys are tried, published and erased, and when."""

    periods = KeyPeriods(WEEK, grace=DAY)

    def published(self, now: float) -> list[int]:
        return [each.number for each in self.periods.published(now)]

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

    def test_short_periods(self) -> None:
        """As tests use them: a grace that spans two; early is the next one only, since the
        others may still get other keys."""
        short = KeyPeriods(10, grace=25.0)
        self.assertEqual(short.accepted(100.0), (10, 11, 9, 8, 7))
        self.assertEqual(short.accepted(106.0), (10, 11, 9, 8))
        self.assertEqual(short.accepted(4.0), (0, 1))

    def test_without_a_consensus_two_are_published_ahead(self) -> None:
        """As for a server that is made before it knows any, in the usual suite."""
        self.assertEqual(self.published(10 * WEEK), [10, 11, 12])
        wanted = self.periods.wanted(10 * WEEK)
        self.assertEqual([each.begun for each in wanted], [True, False, False])
        self.assertEqual({each.geometry for each in wanted}, {XWING})

    def test_past_its_grace_a_key_goes_and_those_ahead_stay(self) -> None:
        """Whether they are published or not."""
        border = 11 * WEEK
        ahead = range(11, 11 + MOST + 1)
        self.assertEqual(self.periods.kept(border + DAY - 1), (10, *ahead))
        self.assertEqual(self.periods.kept(border + DAY), tuple(ahead))


def periods(*suites: str, first: int = 10, begins: int = 5000, length: int = 100) -> KeyPeriods:
    """Periods of those suites, one after the other."""
    listed = (
        Period(first + n, begins + n * length, begins + (n + 1) * length, geometries.default(suite))
        for n, suite in enumerate(suites)
    )
    return KeyPeriods(100, 50.0, tuple(listed))


class ListedTests(SyncTestCase):
    """Periods that a consensus lists; their numbers and borders are its own."""

    def numbers(self, listed: KeyPeriods, now: float) -> list[int]:
        return [each.number for each in listed.published(now)]

    def test_of_a_consensus(self) -> None:
        """Number, borders and geometry of each; a suite that is not known here has none."""
        now, second, third = network.consensus().key_periods
        strange = PacketGeometry(suite="hqc", hops=4, commands=82, packet=32_768, digest=bytes(32))
        x25519 = PacketGeometry.make("x25519", commands=304)
        ahead = [
            type(each)(
                number=each.number,
                begins=each.begins,
                ends=each.ends,
                geometry=geometry,
                keys=each.keys,
            )
            for each, geometry in ((second, x25519), (third, strange))
        ]
        parameters = Parameters(peer_queue_expiry=7)
        consensus = network.consensus(key_periods=(now, *ahead), parameters=parameters)
        found = KeyPeriods.of(View(consensus, []))
        self.assertEqual((found.length, found.grace), (WEEK, 7 + 2 * 4 * 2400))
        self.assertEqual([each.geometry for each in found.listed], [XWING, X25519, None])
        self.assertEqual(found.listed[1].begins, second.begins)
        wanted = found.wanted(network.NOW)
        self.assertEqual([each.period for each in wanted], [now.number, second.number])
        self.assertEqual([each.geometry for each in wanted], [XWING, X25519])

    def test_borders(self) -> None:
        """Also of periods before and after, which are as long as key periods are now."""
        listed = periods("xwing", "x25519")
        for now, number in (
            (4999, 9),
            (5000, 10),
            (5099.9, 10),
            (5100, 11),
            (5200, 12),
            (5430, 14),
        ):
            self.assertEqual(listed.current(now), number, now)
        self.assertEqual([listed.begins(n) for n in (8, 9, 10, 11, 12, 13)],
                         [4800, 4900, 5000, 5100, 5200, 5300])  # fmt: skip

    def test_those_that_have_ended_are_not_published(self) -> None:
        """All others are, however many."""
        listed = periods("xwing", "xwing", "x25519", "x25519")
        self.assertEqual(self.numbers(listed, 5099), [10, 11, 12, 13])
        self.assertEqual(self.numbers(listed, 5300), [13])

    def test_when_none_is_left_the_last_goes_on(self) -> None:
        """A mix that was cut off for long: the suite is that of the last one."""
        listed = periods("xwing", "x25519")
        self.assertEqual(self.numbers(listed, 5200), [12, 13, 14])
        self.assertEqual({each.geometry for each in listed.published(5200)}, {X25519})
        self.assertEqual(listed.accepted(5240), (12, 13, 11))
        self.assertEqual([each.begins for each in listed.published(5200)], [5200, 5300, 5400])

    def follow(self, before: KeyPeriods, after: KeyPeriods) -> Sequence[tuple[int, int]]:
        return [(each.number, each.begins) for each in before.followed_by(after).listed]

    def test_a_newer_consensus(self) -> None:
        """What it lists holds; what it does not list is remembered: a period's end decides when
        its key goes, and a key that was published ahead is used."""
        before = periods("xwing", "xwing", "xwing", "xwing")
        after = periods("x25519", first=11, begins=5100)
        self.assertEqual(
            self.follow(before, after), [(10, 5000), (11, 5100), (12, 5200), (13, 5300)]
        )
        suites = [each.geometry for each in before.followed_by(after).listed]
        self.assertEqual(suites, [XWING, X25519, XWING, XWING])
        self.assertEqual(self.follow(after, before), [(n, 4000 + 100 * n) for n in range(10, 14)])

    def test_a_change_of_length(self) -> None:
        """Periods before keep their borders; what does not go with the new ones is forgotten."""
        before = periods("xwing", "xwing", "xwing")
        after = periods("xwing", "xwing", first=11, begins=5100, length=40)
        self.assertEqual(self.follow(before, after), [(10, 5000), (11, 5100), (12, 5140)])
        both = before.followed_by(after)
        self.assertEqual(both.accepted(5120), (11, 12, 10))
        elsewhere = periods("xwing", first=11, begins=5111)
        self.assertEqual(self.follow(before, elsewhere), [(11, 5111)])

    def test_not_for_ever(self) -> None:
        """So many are remembered as a consensus may list."""
        known = periods("xwing", first=0, begins=4000)
        for number in range(1, 30):
            known = known.followed_by(periods("xwing", first=number, begins=4000 + 100 * number))
        self.assertEqual(len(known.listed), MOST + 1)
