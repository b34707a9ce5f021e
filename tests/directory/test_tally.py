"""From votes to a consensus."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto import kdf
from mixminion.directory.consensus import USABLE, Consensus, Server
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.keydoc import KeyDocument
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.tally import NoConsensus, Tallied, method_of, previous_of, tally
from mixminion.directory.vote import Recommended, Vote, VotedPeriod, VotedServer
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.directory import server_signer
from tests.directory.network import NOW, PERIOD, WEEK, descriptor, identity, private_key

AUTHORITIES = [identity(f"authority {n}") for n in range(7)]
NAMES = ["alice", "bob", "carol", "dave"]


def signed(made: Descriptor, name: str) -> bytes:
    """In its envelope."""
    return made.sign(server_signer(private_key(name), hashlib.sha256(b"s").digest(), now=NOW))


def digest_of(octets: bytes) -> bytes:
    """Of the payload."""
    return kdf.sha256(Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=2**17).payload)


OCTETS = {name: signed(descriptor(name, n), name) for n, name in enumerate(NAMES, 1)}
DIGESTS = {name: digest_of(octets) for name, octets in OCTETS.items()}
LATER = signed(descriptor("alice", 9, published=NOW + 5), "alice")
NAMESAKE = signed(descriptor("mallory", 8, nickname="Alice"), "mallory")
DESCRIPTORS = {digest_of(each): each for each in (*OCTETS.values(), LATER, NAMESAKE)}


def entry(name: str, **changes: Any) -> VotedServer:
    """What an authority says of a server."""
    fields: dict[str, Any] = {
        "identity": identity(name),
        "descriptor": DIGESTS.get(name, b""),
        "usable_from": NOW,
        "flags": (USABLE,),
    }
    return VotedServer(**fields | changes)


def period(number: int = PERIOD, suite: str = "xwing") -> VotedPeriod:
    """A key period."""
    return VotedPeriod(
        number=number,
        begins=number * WEEK,
        ends=(number + 1) * WEEK,
        geometry=PacketGeometry.make(suite, commands=304 if suite == "x25519" else 82),
    )


def vote(n: int, servers: Any = None, **changes: Any) -> Vote:
    """The vote of authority *n*."""
    entries = [entry(name) for name in NAMES] if servers is None else servers
    fields: dict[str, Any] = {
        "authority": AUTHORITIES[n],
        "nickname": f"auth{n}",
        "published": NOW - 60,
        "methods": (1,),
        "valid_after": NOW,
        "parameters": Parameters.default(),
        "key_periods": (period(), period(PERIOD + 1)),
        "flags_known": (USABLE,),
        "servers": tuple(sorted(entries, key=lambda each: each.identity)),
    }
    return Vote(**fields | changes)


def count(votes: list[Vote], n: int = 5, previous: Consensus | None = None) -> Tallied:
    """Their tally, among *n* authorities."""
    return tally(votes, AUTHORITIES[:n], DESCRIPTORS, previous)


def names(tallied: Tallied) -> list[str]:
    """Who is listed."""
    return sorted(server.nickname for server in tallied.consensus.servers)


def server(tallied: Tallied, name: str = "alice") -> Server:
    """Its entry."""
    return next(each for each in tallied.consensus.servers if each.identity == identity(name))


class RuleTests(SyncTestCase):
    """Each rule, worked."""

    def test_agreed(self):
        """Three who agree: dates, servers, keys, and octets that read back."""
        made = count([vote(n) for n in range(3)], 3)
        self.assertEqual(names(made), NAMES)
        consensus = made.consensus
        self.assertEqual((consensus.valid_after, consensus.fresh_until), (NOW, NOW + 3600))
        self.assertEqual((consensus.previous, consensus.gap), (None, False))
        self.assertEqual({each.keys for each in consensus.key_periods}, set(made.keys))
        for each in consensus.key_periods:
            document = KeyDocument.read(made.keys[each.keys], each.keys)
            self.assertEqual(document.period, each.number)
            listed = [s.identity for s in consensus.servers]
            self.assertLessEqual({key.identity for key in document}, {*listed})
        read, _ = Consensus.open(consensus.sign([]))
        self.assertEqual(read, consensus)

    def test_majority_of_all(self):
        """Members are those that most of all authorities list, not most of those who voted."""
        votes = [vote(0), vote(1), vote(2, [entry("bob")])]
        self.assertEqual(names(count(votes, 5)), ["bob"])
        self.assertEqual(names(count(votes, 3)), NAMES)
        with self.assertRaises(NoConsensus):
            count(votes[:2], 5)

    def test_descriptor(self):
        """The one with most votes; of several the one that was published later."""
        new = digest_of(LATER)
        alice, later = [entry("alice")], [entry("alice", descriptor=new)]
        made = count([vote(0, alice), vote(1, alice), vote(2, later)], 3)
        self.assertEqual(server(made).descriptor, DIGESTS["alice"])
        made = count([vote(0, alice), vote(1, later)], 3)
        self.assertEqual(server(made).descriptor, new)

    def test_descriptor_of_another(self):
        """Who votes for a descriptor of another server has not voted for the server."""
        foreign = [entry("alice", descriptor=DIGESTS["bob"])]
        votes = [vote(0, [entry("alice")]), vote(1, [entry("alice")]), vote(2, foreign)]
        self.assertEqual(names(count(votes, 3)), ["alice"])
        votes = [vote(0, [entry("alice")]), vote(1, foreign), vote(2, foreign)]
        self.assertEqual(names(count(votes, 3)), [])
        with self.assertRaises(KeyError):
            count([vote(n, [entry("alice", descriptor=bytes(32))]) for n in range(3)], 3)

    def test_usable_from(self):
        """The low median."""
        votes = [vote(n, [entry("alice", usable_from=NOW + n)]) for n in range(4)]
        self.assertEqual(server(count(votes)).usable_from, NOW + 1)

    def test_flags(self):
        """More than half of those who vote on a flag, and most authorities have to."""
        flags = {"flags_known": ("fast", USABLE)}
        fast, plain = entry("alice", flags=("fast", USABLE)), entry("alice")
        votes = [vote(0, [fast], **flags), vote(1, [fast], **flags), vote(2, [plain], **flags)]
        self.assertEqual(server(count(votes)).flags, ("fast", USABLE))
        votes[1] = vote(1, [plain], **flags)
        self.assertEqual(server(count(votes)).flags, (USABLE,))
        votes = [vote(0, [fast], **flags), vote(1, [fast], **flags), vote(2, [plain])]
        self.assertEqual(server(count(votes)).flags, (USABLE,))

    def test_reliability(self):
        """The low median, where most authorities give one."""
        votes = [vote(n, [entry("alice", reliability=900 + n)]) for n in range(3)]
        self.assertEqual(server(count(votes)).reliability, 901)
        votes[2] = vote(2, [entry("alice")])
        self.assertIsNone(server(count(votes)).reliability)

    def test_parameters(self):
        """Low medians of numbers, words by most votes, the least of several."""
        values = [(100, "poisson"), (200, "alpha"), (300, "threshold"), (400, "threshold")]
        votes = [
            vote(n, parameters=Parameters(tick_ms=tick, strategy=word))
            for n, (tick, word) in enumerate(values)
        ]
        found = count(votes).consensus.parameters
        self.assertEqual((found.tick_ms, found.strategy), (200, "threshold"))
        found = count(votes[:3]).consensus.parameters
        self.assertEqual((found.tick_ms, found.strategy), (200, "alpha"))

    def test_key_periods(self):
        """Those that most name, each as most have it."""
        votes = [
            vote(0, key_periods=(period(), period(PERIOD + 1), period(PERIOD + 2))),
            vote(1, key_periods=(period(), period(PERIOD + 1, "x25519"))),
            vote(2, key_periods=(period(), period(PERIOD + 1, "x25519"))),
        ]
        found = count(votes, 3).consensus.key_periods
        suites = [(each.number - PERIOD, each.geometry.suite) for each in found]
        self.assertEqual(suites, [(0, "xwing"), (1, "x25519")])
        empty = KeyDocument.read(count(votes, 3).keys[found[1].keys], found[1].keys)
        self.assertEqual(empty.keys, ())  # nobody has a key of that suite

    def test_no_key_period(self):
        """Without one there is no consensus."""
        with self.assertRaises(NoConsensus):
            count([vote(n, key_periods=(period(PERIOD + n),)) for n in range(3)], 3)
        with self.assertRaises(NoConsensus):
            count([vote(n, key_periods=(period(PERIOD + 1),)) for n in range(3)], 3)

    def test_namesakes(self):
        """Who has more votes keeps the name; then who is usable earlier; then the lesser."""
        impostor = entry("mallory", descriptor=digest_of(NAMESAKE))
        votes = [vote(n, [entry("alice"), impostor]) for n in range(3)]
        votes[2] = vote(2, [entry("alice")])
        self.assertEqual(
            [s.identity for s in count(votes, 3).consensus.servers], [identity("alice")]
        )
        late = entry("alice", usable_from=NOW + 1)
        votes = [vote(n, [late, impostor]) for n in range(3)]
        self.assertEqual(
            [s.identity for s in count(votes, 3).consensus.servers], [identity("mallory")]
        )
        votes = [vote(n, [entry("alice"), impostor]) for n in range(3)]
        self.assertEqual(
            [s.identity for s in count(votes, 3).consensus.servers],
            [min(identity("alice"), identity("mallory"))],
        )

    def test_previous(self):
        """A majority's; none is known; and no majority, which is a gap."""
        for named, expected in (
            ([b"a", b"a", b"a", b"b"], (b"a" * 32, False)),
            ([b"a", b"a", b"b", b"b"], (None, True)),
            ([None, None, None, b"b"], (None, False)),
        ):
            votes = [vote(n, previous=d and d * 32) for n, d in enumerate(named)]
            self.assertEqual(previous_of(votes, AUTHORITIES[:5]), expected)
            consensus = count(votes).consensus
            self.assertEqual((consensus.previous, consensus.gap), expected)

    def test_method(self):
        """The greatest that most know; one that we do not know is said."""
        votes = [vote(0, methods=(1, 2)), vote(1, methods=(1, 2)), vote(2)]
        self.assertEqual(method_of(votes, AUTHORITIES[:3]), 2)
        with self.assertRaises(NoConsensus):
            count(votes, 3)
        self.assertEqual(method_of(votes, AUTHORITIES[:5]), 1)
        with self.assertRaises(NoConsensus):
            count([vote(n, methods=(n + 1,)) for n in range(3)], 3)

    def test_recommended(self):
        """What most authorities recommend."""
        votes = [
            vote(0, recommended=Recommended(clients=("1.0", "1.1"), servers=("1.0",))),
            vote(1, recommended=Recommended(clients=("1.1", "2.0"))),
            vote(2),
        ]
        self.assertEqual(count(votes, 3).consensus.recommended, Recommended(clients=("1.1",)))
        self.assertIsNone(count(votes[1:], 3).consensus.recommended)

    def test_shared_random(self):
        """Only what had been committed to is part of the value."""
        secrets = [hashlib.sha256(b"%d" % n).digest() for n in range(3)]
        votes = [vote(n, commitment=kdf.sha256(secret)) for n, secret in enumerate(secrets)]
        first = count(votes, 3)
        assert first.consensus.shared_random is not None
        self.assertIsNone(first.consensus.shared_random.value)
        reveals = [vote(0, reveal=secrets[0]), vote(1, reveal=secrets[2]), vote(2)]
        found = count(reveals, 3, first.consensus).consensus.shared_random
        assert found is not None
        expected = b"mixminion shared random 1" + NOW.to_bytes(8) + AUTHORITIES[0] + secrets[0]
        self.assertEqual(found.value, hashlib.sha256(expected).digest())
        self.assertEqual(found.commitments, ())
        self.assertIsNone(count(reveals, 3).consensus.shared_random)

    def test_test_network(self):
        """Only where most say so."""
        votes = [vote(0, test_network=True), vote(1, test_network=True), vote(2)]
        self.assertTrue(count(votes, 3).consensus.test_network)
        self.assertFalse(count(votes, 5).consensus.test_network)

    def test_strangers(self):
        """Two votes of one authority, or one of somebody else, are a mistake of the caller's."""
        for votes in ([vote(0), vote(0), vote(1)], [vote(0), vote(1), vote(6)]):
            self.assertRaises(ValueError, count, votes, 3)


