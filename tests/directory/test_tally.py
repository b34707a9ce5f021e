"""From votes to a consensus."""

from __future__ import annotations

import hashlib

from mixminion.crypto import kdf
from mixminion.directory import keydoc, tally
from mixminion.directory.consensus import Commitment, Consensus, SharedRandom
from mixminion.directory.keydoc import KeyDocument
from mixminion.directory.tally import NoConsensus, method_of, previous_of
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, PERIOD, identity
from tests.directory.votes import (
    AUTHORITIES,
    CLASSICAL,
    KEYLESS,
    NAMES,
    count,
    digest_of,
    entry,
    three,
    vote,
)


class WholeTests(SyncTestCase):
    """The document."""

    def test_agreed(self):
        """Three who agree: dates, servers, keys, and octets that read back."""
        made = count(three(), 3)
        consensus = made.consensus
        self.assertEqual(sorted(each.nickname for each in consensus.servers), NAMES)
        self.assertEqual((consensus.valid_after, consensus.fresh_until), (NOW, NOW + 3600))
        self.assertEqual((consensus.previous, consensus.gap), (None, False))
        self.assertEqual({each.keys for each in consensus.key_periods}, set(made.keys))
        read, _ = Consensus.open(consensus.sign([]))
        self.assertEqual(read, consensus)
        self.assertEqual(made.payload, consensus.encode())

    def test_keys(self):
        """Those of the listed descriptors for the period and its suite; a server without one is
        listed and not in it."""
        listed = [
            entry("alice"),
            entry("bob", descriptor=digest_of(KEYLESS)),
            entry("carol", descriptor=digest_of(CLASSICAL)),
        ]
        made = count(three(servers=tuple(sorted(listed, key=lambda e: e.identity))), 3)
        self.assertEqual(len(made.consensus.servers), 3)
        found = {}
        for each in made.consensus.key_periods:
            document = KeyDocument.read(made.keys[each.keys], each.keys)
            self.assertEqual((document.period, document.suite), (each.number, "xwing"))
            found[each.number - PERIOD] = {key.identity for key in document}
        alice, bob = identity("alice"), identity("bob")
        self.assertEqual(found, {0: {alice, bob}, 1: {alice}})

    def test_test_network(self):
        """Only where most say so."""
        votes = [vote(0, test_network=True), vote(1, test_network=True), vote(2)]
        self.assertTrue(count(votes, 3).consensus.test_network)
        self.assertFalse(count(votes, 5).consensus.test_network)

    def test_strangers(self):
        """Two votes of one authority, one of somebody else, votes for two times: mistakes of the
        caller's."""
        other = vote(2, valid_after=NOW + 3600)
        for votes in (
            [vote(0), vote(0), vote(1)],
            [vote(0), vote(1), vote(6)],
            [vote(0), vote(1), other],
        ):
            self.assertRaises(ValueError, count, votes, 3)

    def test_too_long(self):
        """Nobody signs what nobody can read."""
        for module, name, least in ((tally, "LONGEST", 2000), (keydoc, "LIMIT", 5000)):
            self.patch(module, name, least)
            error = self.assertRaises(NoConsensus, count, three(), 3)
            self.assertIn("long", error.fields["problem"])


class SuccessionTests(SyncTestCase):
    """What comes before, and by which method."""

    def test_previous(self):
        """A majority's; none is known; and no majority, which is a gap."""
        for named, expected in (
            ([b"a", b"a", b"a", b"b"], (b"a" * 32, False)),
            ([b"a", b"a", b"b", b"b"], (None, True)),
            ([None, None, None, b"b"], (None, False)),
            ([None, None, b"a", b"a", b"a"], (b"a" * 32, False)),
        ):
            votes = [vote(n, previous=d and d * 32) for n, d in enumerate(named)]
            self.assertEqual(previous_of(votes, AUTHORITIES[:5]), expected)
            consensus = count(votes).consensus
            self.assertEqual((consensus.previous, consensus.gap), expected)

    def test_method(self):
        """The greatest that most know; one that we do not know is said."""
        votes = [vote(0, methods=(1, 2)), vote(1, methods=(1, 2)), vote(2)]
        self.assertEqual(method_of(votes, AUTHORITIES[:3]), 2)
        self.assertRaises(NoConsensus, count, votes, 3)
        self.assertEqual(method_of(votes, AUTHORITIES[:5]), 1)
        self.assertEqual(count(votes).consensus.method, 1)
        self.assertRaises(NoConsensus, count, [vote(n, methods=(n + 1,)) for n in range(3)], 3)


class SharedRandomTests(SyncTestCase):
    """The value nobody chose."""

    SECRETS = tuple(hashlib.sha256(b"%d" % n).digest() for n in range(3))

    def before(self) -> Consensus:
        """All three have committed themselves."""
        votes = [vote(n, commitment=kdf.sha256(each)) for n, each in enumerate(self.SECRETS)]
        return count(votes, 3).consensus

    def value(self, *reveals: bytes | None, previous: bytes | None = bytes(32)) -> bytes | None:
        votes = [vote(n, previous=previous, reveal=each) for n, each in enumerate(reveals)]
        found = count(votes, 3, self.before()).consensus.shared_random
        return None if found is None else found.value

    def expected(self, *who: int) -> bytes:
        parts = sorted(AUTHORITIES[n] + self.SECRETS[n] for n in who)
        text = b"mixminion shared random 1" + NOW.to_bytes(8, "big") + b"".join(parts)
        return hashlib.sha256(text).digest()

    def test_commitments(self):
        """Those of the votes, ascending; there is no value yet."""
        each = [
            Commitment(authority=AUTHORITIES[n], commitment=kdf.sha256(secret))
            for n, secret in enumerate(self.SECRETS)
        ]
        ordered = tuple(sorted(each, key=lambda one: one.authority))
        self.assertEqual(self.before().shared_random, SharedRandom(commitments=ordered))

    def test_value(self):
        """Of everything that is revealed, in order of the authorities."""
        self.assertEqual(self.value(*self.SECRETS), self.expected(0, 1, 2))
        self.assertEqual(self.value(self.SECRETS[0], None, self.SECRETS[2]), self.expected(0, 2))

    def test_what_was_not_committed_to(self):
        """Does not count, and nor does another authority's."""
        one, two, _ = self.SECRETS
        self.assertEqual(self.value(one, one, bytes(32)), self.expected(0))
        self.assertIsNone(self.value(two, one, None))

    def test_without_a_previous(self):
        """In a gap nothing was committed to."""
        self.assertIsNone(self.value(*self.SECRETS, previous=None))
        self.assertIsNone(count(three(), 3).consensus.shared_random)
