"""Parameters, key periods and recommended releases, from votes."""

from __future__ import annotations

import msgspec

from mixminion.directory.consensus import Consensus
from mixminion.directory.keydoc import KeyDocument
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.tally import NoConsensus, Tallied
from mixminion.directory.vote import Recommended, Vote, VotedPeriod
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, PERIOD, WEEK
from tests.directory.votes import count, period, three, vote

DIGEST = b"\x07" * 32
"""What votes call the previous consensus."""


def periods(tallied: Tallied) -> list[tuple[int, str]]:
    """Numbers, from this period's on, and suites."""
    found = tallied.consensus.key_periods
    return [(each.number - PERIOD, each.geometry.suite) for each in found]


class ParameterTests(SyncTestCase):
    """Member by member."""

    def test_numbers(self):
        """The low median of each by itself."""
        values = [(100, 9), (200, 8), (300, 7), (400, 6)]
        votes = [
            vote(n, parameters=Parameters(tick_ms=tick, fragments=fragments))
            for n, (tick, fragments) in enumerate(values)
        ]
        found = count(votes).consensus.parameters
        self.assertEqual((found.tick_ms, found.fragments), (200, 7))
        found = count(votes[:3]).consensus.parameters
        self.assertEqual((found.tick_ms, found.fragments), (200, 8))

    def words(self, *words: str, previous: Consensus | None = None) -> str:
        digest = None if previous is None else DIGEST
        votes = [
            vote(n, parameters=Parameters(strategy=word), previous=digest)
            for n, word in enumerate(words)
        ]
        return count(votes, previous=previous).consensus.parameters.strategy

    def test_words(self):
        """A majority's; else that of the previous consensus; else the default: two of five do not
        choose how all mixes hold packets, even while the others change it."""
        self.assertEqual(self.words("new", "new", "new", "a", "a"), "new")
        self.assertEqual(self.words("old", "new", "new", "a", "a"), "poisson")
        before = count(three(parameters=Parameters(strategy="old"))).consensus
        self.assertEqual(self.words("old", "new", "new", "a", "a", previous=before), "old")
        self.assertEqual(self.words("new", "new", "new", "a", "a", previous=before), "new")

    def test_dates(self):
        """They follow the parameters that were agreed on."""
        numbers = [(60, 200), (50, 100), (70, 300)]
        votes = [
            vote(n, parameters=Parameters(consensus_fresh=fresh, consensus_valid=valid))
            for n, (fresh, valid) in enumerate(numbers)
        ]
        found = count(votes, 3).consensus
        self.assertEqual((found.fresh_until, found.valid_until), (NOW + 60, NOW + 200))

    def test_hops(self):
        """Never more than fit the headers of the listed periods, while those stay as they were."""
        votes = [
            vote(
                n,
                previous=DIGEST,
                parameters=Parameters(hops=5),
                key_periods=(
                    msgspec.structs.replace(period(), geometry=PacketGeometry.make(hops=5 + n)),
                ),
            )
            for n in range(3)
        ]
        before = count(three(key_periods=(period(),))).consensus
        self.assertEqual(count(votes, 3, before).consensus.parameters.hops, 4)
        votes[1] = msgspec.structs.replace(votes[0], authority=votes[1].authority)
        self.assertEqual(count(votes, 3, before).consensus.parameters.hops, 5)


