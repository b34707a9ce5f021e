"""Servers, from votes."""

from __future__ import annotations

from typing import Any

from mixminion.crypto import kdf
from mixminion.directory import listing
from mixminion.directory.consensus import USABLE, Server
from mixminion.directory.parts import Exit
from mixminion.directory.tally import NoConsensus, Tallied
from mixminion.directory.vote import Vote, VotedServer
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, descriptor, identity
from tests.directory.votes import (
    DESCRIPTORS,
    DIGESTS,
    LATE_TOO,
    LATER,
    MALLORY,
    NAMES,
    NAMESAKE,
    count,
    digest_of,
    entry,
    signed,
    vote,
)


def names(tallied: Tallied) -> list[str]:
    """Who is listed."""
    return sorted(server.nickname for server in tallied.consensus.servers)


def identities(votes: list[Vote], n: int) -> list[bytes]:
    """Whose entries there are."""
    return [server.identity for server in count(votes, n).consensus.servers]


def alice(votes: list[Vote], n: int = 5) -> Server:
    """Her entry."""
    servers = count(votes, n).consensus.servers
    return next(each for each in servers if each.identity == identity("alice"))


def voted(*changes: dict[str, Any] | None) -> list[Vote]:
    """Votes that list Alice only, so; or nobody."""
    return [
        vote(n, [] if each is None else [entry("alice", **each)]) for n, each in enumerate(changes)
    ]


class MemberTests(SyncTestCase):
    """Who is listed, and from which descriptor."""

    def test_majority_of_all(self):
        """Those that most of all authorities list, not most of those who voted."""
        votes = [vote(0), vote(1), vote(2, [entry("bob")])]
        self.assertEqual(names(count(votes, 5)), ["bob"])
        self.assertEqual(names(count(votes, 3)), NAMES)
        self.assertRaises(NoConsensus, count, votes[:2], 5)

    def test_descriptor(self):
        """The one with most votes."""
        later = {"descriptor": digest_of(LATER)}
        self.assertEqual(alice(voted({}, {}, later), 3).descriptor, DIGESTS["alice"])
        found = alice(voted({}, later, later), 3)
        self.assertEqual(found.descriptor, digest_of(LATER))
        self.assertEqual(str(found.addresses[0]), "127.9.0.1:48099")

    def test_descriptor_tie(self):
        """Of several the one that was published latest, of those the greatest digest."""
        later = digest_of(LATER), digest_of(LATE_TOO)
        self.assertEqual(alice(voted({}, {"descriptor": later[0]}), 3).descriptor, later[0])
        found = alice(voted({}, {"descriptor": later[0]}, {"descriptor": later[1]}), 3)
        self.assertEqual(found.descriptor, max(later))

    def test_no_descriptor_of_it(self):
        """Who names a descriptor of another server, or none at all, has not voted for it."""
        for digest in (DIGESTS["bob"], bytes(32)):
            other = {"descriptor": digest}
            self.assertEqual(names(count(voted({}, {}, other), 3)), ["alice"])
            self.assertEqual(names(count(voted({}, other, other), 3)), [])
            votes = voted({}, {"usable_from": NOW + 5}, {"usable_from": NOW + 9} | other)
            self.assertEqual(alice(votes, 3).usable_from, NOW)

    def test_not_at_hand(self):
        """A descriptor that is missing is no reason to make another consensus."""
        votes = voted(*[{"descriptor": b"\x01" * 32}] * 3)
        self.assertRaises(KeyError, count, votes, 3)


class FindingTests(SyncTestCase):
    """What is said of a server."""

    def test_usable_from(self):
        """The low median."""
        votes = voted(*({"usable_from": NOW + n} for n in (3, 0, 2, 1)))
        self.assertEqual(alice(votes).usable_from, NOW + 1)

    def flags(self, *votes: tuple[str, str] | None, n: int = 5) -> tuple[str, ...]:
        """From words in each vote: flags known, flags set."""
        made = []
        for i, each in enumerate(votes):
            known, given = ((), ()) if each is None else (each[0].split(), each[1].split())
            listed = [] if each is None else [entry("alice", flags=(*given,))]
            made.append(vote(i, listed, flags_known=(*known,) if each else ("a",)))
        return alice(made, n).flags

    def test_flags(self):
        """More than half of those who vote on it."""
        self.assertEqual(self.flags(("a b", "a b"), ("a b", "a b"), ("a b", "b")), ("a", "b"))
        self.assertEqual(self.flags(("a b", "a b"), ("a b", "b"), ("a b", "b")), ("b",))
        two = [("a", "a"), ("a", "a"), ("a", ""), ("a", "")]
        self.assertEqual(self.flags(*two), ())

    def test_flags_that_few_know(self):
        """Most authorities have to vote on it, and those who do not know it are not against it."""
        self.assertEqual(self.flags(("a", "a"), ("a", "a"), ("", "")), ())
        self.assertEqual(self.flags(("a", "a"), ("a", "a"), ("", ""), n=3), ("a",))
        self.assertEqual(self.flags(*[("a", "a")] * 3, ("", ""), ("", "")), ("a",))

    def test_flags_of_a_server_that_is_not_listed(self):
        """Who knows the flag and does not list the server is against it."""
        self.assertEqual(self.flags(("a", "a"), ("a", "a"), ("a", ""), None, None), ())
        self.assertEqual(self.flags(*[("a", "a")] * 3, None, None), ("a",))

    def test_as_many_flags_as_fit(self):
        """Votes can agree in pairs on more than a server's entry has room for."""
        words = [f"f{n:02}" for n in range(48)]
        lists = [words[:32], words[16:], words[:16] + words[32:]]
        found = self.flags(*((" ".join(each), " ".join(each)) for each in lists), n=3)
        self.assertEqual(found, tuple(words[:32]))

    def test_reliability(self):
        """The low median, where most authorities give one."""
        votes = voted(*({"reliability": n} for n in (902, 900, 901)))
        self.assertEqual(alice(votes).reliability, 901)
        votes = voted({"reliability": 902}, {"reliability": 900}, {}, {}, {})
        self.assertIsNone(alice(votes).reliability)