numbers = st.integers(1, 2**31)
entries = st.builds(
    lambda name, digest, at, flags, reliability: entry(
        name, descriptor=digest, usable_from=at, flags=tuple(sorted(flags)), reliability=reliability
    ),
    st.sampled_from([*NAMES, "mallory"]),
    st.sampled_from(sorted(DESCRIPTORS)),
    st.integers(0, 2 * NOW),
    st.sets(st.sampled_from(["fast", USABLE, "zzz"])),
    st.none() | st.integers(0, 1000),
)
strange = st.fixed_dictionaries(
    {
        "servers": st.lists(entries, max_size=6, unique_by=lambda each: each.identity),
        "parameters": st.builds(
            Parameters,
            tick_ms=numbers,
            hops=st.integers(1, 32),
            consensus_valid=numbers,
            consensus_fresh=numbers,
            strategy=st.sampled_from(["poisson", "a", "zz"]),
        ),
        "key_periods": st.lists(
            st.builds(
                lambda n, begins, ends, suite: msgspec.structs.replace(
                    period(n, suite), begins=begins, ends=ends
                ),
                st.integers(PERIOD - 2, PERIOD + 3),
                st.integers(0, 2 * NOW),
                st.integers(0, 2 * NOW),
                st.sampled_from(["xwing", "x25519"]),
            ),
            min_size=1,
            max_size=5,
            unique_by=lambda each: each.number,
        ).map(lambda found: tuple(sorted(found, key=lambda each: each.number))),
        "methods": st.sets(st.integers(1, 3), min_size=1).map(lambda m: tuple(sorted(m))),
        "previous": st.none() | st.binary(min_size=32, max_size=32),
        "test_network": st.booleans(),
        "flags_known": st.just(("fast", USABLE, "zzz")),
        "recommended": st.builds(
            Recommended,
            clients=st.sets(st.sampled_from(["1", "2", "3"])).map(lambda v: tuple(sorted(v))),
        ),
    }
)