class PeriodTests(SyncTestCase):
    """Key periods, as a whole."""

    def test_majority(self):
        """Those that most authorities have, in every member."""
        votes = [
            vote(0, key_periods=(period(), period(PERIOD + 1), period(PERIOD + 2))),
            vote(1, key_periods=(period(), period(PERIOD + 1, "x25519"))),
            vote(2, key_periods=(period(), period(PERIOD + 1, "x25519"))),
        ]
        self.assertEqual(periods(count(votes, 3)), [(0, "xwing"), (1, "x25519")])
        self.assertEqual(periods(count([*votes, vote(3)], 4)), [(0, "xwing")])

    def test_nobody_has_keys(self):
        """A period is listed while nobody has a key for it: that is how servers hear of it."""
        ahead = (period(), period(PERIOD + 1, "x25519"))
        made = count(three(key_periods=ahead), 3)
        document = made.keys[made.consensus.key_periods[1].keys]
        self.assertEqual(
            KeyDocument.read(document, made.consensus.key_periods[1].keys),
            KeyDocument(period=PERIOD + 1, suite="x25519", keys=()),
        )

    def before(self, *listed: VotedPeriod) -> Consensus:
        return count(three(key_periods=listed)).consensus

    def test_as_it_was(self):
        """Where most do not agree, what was listed stays as it was."""
        before = self.before(period(), period(PERIOD + 1), period(PERIOD + 2))
        votes = [
            vote(0, previous=DIGEST, key_periods=(period(), period(PERIOD + 1, "x25519"))),
            vote(1, previous=DIGEST, key_periods=(period(), period(PERIOD + 1, "x25519"))),
            vote(2, previous=DIGEST, key_periods=(period(suite="x25519"), period(PERIOD + 1))),
        ]
        expected = [(0, "xwing"), (1, "xwing"), (2, "xwing")]
        self.assertEqual(periods(count(votes, 5, before)), expected)
        expected = [(0, "xwing"), (1, "x25519"), (2, "xwing")]
        self.assertEqual(periods(count(votes, 3, before)), expected)

    def test_a_new_period_begins(self):
        """Also when it is a period later by then, and nothing is agreed."""
        before = self.before(period(PERIOD), period(PERIOD + 1))
        other = [
            VotedPeriod(
                number=n,
                begins=0,
                ends=NOW + WEEK + n,
                geometry=PacketGeometry.make(),
            )
            for n in range(3)
        ]
        votes = [
            vote(n, valid_after=(PERIOD + 1) * WEEK, previous=DIGEST, key_periods=(each,))
            for n, each in enumerate(other)
        ]
        self.assertEqual(periods(count(votes, 3, before)), [(1, "xwing")])

    def test_none(self):
        """Without one there is no consensus; so it is when the previous one is not agreed on."""
        current = [
            VotedPeriod(number=n, begins=NOW, ends=NOW + 9, geometry=PacketGeometry.make())
            for n in range(3)
        ]
        votes = [vote(n, key_periods=(each,)) for n, each in enumerate(current)]
        self.assertRaises(NoConsensus, count, votes, 3)
        self.assertRaises(NoConsensus, count, votes, 3, self.before(period()))

    def test_chain(self):
        """It ends where the previous one's does not fit what was agreed on now."""
        before = self.before(period(), period(PERIOD + 1))
        longer = msgspec.structs.replace(period(), ends=(PERIOD + 2) * WEEK)
        shorter = msgspec.structs.replace(period(), geometry=PacketGeometry.make(packet=30_000))
        for changed in (longer, shorter):
            votes = three(previous=DIGEST, key_periods=(changed,))
            self.assertEqual(periods(count(votes, 3, before)), [(0, "xwing")])
        votes = three(previous=DIGEST, key_periods=(period(),))
        self.assertEqual(periods(count(votes, 3, before)), [(0, "xwing"), (1, "xwing")])

    def test_eight(self):
        """There are no more."""
        before = self.before(*(period(PERIOD + n) for n in range(8)))
        after = (period(PERIOD + n) for n in range(1, 9))
        votes = three(valid_after=(PERIOD + 1) * WEEK, previous=DIGEST, key_periods=(*after,))
        self.assertEqual(len(count(votes, 3, before).consensus.key_periods), 8)
        votes = three(previous=DIGEST, key_periods=(period(),))
        self.assertEqual(len(count(votes, 3, before).consensus.key_periods), 8)


class RecommendedTests(SyncTestCase):
    """Releases."""

    def test_majority(self):
        """What most authorities recommend, ascending."""
        votes: list[Vote] = [
            vote(0, recommended=Recommended(clients=("1.1", "1.0", "2.0"), servers=("1.0",))),
            vote(1, recommended=Recommended(clients=("2.0", "1.1"))),
            vote(2),
        ]
        found = count(votes, 3).consensus.recommended
        self.assertEqual(found, Recommended(clients=("1.1", "2.0")))
        self.assertIsNone(count(votes[1:], 3).consensus.recommended)
        self.assertIsNone(count(votes, 5).consensus.recommended)

    def test_as_many_as_fit(self):
        """Three lists can agree in pairs on more than a consensus has room for."""
        names = [f"{n:02}" for n in range(48)]
        lists = (names[:32], names[16:], names[:16] + names[32:])
        votes = [vote(n, recommended=Recommended(servers=tuple(e))) for n, e in enumerate(lists)]
        found = count(votes, 3).consensus.recommended
        self.assertEqual(found, Recommended(servers=tuple(names[:32])))
