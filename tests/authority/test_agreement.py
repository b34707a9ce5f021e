"""Whatever the bad authorities do, the honest ones agree on every vote.

An adversary signs what it likes with the keys of f authorities, sees whatever anybody sends, and
chooses which honest authority gets which envelope when, and who can have the descriptors a vote
names.  Honest authorities have clocks that differ, and messages and descriptors that take their
time, all together just less than a round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from mixminion.authority.ballots import Ballot
from mixminion.authority.exchange import Action, Exchange, Look, Spread, Verdict
from mixminion.authority.schedule import Schedule
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.envelope import Signature
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.authority.votes import INSTANT, authorities, authority, signed, signer, vote

ROUND = 60
SKEW, DELAY, FETCH = 20, 20, 19  # seconds at most; together less than a round
VARIANTS = 3


@dataclass(frozen=True)
class Move:
    """The adversary hands an honest authority a vote of a bad one, *at* seconds after the
    begin, signed by some bad ones and, if *all_seen*, by whoever else was seen to sign it."""

    at: float
    author: int
    variant: int
    signers: frozenset[int]
    all_seen: bool
    to: int


@dataclass(frozen=True)
class Gift:
    """From this second on an honest authority can have the descriptors that a vote names."""

    at: float
    author: int
    variant: int
    to: int


class Play:
    """One exchange among *honest* of *n* authorities and the moves of the others."""

    def __init__(
        self,
        n: int,
        honest: Sequence[int],
        schedule: Schedule,
        seed: int,
        ahead: Callable[[int], float] | None = None,
    ) -> None:
        self.clock = HeapClock(schedule.begins - ROUND)
        self.schedule = schedule
        self.n = n
        self.random = SeededRandom(seed.to_bytes(8, "big"))
        self.seen: dict[bytes, dict[bytes, Signature]] = {}  # what the adversary has seen
        self.offered: set[tuple[int, bytes]] = set()  # descriptors that were given: to whom, whose
        self.holding: set[tuple[int, bytes]] = set()  # and who has them all
        self.nodes = {
            number: Exchange(schedule, authorities(n), authority(number), signer(number))
            for number in honest
        }
        skew = ahead or (lambda number: self.random.uniform() * SKEW)
        self.ahead = {number: skew(number) for number in honest}
        for number in honest:
            begin = partial(self.begin, number)
            self.at(number, schedule.begins, begin)
            self.at(number, schedule.closes, partial(self.close, number))

    def at(self, number: int, time: float, call: partial[None]) -> None:
        """By the clock of that authority."""
        self.clock.callLater(time - self.ahead[number] - self.clock.seconds(), call)

    def now(self, number: int) -> float:
        return self.clock.seconds() + self.ahead[number]

    def begin(self, number: int) -> None:
        own = signed(vote(number), number)
        self.holding.add((number, own.digest))
        self.act(number, self.nodes[number].begin(self.now(number), own))

    def close(self, number: int) -> None:
        self.nodes[number].close(self.now(number))

    def hand(self, number: int, octets: bytes) -> None:
        """What is too early is brought again."""
        word, actions = self.nodes[number].offered(octets, self.now(number))
        self.act(number, actions)
        if word == "early":
            self.clock.callLater(1, self.hand, number, octets)

    def act(self, number: int, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Spread):
                self.seen.setdefault(action.ballot.digest, {}).update(action.ballot.signatures)
                octets = action.ballot.octets
                for other in self.nodes:
                    if other != number:
                        delay = self.random.uniform() * DELAY
                        self.clock.callLater(delay, self.hand, other, octets)
            elif isinstance(action, Look):
                self.look(number, action.ballot)

    def look(self, number: int, ballot: Ballot) -> None:
        """From an honest authority that has them all, the descriptors come in time."""
        held = (each for each in self.nodes if authority(each) in ballot.signatures)
        if (number, ballot.digest) in self.offered:
            self.complete(number, ballot)
        elif any((each, ballot.digest) in self.holding for each in held):
            self.clock.callLater(self.random.uniform() * FETCH, self.complete, number, ballot)

    def complete(self, number: int, ballot: Ballot) -> None:
        self.holding.add((number, ballot.digest))
        actions = self.nodes[number].complete(ballot.author, ballot.digest, self.now(number))
        self.act(number, actions)

    def move(self, move: Move) -> None:
        ballot = signed(vote(move.author, f"v{move.variant}"), move.author, *move.signers)
        seen = self.seen.get(ballot.digest, {}) if move.all_seen else {}
        envelope = Ballot(ballot.vote, ballot.digest, ballot.payload, {**seen, **ballot.signatures})
        self.hand(move.to, envelope.octets)

    def give(self, gift: Gift) -> None:
        ballot = signed(vote(gift.author, f"v{gift.variant}"), gift.author)
        self.offered.add((gift.to, ballot.digest))
        if self.nodes[gift.to].known(ballot.digest):
            self.complete(gift.to, ballot)

    def run(self, moves: Iterable[Move], gifts: Iterable[Gift] = ()) -> None:
        for move in moves:
            self.clock.callLater(ROUND + move.at, self.move, move)
        for gift in gifts:
            self.clock.callLater(ROUND + gift.at, self.give, gift)
        self.clock.run_until(self.schedule.closes + SKEW + DELAY + FETCH)

    def outcome(self, number: int) -> dict[bytes, object]:
        """What that authority ends with: for each author the vote that counts, or why none does;
        whether one that has none was late or never seen may differ."""
        node = self.nodes[number]
        counted: dict[bytes, object] = {each.author: each.digest for each in node.votes}
        for author in authorities(self.n):
            if node.finding(author).verdict is Verdict.EQUIVOCATED:
                counted[author] = Verdict.EQUIVOCATED
        return counted


def timing(n: int) -> Schedule:
    """Rounds of :data:`ROUND` seconds."""
    return Schedule(INSTANT, 2 * ROUND * ((n - 1) // 2 + 3), n)


class OneFewer(Schedule):
    """A round fewer than it takes."""

    @property
    @override
    def rounds(self) -> int:
        return self.faults


@st.composite
def plays(draw: st.DrawFn) -> tuple[int, int, list[Move], list[Gift]]:
    """How many authorities, a seed for what takes how long, and what the adversary does."""
    n = draw(st.sampled_from((4, 5, 7)))
    f = (n - 1) // 2
    bad = st.integers(n - f, n - 1)
    times = st.integers(-ROUND, (f + 2) * ROUND)
    variants = st.integers(0, VARIANTS - 1)
    to = st.integers(0, n - f - 1)
    move = st.builds(Move, times, bad, variants, st.frozensets(bad), st.booleans(), to)
    gift = st.builds(Gift, times, bad, variants, to)
    moves = draw(st.lists(move, min_size=1, max_size=12))
    return n, draw(st.integers(0, 2**32)), moves, draw(st.lists(gift, max_size=8))


class AgreementTests(SyncTestCase):
    @settings(max_examples=150, deadline=None)
    @given(plays())
    def test_agreement(self, drawn: tuple[int, int, list[Move], list[Gift]]) -> None:
        """All honest authorities end with the same verdicts, and count each other's votes."""
        n, seed, moves, gifts = drawn
        honest = range(n - (n - 1) // 2)
        play = Play(n, honest, timing(n), seed)
        play.run(moves, gifts)
        outcomes = [play.outcome(number) for number in honest]
        for outcome in outcomes[1:]:
            self.assertEqual(outcome, outcomes[0])
        for number in honest:
            digest = signed(vote(number), number).digest
            self.assertEqual(outcomes[0][authority(number)], digest)

    def release(self, n: int, schedule: Schedule, round: int) -> list[dict[bytes, object]]:
        """The bad ones release a vote of the last of them to a single honest authority just
        before the end of *round*, with as many signatures as they have; the others' clocks are
        ahead of that one's."""
        f = (n - 1) // 2
        honest = range(n - f)
        play = Play(n, honest, schedule, 7, ahead=lambda number: SKEW if number else 0)
        at = round * ROUND - 0.5
        author = n - 1
        move = Move(at, author, 0, frozenset(range(n - f, n)), True, 0)
        play.run([move], [Gift(0, author, 0, number) for number in honest])
        return [play.outcome(number) for number in honest]

    def test_each_round(self) -> None:
        """A vote that comes to one authority in whatever round counts for all or for nobody."""
        for n in (4, 5, 7):
            f = (n - 1) // 2
            for round in range(1, f + 2):
                outcomes = self.release(n, timing(n), round)
                self.assertTrue(all(each == outcomes[0] for each in outcomes), (n, round))
                counts = authority(n - 1) in outcomes[0]
                self.assertEqual(counts, round <= f, (n, round))

    def test_one_round_fewer(self) -> None:
        """With a round fewer than f + 1 the same adversary parts the honest authorities."""
        for n in (4, 5, 7):
            f = (n - 1) // 2
            schedule = OneFewer(INSTANT, 2 * ROUND * (f + 3), n)
            outcomes = self.release(n, schedule, f)
            self.assertIn(authority(n - 1), outcomes[0])
            self.assertNotIn(authority(n - 1), outcomes[1])

    def test_two_kept_apart(self) -> None:
        """Two votes, each shown to some in the first round, are known to all in the second."""
        for n in (4, 5, 7):
            honest = range(n - (n - 1) // 2)
            play = Play(n, honest, timing(n), 3)
            halves = [Move(1, n - 1, each % 2, frozenset(), False, each) for each in honest]
            play.run(halves, [Gift(0, n - 1, each % 2, each) for each in honest])
            for number in honest:
                finding = play.nodes[number].finding(authority(n - 1))
                self.assertEqual(finding.verdict, Verdict.EQUIVOCATED)
                self.assertIsNotNone(play.nodes[number].evidence(authority(n - 1)))
