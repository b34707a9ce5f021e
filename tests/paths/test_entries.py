"""Entries that are kept: drawn, used, replaced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mixminion.crypto import kdf
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.consensus import KeyPeriod, Server
from mixminion.directory.parameters import PacketGeometry
from mixminion.directory.parts import Rule as LinkRule
from mixminion.directory.view import View
from mixminion.paths.entries import (
    ABSENT,
    DAY,
    HOUR,
    KEPT,
    LONGEST,
    SHORTEST,
    SILENT,
    TRIED,
    EntryRole,
    KeptEntry,
    preferences,
    revise,
    roles,
)
from mixminion.paths.preferences import List, Lists, Term
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, WEEK, consensus, keys, server

START = NOW // HOUR * HOUR
CLOSED = (LinkRule(allow=False, network="0.0.0.0/0"),)


def plain(n: int) -> list[Server]:
    return [server(f"s{i}", i + 1) for i in range(n)]


def network(servers: Sequence[Server], now: float = NOW) -> View:
    """Those servers at *now*, whatever key period that is."""
    after = int(now)
    document = consensus(
        servers,
        valid_after=after,
        fresh_until=after + HOUR,
        valid_until=after + 3 * HOUR,
        key_periods=periods(servers, after // WEEK),
    )
    return View(document, [keys(servers, each.number) for each in document.key_periods])


def periods(servers: Sequence[Server], first: int) -> tuple[KeyPeriod, ...]:
    return tuple(
        KeyPeriod(
            number=number,
            begins=number * WEEK,
            ends=(number + 1) * WEEK,
            geometry=PacketGeometry.make(),
            keys=kdf.sha256(keys(servers, number).encode()),
        )
        for number in range(first, first + 3)
    )


class EntriesCase(SyncTestCase):
    def setUp(self) -> None:
        self.random = SeededRandom(b"entries")

    def revise(
        self,
        kept: Sequence[KeptEntry],
        servers: Sequence[Server],
        now: float = NOW,
        lists: Lists | None = None,
    ) -> list[KeptEntry]:
        return revise(kept, network(servers, now), lists or Lists(), now=now, random=self.random)

    def names(self, kept: Sequence[KeptEntry]) -> list[str]:
        return [each.nickname for each in kept]


class DrawnTests(EntriesCase):
    """Who becomes an entry."""

    def test_first(self) -> None:
        """Two in use and two in reserve, all different, each for 60 to 120 days; a second look
        changes nothing."""
        kept = self.revise((), plain(9))
        self.assertEqual(len({each.identity for each in kept}), KEPT)
        for each in kept:
            self.assertEqual(each.drawn, START)
            self.assertTrue(START + SHORTEST <= each.until <= START + LONGEST + HOUR)
        self.assertEqual(len({each.until for each in kept}), KEPT)
        self.assertEqual(self.revise(kept, plain(9), NOW + DAY), kept)

    def test_apart(self) -> None:
        """No two of a family or a network, nobody who takes links from few, none that is not
        usable; there are fewer where the network has no more."""
        servers = [
            *(server(f"f{i}", i + 1, family="one") for i in range(6)),
            *(server(f"n{i}", 20, addresses=server("x", 20).addresses) for i in range(3)),
            server("closed", 30, accepts=CLOSED),
            server("down", 31, flags=()),
            server("weak", 32, insecure=("classical-links",)),
        ]
        for _ in range(20):
            found = self.names(self.revise((), servers))
            self.assertEqual(sorted(name[0] for name in found), ["f", "n"])
        self.assertEqual(self.revise((), servers[-3:]), [])

    def test_lists(self) -> None:
        """The sender's lists hold; one who is denied later goes at once."""
        lists = Lists(List(deny=(Term.parse("s0"),)), List(deny=(Term.parse("s1"),)))
        for _ in range(20):
            found = self.names(self.revise((), plain(6), lists=lists))
            self.assertEqual(sorted(found), ["s2", "s3", "s4", "s5"])
        kept = self.revise((), plain(4))
        self.assertEqual(sorted(self.names(self.revise(kept, plain(4), lists=lists))), ["s2", "s3"])

    def test_uniform(self) -> None:
        """Every server is as likely to be the first, and every one besides it the second."""
        draws, servers = 4000, plain(5)
        view = network(servers)
        pairs = Counter(
            tuple(self.names(revise((), view, Lists(), now=NOW, random=self.random))[:2])
            for _ in range(draws)
        )
        self.assertEqual(len(pairs), 20)
        expected = draws / 20
        # 19 degrees of freedom: 43.8 is exceeded by chance once in a thousand.
        chi = sum((count - expected) ** 2 / expected for count in pairs.values())
        self.assertLess(chi, 43.8)