class PropertyTests(SyncTestCase):
    """What holds for any votes."""

    @settings(max_examples=60)
    @given(st.integers(0, 2), st.lists(strange, min_size=2, max_size=2), st.permutations(range(5)))
    def test_a_minority_changes_nothing(self, bad, changes, order):
        """Three of five agree; whatever up to two others say, in whatever order, the octets are
        those of the three: servers, keys, parameters, all but what the strange ones reveal."""
        agreed = [vote(n, recommended=Recommended(clients=("1.0",))) for n in range(3)]
        alone = count(agreed, 5)
        votes = [*agreed, *(vote(3 + n, **changes[n]) for n in range(bad))]
        shuffled = [votes[n] for n in order if n < len(votes)]
        found = count(shuffled, 5)
        self.assertEqual(found.consensus.encode(), alone.consensus.encode())
        self.assertEqual(found.keys, alone.keys)

    @settings(max_examples=60)
    @given(st.lists(strange, min_size=3, max_size=4))
    def test_any_votes(self, changes):
        """Votes that agree on nothing give the same octets in every order, which are read again,
        or the same complaint."""
        votes = [vote(n, **each) for n, each in enumerate(changes)]
        results: set[object] = set()
        for some in itertools.islice(itertools.permutations(votes), 0, 24, 5):
            try:
                made = count(list(some), 4)
            except NoConsensus as error:
                results.add((error.fields["problem"], ()))
                continue
            octets = made.consensus.sign([])
            read, _ = Consensus.open(octets)
            self.assertEqual(read, made.consensus)
            for each in read.key_periods:
                KeyDocument.read(made.keys[each.keys], each.keys)
            results.add((octets, tuple(sorted(made.keys.items()))))
        self.assertEqual(len(results), 1)