class NamesakeTests(SyncTestCase):
    """Two servers with one name, in any case of letters."""

    IMPOSTOR = entry("mallory", descriptor=digest_of(NAMESAKE))

    def test_more_votes(self):
        """Who has more votes keeps it."""
        votes = [vote(n, [entry("alice"), self.IMPOSTOR]) for n in range(3)]
        votes[2] = vote(2, [entry("alice")])
        self.assertEqual(identities(votes, 3), [identity("alice")])
        votes[2] = vote(2, [self.IMPOSTOR])
        self.assertEqual(identities(votes, 3), [identity("mallory")])

    def test_usable_earlier(self):
        """Then who is usable earlier."""
        for shift, winner in ((1, "mallory"), (-1, "alice")):
            late = entry("alice", usable_from=NOW + shift)
            votes = [vote(n, [late, self.IMPOSTOR]) for n in range(3)]
            self.assertEqual(identities(votes, 3), [identity(winner)])

    def test_lesser_identity(self):
        """Then the one with the lesser identity."""
        votes = [vote(n, [entry("alice"), self.IMPOSTOR]) for n in range(3)]
        self.assertEqual(identities(votes, 3), [min(identity("alice"), identity("mallory"))])

    def test_a_name_taken_late(self):
        """A server that five list under its own name, and whose latest descriptor with the name of
        another was shown to two of them only, does not drive that one out."""
        own = entry("mallory", descriptor=digest_of(MALLORY))
        fine = [vote(n, [entry("alice"), own]) for n in range(3)]
        bad = [vote(n, [self.IMPOSTOR]) for n in (3, 4)]
        self.assertEqual(
            sorted(identities([*fine, *bad], 5)), sorted(map(identity, ("alice", "mallory")))
        )
        older = signed(descriptor("mallory", 7, published=NOW - 5), "mallory")
        descriptors = DESCRIPTORS | {digest_of(older): older}
        fine[2] = vote(2, [entry("alice"), entry("mallory", descriptor=digest_of(older))])
        many = signed(descriptor("mallory", 8, nickname="ALICE", published=NOW + 9), "mallory")
        descriptors[digest_of(many)] = many
        bad = [vote(n, [entry("mallory", descriptor=digest_of(many))]) for n in (3, 4)]
        servers = count([*fine, *bad], 5, None, descriptors).consensus.servers
        self.assertEqual([each.nickname for each in servers], ["alice"])


class RoomTests(SyncTestCase):
    """No crowd of servers makes a consensus that nobody can read."""

    def crowd(self, n: int, policy: str) -> tuple[list[VotedServer], dict[bytes, bytes]]:
        entries, descriptors = [], {}
        exits = tuple(
            Exit(f"exit-{i}", "smtp", 9, {"a": policy, "b": [True, {}]}) for i in range(64)
        )
        for i in range(n):
            made = signed(
                descriptor(f"crowd{i:03}", 1, exits=exits, packet_keys=()), f"crowd{i:03}"
            )
            descriptors[digest_of(made)] = made
            entries.append(entry(f"crowd{i:03}", descriptor=digest_of(made)))
        return entries, descriptors

    def test_octets(self):
        """The longest entries are left out, of equal ones the one with the greatest identity."""
        entries, descriptors = self.crowd(290, "x" * 600)
        votes = [vote(n, [*entries, *map(entry, NAMES)]) for n in range(3)]
        made = count(votes, 3, None, DESCRIPTORS | descriptors)
        listed = {each.identity for each in made.consensus.servers}
        self.assertLessEqual({*map(identity, NAMES)}, listed)
        crowd = sorted(each.identity for each in entries)
        self.assertTrue(200 < len(listed) < 290)
        self.assertEqual(sorted(listed - {*map(identity, NAMES)}), crowd[: len(listed) - 4])
        self.assertTrue(11_900_000 < len(made.payload) < 12_100_000)
        self.assertEqual(kdf.sha256(made.payload), kdf.sha256(made.consensus.encode()))

    def test_number(self):
        """There are no more servers than key documents have room for."""
        self.patch(listing, "MOST_SERVERS", 3)
        left = set(NAMES) - set(names(count([vote(n) for n in range(3)], 3)))
        lengths = {each: len(each) for each in NAMES}  # carol has the longest name
        self.assertEqual(left, {max(lengths, key=lambda name: (lengths[name], identity(name)))})

    def test_usable_is_a_flag(self):
        """What paths look for is a flag like any other."""
        votes = [vote(n, [entry("alice", flags=(USABLE,))]) for n in range(3)]
        self.assertEqual(alice(votes, 3).flags, (USABLE,))
