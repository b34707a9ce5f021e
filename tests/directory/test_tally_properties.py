"""What holds of a tally for any votes."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto import kdf
from mixminion.directory import documents
from mixminion.directory.agreement import majority
from mixminion.directory.consensus import Consensus
from mixminion.directory.keydoc import KeyDocument
from mixminion.directory.parameters import Parameters
from mixminion.directory.tally import NoConsensus, Tallied
from mixminion.directory.vote import Vote
from mixminion.testing.cases import SyncTestCase
from tests.directory.arbitrary import (
    ALICE,
    DIGEST,
    FLAGS,
    any_votes,
    befores,
    contents,
    entries,
    periods,
)
from tests.directory.network import NOW
from tests.directory.votes import AUTHORITIES, NAMES, count, entry, vote

sizes = st.sampled_from([1, 2, 3, 4, 5, 7])


@st.composite
def agreements(draw: st.DrawFn) -> tuple[int, list[Vote], list[Vote]]:
    """*n*, the same vote by a majority of *n*, and any votes of some others."""
    n = draw(sizes)
    needed = majority(AUTHORITIES[:n])
    authors = draw(st.permutations(range(n)))
    same = draw(contents()) | {
        "methods": (1,),
        "previous": draw(st.none() | st.just(DIGEST)),
        "commitment": None,
        "reveal": None,
    }
    agreed = [vote(author, **same) for author in authors[:needed]]
    rest = [vote(author, **draw(contents())) for author in authors[needed:] if draw(st.booleans())]
    return n, agreed, rest


def without_random(tallied: Tallied) -> bytes:
    """The octets, but for what is random."""
    return msgspec.structs.replace(tallied.consensus, shared_random=None).encode()


def outcome(votes: list[Vote], n: int, before: Consensus | None) -> tuple[object, ...]:
    """All octets, or the complaint."""
    try:
        made = count(votes, n, before)
    except NoConsensus as error:
        return (error.fields["problem"],)
    return (made.payload, *sorted(made.keys.items()))


class AnyTests(SyncTestCase):
    """Votes that agree on nothing."""

    @settings(max_examples=40)
    @given(any_votes(), befores(), st.randoms(use_true_random=False))
    def test_order(self, votes, before, random):
        """In any order they give the same octets, or the same complaint."""
        shuffled = list(votes)
        random.shuffle(shuffled)
        self.assertEqual(outcome(votes, 5, before), outcome(shuffled, 5, before))

    @settings(max_examples=40)
    @given(any_votes(least=3), befores())
    def test_read_again(self, votes, before):
        """What comes out is a consensus that everybody reads, encodes to its octets, and names
        its key documents, which are in order and have listed servers only."""
        try:
            made = count(votes, 5, before)
        except NoConsensus as error:
            self.assertRegex(error.fields["problem"], "method|no key period")
            return
        read, envelope = Consensus.open(made.consensus.sign([]))
        self.assertEqual(envelope.payload, made.payload)
        self.assertEqual((read, read.encode()), (made.consensus, made.payload))
        self.assertEqual([each.keys for each in read.key_periods], [*made.keys])
        listed = {each.identity for each in read.servers}
        for each in read.key_periods:
            octets = made.keys[each.keys]
            document = KeyDocument.read(octets, each.keys)
            self.assertEqual(document.encode(), octets)
            self.assertLessEqual({key.identity for key in document}, listed)
            self.assertEqual((document.period, document.suite), (each.number, each.geometry.suite))

    @settings(max_examples=40)
    @given(any_votes())
    def test_votes(self, votes):
        """The votes themselves are such as are read again."""
        for each in votes:
            octets = each.encode()
            again = documents.decode(Vote, octets, name="vote", version=1, limit=2**20)
            self.assertEqual((again, again.encode()), (each, octets))


class MinorityTests(SyncTestCase):
    """Fewer than half say anything whatever."""

    @settings(max_examples=40)
    @given(agreements(), befores())
    def test_whole(self, votes, before):
        """Where a majority agrees in everything, the rest changes nothing but what is random."""
        n, agreed, rest = votes
        alone = count(agreed, n, before)
        found = count([*rest, *agreed], n, before)
        self.assertEqual(without_random(found), without_random(alone))
        self.assertEqual(found.keys, alone.keys)
        self.assertEqual(alone.consensus.previous, agreed[0].previous)
        self.assertFalse(alone.consensus.gap)
        self.assertEqual(
            [each.number for each in alone.consensus.key_periods][: len(agreed[0].key_periods)],
            [each.number for each in agreed[0].key_periods],
        )

    @settings(max_examples=40)
    @given(any_votes(least=5), st.integers(0, 2), befores())
    def test_never_stopped(self, votes, bad, before):
        """Where a majority knows the method and agrees on the current key period there is a
        consensus, whatever else they disagree on and whatever the rest says."""
        current = votes[0].key_periods[:1]
        for at in range(bad, 5):
            votes[at] = msgspec.structs.replace(
                votes[at],
                methods=(1,),
                key_periods=current,
                parameters=msgspec.structs.replace(votes[at].parameters, hops=1),
            )
        self.assertEqual(count(votes, 5, before).consensus.method, 1)

    @settings(max_examples=40)
    @given(any_votes(least=5), st.data(), befores())
    def test_one_server(self, votes, data, before):
        """A server on which three of five agree is listed as they say, whatever else they disagree
        on, and although two others may give its name to another one.  (One honest authority
        does not list two servers with one name.)"""
        listed = entry("alice", flags=data.draw(st.sampled_from([(), FLAGS[:1], FLAGS])))
        others = tuple(name for name in NAMES if name != "alice")
        usual = vote(0)
        for at in range(3):
            rest = [data.draw(entries(FLAGS, name)) for name in others]
            votes[at] = msgspec.structs.replace(
                votes[at],
                methods=(1,),
                key_periods=usual.key_periods,
                parameters=usual.parameters,
                flags_known=FLAGS,
                servers=tuple(sorted([listed, *rest], key=lambda each: each.identity)),
            )
        shuffled = data.draw(st.permutations(votes))
        (found,) = (
            each for each in count(shuffled, 5, before).consensus.servers if each.identity == ALICE
        )
        self.assertEqual((found.descriptor, found.usable_from), (listed.descriptor, NOW))
        self.assertEqual(found.flags, listed.flags)

    @settings(max_examples=40)
    @given(any_votes(least=5), st.data(), befores())
    def test_one_parameter(self, votes, data, before):
        """A parameter on which three of five agree is what they say."""
        chain = data.draw(periods())
        for at in range(3):
            votes[at] = msgspec.structs.replace(
                votes[at],
                methods=(1,),
                key_periods=chain,
                parameters=msgspec.structs.replace(
                    votes[at].parameters, hops=3, strategy="agreed", tick_ms=77
                ),
            )
        found = count(votes, 5, before).consensus
        self.assertEqual(
            (found.parameters.hops, found.parameters.strategy, found.parameters.tick_ms),
            (3, "agreed", 77),
        )
        for each, agreed in zip(found.key_periods, chain, strict=False):
            self.assertEqual((each.number, each.geometry), (agreed.number, agreed.geometry))

    @settings(max_examples=40)
    @given(any_votes(least=5), st.lists(st.integers(1, 99), min_size=3, max_size=3))
    def test_numbers_between(self, votes, own):
        """Where the three differ in a number, it is between the least and greatest of theirs."""
        for at, number in enumerate(own):
            votes[at] = msgspec.structs.replace(
                votes[at],
                methods=(1,),
                key_periods=votes[0].key_periods,
                parameters=Parameters(tick_ms=number, hops=1),
            )
        found = count(votes, 5).consensus.parameters.tick_ms
        self.assertTrue(min(own) <= found <= max(own))

    @settings(max_examples=40)
    @given(agreements(), befores())
    def test_value_with_an_honest_part(self, votes, before):
        """The shared random value has everything that was committed to and is revealed, also what
        the rest did not want in it."""
        n, agreed, rest = votes
        secret = kdf.sha256(agreed[0].authority)
        agreed = [msgspec.structs.replace(each, previous=DIGEST) for each in agreed]
        known = [msgspec.structs.replace(agreed[0], reveal=secret), *agreed[1:]]
        values = []
        for some in (agreed, known):
            shared = count([*some, *rest], n, before).consensus.shared_random
            values.append(None if shared is None else shared.value)
        if before.shared_random is None:
            self.assertEqual(values, [None, None])
        else:
            self.assertNotEqual(*values)
