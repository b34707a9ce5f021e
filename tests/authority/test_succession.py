"""Signatures collected, and two consensuses for one instant."""

from __future__ import annotations

from typing import Any

from mixminion.authority.conduct import Misdeed
from mixminion.authority.signatures import Collection, claimed
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import Consensus
from mixminion.directory.detached import Detached
from mixminion.testing.cases import SyncTestCase
from tests.authority.votes import authorities, authority, signer
from tests.authority.world import World
from tests.directory import network
from tests.directory.network import NOW, server


def collected(made: Consensus, *numbers: int) -> Collection:
    """Signed by those of five."""
    collection = Collection.made(made, authorities(5))
    for number in numbers:
        collection.sign(signer(number))
    return collection


def signed(*numbers: int, name: str = "alice", **changes: Any) -> SignedConsensus:
    """A consensus that these have signed."""
    found = collected(network.consensus([server(name)], **changes), *numbers).signed()
    assert found is not None
    return found


class CollectionTests(SyncTestCase):
    def setUp(self) -> None:
        self.made = network.consensus([server("alice")])

    def test_enough(self) -> None:
        """A majority of all, one signature of each, in an envelope that everybody can check."""
        collection = collected(self.made, 0, 0, 1)
        self.assertIsNone(collection.signed())
        octets = collected(self.made, 1, 4).detached()
        assert octets is not None
        self.assertEqual(collection.add(Detached.read(octets).signatures), {authority(4)})
        self.assertEqual(collection.add(Detached.read(octets).signatures), frozenset())
        found = collection.signed()
        assert found is not None
        checked = SignedConsensus.verify(found.octets, authorities(5), NOW)
        self.assertEqual((checked.digest, checked.tally), (found.digest, found.tally))
        self.assertEqual(found.tally.signed, 3)

    def test_others(self) -> None:
        """Signatures of strangers, or on something else, are left out."""
        other = collected(network.consensus([server("bob")]), 0, 1, 2)
        collection = collected(self.made)
        self.assertIsNone(collection.detached())
        self.assertEqual(collection.add(other.envelope.signatures), frozenset())
        stranger = Collection.made(self.made, authorities(7))
        stranger.sign(signer(6))
        self.assertEqual(collection.add(stranger.envelope.signatures), frozenset())
        self.assertEqual(len(collection.envelope.signatures), 0)

    def test_claimed(self) -> None:
        """Whose signatures a set says it has, as far as it can be told without the consensus."""
        octets = collected(self.made, 1, 3).detached()
        assert octets is not None
        found = claimed(Detached.read(octets), authorities(5))
        self.assertEqual(found, {authority(1), authority(3)})


class SuccessionTests(SyncTestCase):
    """What an authority takes over."""

    def setUp(self) -> None:
        self.world = World(5)
        self.node = self.world.nodes[0]
        self.node.start()
        assert self.node.rounds is not None
        self.rounds = self.node.rounds

    def offer(self, consensus: SignedConsensus) -> None:
        self.rounds.succession.offer(consensus, {})

    def digests(self) -> list[bytes]:
        return [each.digest for each, _ in self.node.published]

    def test_never_back(self) -> None:
        """Newer ones, or more signatures; nothing older, nothing with fewer."""
        newer = signed(0, 1, 2, valid_after=NOW + 60)
        self.offer(newer)
        self.offer(signed(0, 1, 2, 3, 4))
        self.offer(newer)
        self.assertEqual(self.digests(), [newer.digest])
        self.offer(signed(0, 1, 2, 3, valid_after=NOW + 60))
        self.assertEqual(self.digests(), [newer.digest] * 2)

    def test_two(self) -> None:
        """Two for one instant: the first stays, the second is kept, those who signed both are
        named."""
        first, second = signed(0, 1, 2), signed(1, 2, 3, 4, name="bob")
        self.offer(first)
        self.offer(second)
        self.assertEqual(self.digests(), [first.digest])
        self.assertEqual(self.node.files[f"{NOW}-second"], second.octets)
        for number in range(5):
            misdeeds = self.node.misdeeds(self.world.nodes[number], NOW)
            self.assertEqual(misdeeds, {Misdeed.TWO_CONSENSUSES} if number in (1, 2) else set())

    def test_loaded(self) -> None:
        """At a start the newest whole one is published again."""
        self.world.start(self.world.nodes[1:])
        at = self.world.schedule().valid_after
        self.world.until(at + 60)
        self.node.kill()
        before = len(self.node.published)
        self.node.start()
        self.assertEqual(len(self.node.published), before + 1)
        (consensus, keys) = self.node.published[-1]
        self.assertEqual(consensus.consensus.valid_after, at)
        self.assertEqual(len(keys), 3)
        # without a key document it is fetched again
        self.node.kill()
        name = next(each for each in self.node.files if each.startswith("keys-"))
        del self.node.files[name]
        self.node.start()
        self.assertEqual(len(self.node.published), before + 1)
        self.world.clock.advance(60)
        self.assertEqual(len(self.node.published), before + 2)
        self.assertIn(name, self.node.files)
