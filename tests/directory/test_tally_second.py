"""A second tally, made from the words of the specification, comes to the same octets."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto import kdf
from mixminion.directory import canonical, documents
from mixminion.directory.consensus import Consensus
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.tally import NoConsensus, tally
from mixminion.directory.vote import Vote
from mixminion.testing.cases import SyncTestCase
from tests.directory.arbitrary import any_votes, befores
from tests.directory.second_tally import second
from tests.directory.votes import (
    AUTHORITIES,
    DESCRIPTORS,
    DIGESTS,
    UNREADABLE,
    digest_of,
    entry,
    vote,
)


def payload_of(octets: bytes) -> bytes:
    """Of a descriptor in its envelope."""
    return Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=2**17).payload


def base64_of(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


READ = {
    base64_of(digest): json.loads(payload_of(octets))
    for digest, octets in DESCRIPTORS.items()
    if octets != UNREADABLE
}


def strange(name: str) -> bytes:
    """Its descriptor with members that nobody knows, and with some at their defaults."""
    said = dict(READ[base64_of(DIGESTS[name])])
    said["family"] = ""
    said["of-tomorrow"] = {"a": [1]}
    said["exits"] = [{**said["exits"][0], "policy": {}, "colour": "red"}]
    said["addresses"] = [{**each, "weight": 3} for each in said["addresses"]]
    said["dials"] = [{"allow": True, "network": "192.0.2.0/24", "why": "x"}]
    payload = canonical.encode(said)
    return sign(PayloadType.DESCRIPTOR, payload, [Signer.of(bytes(32))]).encode()


class SecondTests(SyncTestCase):
    """Both agree."""

    def compare(
        self,
        payloads: Sequence[bytes],
        n: int,
        before: Consensus | None,
        more: Sequence[bytes] = (),
    ) -> bool:
        votes = [
            documents.decode(Vote, each, name="vote", version=1, limit=2**20) for each in payloads
        ]
        descriptors = DESCRIPTORS | {digest_of(each): each for each in more}
        read = READ | {base64_of(digest_of(each)): json.loads(payload_of(each)) for each in more}
        previous = None if before is None else before.encode()
        theirs = second(payloads, n, read, previous)
        try:
            ours = tally(votes, AUTHORITIES[:n], descriptors, before)
        except NoConsensus:
            self.assertIsNone(theirs)
            return False
        assert theirs is not None
        self.assertEqual(ours.payload, theirs[0])
        self.assertEqual({base64_of(digest): o for digest, o in ours.keys.items()}, theirs[1])
        return True

    @settings(max_examples=60)
    @given(any_votes(), befores(), st.integers(0, 1))
    def test_any(self, votes, before, spare):
        """Whatever they say."""
        self.compare([each.encode() for each in votes], max(len(votes) + spare, 5), before)
        self.compare([each.encode() for each in votes], 5, None)

    @settings(max_examples=60)
    @given(any_votes(least=3, most=3), befores())
    def test_mostly_agreed(self, votes, before):
        """Where they differ in a few members only, so that there is a consensus each time."""
        usual = vote(0)
        merged = [
            msgspec.structs.replace(
                each,
                methods=(1,),
                key_periods=votes[0].key_periods,
                parameters=usual.parameters if n else votes[0].parameters,
            )
            for n, each in enumerate(votes)
        ]
        self.assertTrue(self.compare([each.encode() for each in merged], 3, before))

    def test_unknown_members(self):
        """Members of tomorrow, and defaults written out, in votes and descriptors."""
        more = [strange("bob"), strange("dave")]
        payloads = []
        for n in range(3):
            listed = [
                entry("bob", descriptor=digest_of(more[0])),
                entry("dave", descriptor=digest_of(more[1]), flags=()),
            ]
            said = json.loads(vote(n, listed).encode())
            said["of-tomorrow"] = n
            said["test-network"] = False
            said["recommended"] = {"clients": [], "servers": [], "news": ["3"]}
            said["servers"][0]["speed"] = n
            said["servers"][1].setdefault("flags", [])
            for each in said["key-periods"]:
                each["colour"] = n
                each["geometry"]["shape"] = n
            payloads.append(canonical.encode(said))
        self.assertTrue(self.compare(payloads, 3, None, more))
        self.assertEqual(len({kdf.sha256(each) for each in payloads}), 3)
