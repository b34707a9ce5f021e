"""Votes: who is in them, from when on, with which flags and periods, and what they reveal."""

from __future__ import annotations

from mixminion.authority.figures import Figures, Report
from mixminion.authority.voting import Voting
from mixminion.crypto import kdf
from mixminion.directory.checks import SignedConsensus, Tally
from mixminion.directory.consensus import USABLE, Commitment, SharedRandom
from mixminion.directory.vote import Vote
from tests.authority.kit import NOW, AuthorityCase, identity, settings, signer
from tests.directory.network import PERIOD, WEEK, consensus, server

ME = identity("authority 0")


def signed(*servers: object, **changes: object) -> SignedConsensus:
    """A consensus as an authority holds it."""
    document = consensus(servers, **changes)  # type: ignore[arg-type]
    return SignedConsensus(document, kdf.sha256(document.encode()), b"", Tally({}, 0))


class VoteTests(AuthorityCase):
    def setUp(self) -> None:
        super().setUp()
        self.figures = Figures()
        self.voting = Voting(
            clock=self.clock,
            identity=ME,
            register=self.register,
            settings=lambda: self.settings,
            figures=lambda: self.figures,
            seed=b"s" * 32,
        )

    def vote(self, previous: SignedConsensus | None = None, at: int = NOW + 3600) -> Vote:
        made = self.voting.make_vote(at, previous)
        octets = made.sign(signer()).encode()
        self.assertEqual(Vote.open(octets)[0], made)  # it is one that others can read
        return made

    def listed(self, name: str, number: int = 1, **changes: object) -> None:
        self.offer(name, number, **changes)
        self.reached(name)

    def test_first(self):
        """A network's first vote: everybody is usable at once, and it says who makes it."""
        self.listed("alice", 1)
        self.listed("bob", 2)
        self.offer("carol", 3)  # never dialled
        vote = self.vote()
        self.assertEqual((vote.authority, vote.nickname, vote.published), (ME, "auth0", NOW))
        self.assertEqual((vote.previous, vote.test_network), (None, True))
        self.assertEqual(
            [s.identity for s in vote.servers], sorted([identity("alice"), identity("bob")])
        )
        for each in vote.servers:
            self.assertEqual((each.usable_from, each.flags), (NOW + 3600, (USABLE,)))
            self.assertIsNotNone(self.register.get(each.descriptor))

    def test_later(self):
        """A newcomer is used three intervals after its first listing; others keep their time."""
        self.listed("alice", 1)
        self.listed("bob", 2)
        previous = signed(server("alice", usable_from=NOW - 99))
        found = {s.identity: s.usable_from for s in self.vote(previous).servers}
        self.assertEqual(found[identity("alice")], NOW - 99)
        self.assertEqual(found[identity("bob")], NOW + 3600 + 3 * 3600)
        self.assertEqual(self.vote(previous).previous, previous.digest)

    def test_first_servers(self):
        """Where the last consensus lists nobody, there is nobody to wait for."""
        self.listed("alice", 1)
        (found,) = self.vote(signed()).servers
        self.assertEqual(found.usable_from, NOW + 3600)

    def test_flags(self):
        """No use of servers with insecure modes or without an address."""
        self.listed("alice", 1, insecure=("classical",))
        self.listed("bob", addresses=())
        self.assertEqual([s.flags for s in self.vote().servers], [(), ()])

    def test_figures(self):
        """The median decides, with the last consensus; one who lies does not."""
        for number, name in enumerate(("good", "fair", "bad"), 1):
            self.listed(name, number)
        self.figures = Figures(
            tuple(
                Report(operator, {identity(n): f for n, f in found.items()}, NOW)
                for operator, found in {
                    "a": {"good": 950, "fair": 840, "bad": 700},
                    "b": {"good": 960, "fair": 860, "bad": 650},
                    "liar": {"good": 0, "fair": 0, "bad": 1000},
                }.items()
            )
        )
        previous = signed(server("good"), server("fair"), server("bad"))
        names = {identity(n): n for n in ("good", "fair", "bad")}
        votes = {names[s.identity]: s for s in self.vote(previous).servers}
        self.assertEqual({n: v.reliability for n, v in votes.items()},
                         {"good": 950, "fair": 840, "bad": 700})  # fmt: skip
        usable = {n for n, v in votes.items() if v.flags}
        self.assertEqual(usable, {"good", "fair"})
        before = signed(server("good"), server("fair", flags=()), server("bad"))
        votes = {names[s.identity]: s for s in self.vote(before).servers}
        self.assertEqual({n for n, v in votes.items() if v.flags}, {"good"})
        self.clock.advance(3 * 86_400)
        old = self.vote(before, NOW + 3 * 86_400)
        self.assertEqual([s.reliability for s in old.servers], [None] * 3)

    def test_dates(self):
        """No descriptor that has run out by then."""
        self.listed("alice", 1, valid_until=NOW + 3600)
        self.listed("bob", 2, valid_until=NOW + 3601)
        self.assertEqual([s.identity for s in self.vote().servers], [identity("bob")])

    def test_periods(self):
        """Three key periods from the current one, with the suites that are configured."""
        self.settings = settings(suite_from=f"x25519 {PERIOD + 2}")
        found = [(p.number, p.begins, p.ends, p.geometry.suite) for p in self.vote().key_periods]
        self.assertEqual(
            found,
            [
                (n, n * WEEK, (n + 1) * WEEK, "x25519" if n == PERIOD + 2 else "xwing")
                for n in range(PERIOD, PERIOD + 3)
            ],
        )

    def test_listed_periods_stay(self):
        """The current one keeps its suite, and paths wait for headers that have room for them."""
        self.settings = settings(suite_from=f"x25519 {PERIOD}", hops="6")
        vote = self.vote(signed(server("alice")))
        found = [(p.geometry.suite, p.geometry.hops) for p in vote.key_periods]
        self.assertEqual(found, [("xwing", 4), ("x25519", 6), ("x25519", 6)])
        self.assertEqual(vote.parameters.hops, 4)
        self.assertEqual(self.vote().parameters.hops, 6)

    def test_recommended(self):
        """Releases, or no word of any."""
        self.assertIsNone(self.vote().recommended)
        self.settings = settings(recommended_clients="2.1, 2.2")
        recommended = self.vote().recommended
        assert recommended is not None
        self.assertEqual((recommended.clients, recommended.servers), (("2.1", "2.2"), ()))

    def test_random(self):
        """What is committed to is revealed in the vote after, and the same however often asked."""
        first = self.vote()
        self.assertEqual(self.vote().commitment, first.commitment)
        self.assertIsNone(first.reveal)
        assert first.commitment is not None
        ours = Commitment(authority=ME, commitment=first.commitment)
        shared = SharedRandom(commitments=(ours,))
        previous = signed(server("alice"), valid_after=NOW + 3600, fresh_until=NOW + 7200,
                          shared_random=shared)  # fmt: skip
        second = self.vote(previous, NOW + 7200)
        assert second.reveal is not None
        self.assertEqual(kdf.sha256(second.reveal), first.commitment)
        self.assertNotEqual(second.commitment, first.commitment)

    def test_not_ours(self):
        """Nothing is revealed for a commitment that is somebody else's, or of another seed."""
        theirs = (
            Commitment(authority=identity("other"), commitment=b"c" * 32),
            Commitment(authority=ME, commitment=b"c" * 32),
        )
        shared = SharedRandom(commitments=theirs)
        self.assertIsNone(self.vote(signed(server("alice"), shared_random=shared)).reveal)