class ReplacedTests(EntriesCase):
    """When an entry goes, and when it does not."""

    def setUp(self) -> None:
        super().setUp()
        self.servers = plain(9)
        self.kept = self.revise((), self.servers)

    def without(self, *gone: int) -> list[Server]:
        names = {self.kept[i].nickname for i in gone}
        return [each for each in self.servers if each.nickname not in names]

    def test_time(self) -> None:
        """Each goes when its own time is over; the next one takes its place, and a new one is
        drawn behind the rest."""
        first = min(self.kept, key=lambda each: each.until)
        self.assertEqual(self.revise(self.kept, self.servers, first.until - 1), self.kept)
        after = self.revise(self.kept, self.servers, first.until)
        self.assertEqual(after[:-1], [each for each in self.kept if each != first])
        self.assertEqual(len(after), KEPT)
        self.assertEqual(after[-1].drawn, first.until)

    def test_absent(self) -> None:
        """Who leaves the directory, or is not usable there, is replaced after a week; who comes
        back before keeps his place, however often."""
        now = START + 0.0
        for _ in range(4):
            kept = self.revise(self.kept, self.without(0), now)
            self.assertEqual(kept[0], replace(self.kept[0], absent=int(now)))
            kept = self.revise(kept, self.without(0), now + ABSENT - 1)
            self.assertEqual(kept[0].absent, now)
            now += ABSENT
            self.assertEqual(self.revise(kept, self.servers, now), self.kept)
        kept = self.revise(self.kept, self.without(0), now)
        kept = self.revise(kept, self.without(0), now + ABSENT)
        self.assertEqual(kept[:-1], self.kept[1:])

    def failed(self, entry: KeptEntry, hours: int) -> KeptEntry:
        """After failures in so many hours, spread over the time after which it may go."""
        for n in range(hours):
            entry = entry.after_failure(NOW + n * SILENT / hours)
        return entry

    def test_silent(self) -> None:
        """Who takes nothing for a week, in enough of its hours, is replaced if another one did
        take something meanwhile, and not if nobody did: then it may be our line."""
        end = NOW + SILENT
        silent = self.failed(self.kept[0], TRIED)
        self.assertEqual((silent.silent, silent.failures), (START, TRIED))
        alone = [silent, *self.kept[1:]]
        self.assertEqual(self.revise(alone, self.servers, end), alone)
        worked = [silent, self.kept[1].after_success(NOW + 2 * HOUR), *self.kept[2:]]
        self.assertEqual(self.revise(worked, self.servers, end - HOUR), worked)
        self.assertEqual(self.revise(worked, self.servers, end)[:-1], worked[1:])
        seldom = [self.failed(self.kept[0], TRIED - 1), *worked[1:]]
        self.assertEqual(self.revise(seldom, self.servers, end), seldom)
        before = [silent, self.kept[1].after_success(NOW - HOUR), *self.kept[2:]]
        self.assertEqual(self.revise(before, self.servers, end), before)

    def test_failures(self) -> None:
        """An hour counts once, and one success is enough to forget all."""
        entry = self.kept[0]
        for second in range(0, 3 * HOUR, 60):
            entry = entry.after_failure(START + second)
        self.assertEqual((entry.silent, entry.failed, entry.failures), (START, START + 7200, 3))
        after = entry.after_success(START + 4 * HOUR)
        self.assertEqual(after, replace(self.kept[0], worked=START + 4 * HOUR))


class UsedTests(EntriesCase):
    """Which entries paths begin at."""

    def setUp(self) -> None:
        super().setUp()
        self.servers = plain(9)
        self.view = network(self.servers)
        self.kept = self.revise((), self.servers)

    def used(
        self, kept: Sequence[KeptEntry], view: View | None = None, *avoiding: bytes
    ) -> tuple[list[str], list[str], list[str]]:
        found = preferences(kept, view or self.view, Lists(), now=NOW, avoiding=avoiding)
        assert found.entries is not None
        used, silent, reserve = (
            [each.nickname for each in servers]
            for servers in (found.entries, found.silent, found.reserve)
        )
        return used, silent, reserve

    def test_two(self) -> None:
        """The first two, and the others in reserve."""
        a, b, c, d = self.names(self.kept)
        self.assertEqual(self.used(self.kept), ([a, b], [], [c, d]))

    def test_absent(self) -> None:
        """Who is missing from the directory is stood in for by the next, until he is back."""
        a, b, c, d = self.names(self.kept)
        view = network([each for each in self.servers if each.nickname != a])
        self.assertEqual(self.used(self.kept, view), ([b, c], [], [d]))
        self.assertEqual(
            roles(self.kept, view, NOW),
            [EntryRole.AWAY, EntryRole.USED, EntryRole.USED, EntryRole.RESERVE],
        )

    def test_failing(self) -> None:
        """Who did not answer in this hour is left out while the other one answers; where both do
        not, both are tried, and nobody of the reserve."""
        a, b, c, d = self.names(self.kept)
        first, second, *rest = self.kept
        failing = first.after_failure(NOW)
        self.assertEqual(self.used([failing, second, *rest]), ([b], [a], [c, d]))
        both = [failing, second.after_failure(NOW), *rest]
        self.assertEqual(self.used(both), ([a, b], [], [c, d]))
        earlier = first.after_failure(NOW - HOUR)
        self.assertEqual(self.used([earlier, second, *rest]), ([a, b], [], [c, d]))

    def test_avoiding(self) -> None:
        """Instead of those that do not take a packet the other one is used and nobody else, nobody
        at all where there is no other."""
        a, b = self.names(self.kept)[:2]
        first, second = (each.identity for each in self.kept[:2])
        self.assertEqual(self.used(self.kept, None, second), ([a], [], []))
        self.assertEqual(self.used(self.kept, None, first), ([b], [], []))
        self.assertEqual(self.used(self.kept, None, first, second), ([], [], []))
