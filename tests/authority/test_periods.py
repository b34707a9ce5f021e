"""Which key periods an authority votes for."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mixminion.authority.periods import periods
from mixminion.directory.consensus import OVERDUE, Consensus, KeyPeriod
from mixminion.directory.parameters import PacketGeometry
from mixminion.directory.vote import VotedPeriod
from mixminion.testing.cases import SyncTestCase
from tests.authority.kit import settings
from tests.directory.network import NOW, PERIOD, WEEK, consensus

X25519 = PacketGeometry.make("x25519", commands=304)
DAY = 86_400


def voted(previous: Consensus | None, at: int = NOW, **network: Any) -> tuple[VotedPeriod, ...]:
    """With those lines in ``[Network]``."""
    return periods(settings(**network).network, at, previous)


def borders(found: tuple[VotedPeriod, ...]) -> list[tuple[int, int, int]]:
    return [(each.number, each.begins, each.ends) for each in found]


def suites(found: tuple[VotedPeriod, ...]) -> list[str]:
    return [each.geometry.suite for each in found]


def followed(found: tuple[VotedPeriod, ...], at: int) -> Consensus:
    """The consensus of *at* that comes of that."""
    listed = tuple(
        KeyPeriod(
            number=each.number,
            begins=each.begins,
            ends=each.ends,
            geometry=each.geometry,
            keys=bytes(32),
        )
        for each in found
    )
    return consensus(
        key_periods=listed, valid_after=at, fresh_until=at + 3600, valid_until=at + 10_800
    )


class PeriodsTests(SyncTestCase):
    """See :func:`periods`."""

    def test_first(self):
        """Without a consensus they are numbered by Unix time."""
        self.assertEqual(
            borders(voted(None)), [(n, n * WEEK, (n + 1) * WEEK) for n in range(PERIOD, PERIOD + 3)]
        )

    def test_same(self):
        """The same as long as nothing changes, at every moment, through borders and a year
        without any consensus."""
        previous = consensus()
        for at in (NOW, (PERIOD + 1) * WEEK - 1, (PERIOD + 1) * WEEK, (PERIOD + 52) * WEEK + 5):
            self.assertEqual(voted(previous, at), voted(None, at), at)

    def test_length(self):
        """Another length counts behind what is listed; no border that is known moves."""
        short: dict[str, Any] = {"key_period": "2 days"}
        found = voted(consensus(), **short)
        self.assertEqual(borders(found), borders(voted(None)))
        later = (PERIOD + 1) * WEEK
        found = voted(followed(found, NOW), later, **short)
        end = (PERIOD + 3) * WEEK
        self.assertEqual(
            borders(found),
            [
                (PERIOD + 1, later, later + WEEK),
                (PERIOD + 2, later + WEEK, end),
                (PERIOD + 3, end, end + 2 * DAY),
            ],
        )
        far = voted(followed(found, later), end + 7 * DAY, **short)
        self.assertEqual(borders(far)[0], (PERIOD + 6, end + 6 * DAY, end + 8 * DAY))
        self.assertEqual(borders(far)[2], (PERIOD + 8, end + 10 * DAY, end + 12 * DAY))

    def test_suite_announced(self):
        """A period that is not listed yet gets what is configured."""
        line: dict[str, Any] = {"suite_from": f"x25519 {PERIOD + 3}"}
        previous = followed(voted(consensus(), **line), NOW)
        self.assertEqual(suites(voted(previous, **line)), ["xwing"] * 3)
        found = voted(previous, (PERIOD + 1) * WEEK, **line)
        self.assertEqual(suites(found), ["xwing", "xwing", "x25519"])

    def test_suite_too_late(self):
        """A period that begins while somebody may hold the previous consensus keeps its suite; the
        ones after it do not."""
        line: dict[str, Any] = {"suite_from": f"x25519 {PERIOD}"}
        self.assertEqual(suites(voted(consensus(), **line)), ["xwing", "x25519", "x25519"])
        border = (PERIOD + 1) * WEEK
        for valid_until, suite in ((border - OVERDUE, "x25519"), (border - OVERDUE + 1, "xwing")):
            at = valid_until - 10_800
            previous = followed(voted(consensus(), at), at)
            self.assertEqual(suites(voted(previous, at, **line)), ["xwing", suite, "x25519"])

    def test_suite_taken_back(self):
        """A line that is gone again: what was listed in time goes back, too."""
        with_line = voted(consensus(), suite_from=f"x25519 {PERIOD + 1}")
        self.assertEqual(suites(with_line), ["xwing", "x25519", "x25519"])
        self.assertEqual(suites(voted(followed(with_line, NOW))), ["xwing"] * 3)

    def test_hops(self):
        """Longer headers for those to come."""
        found = voted(consensus(), hops="6")
        self.assertEqual([each.geometry.hops for each in found], [4, 6, 6])
        later = voted(followed(found, NOW), (PERIOD + 1) * WEEK, hops="6")
        self.assertEqual([each.geometry.hops for each in later], [6, 6, 6])

    def test_unknown_geometry(self):
        """What others agreed on is kept, also when this version does not know it."""
        strange = PacketGeometry(suite="hqc", hops=4, commands=82, packet=32_768, digest=bytes(32))
        first, *ahead = consensus().key_periods
        previous = consensus(key_periods=(replace(first, geometry=strange), *ahead))
        self.assertEqual(suites(voted(previous)), ["hqc", "xwing", "xwing"])
