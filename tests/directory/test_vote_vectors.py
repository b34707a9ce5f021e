"""Frozen votes, and the consensuses that they make: made again, tallied by us, and by the second
tally, which knows the specification only."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import msgspec

from mixminion.directory import certificate
from mixminion.directory.certificate import Role
from mixminion.directory.consensus import USABLE, Consensus
from mixminion.directory.descriptor import Descriptor, PacketKey
from mixminion.directory.envelope import Envelope, PayloadType, Signer
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.tally import Tallied, tally
from mixminion.directory.vote import Recommended, Vote, VotedPeriod, VotedServer
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort
from tests.directory.network import NOW, PERIOD, WEEK
from tests.directory.second_tally import second
from tests.directory.test_vectors import FOLDER as DOCUMENTS
from tests.directory.test_vectors import packet_key, second_open

FOLDER = DOCUMENTS / "voting"
KEYS = [bytes([i] * 32) for i in range(8)]
PUBLIC = [Signer.of(key).public for key in KEYS]
AUTHORITIES = [PUBLIC[3], PUBLIC[4], PUBLIC[6]]
SECRETS = [hashlib.sha256(f"reveal {n}".encode()).digest() for n in (1, 2, 3)]


def sha256(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def bob(published: int, periods: int) -> Descriptor:
    """A server with keys of so many periods."""
    return Descriptor(
        identity=PUBLIC[7],
        nickname="bob",
        start=1,
        published=published,
        valid_after=NOW,
        valid_until=NOW + WEEK,
        addresses=(HostPort("198.51.100.7", 48099),),
        protocols=("mmtp/2",),
        suites=("x25519",),
        packet_keys=tuple(
            PacketKey(period=n, suite="x25519", key=packet_key(n))
            for n in range(PERIOD, PERIOD + periods)
        ),
    )


def alice() -> bytes:
    """The descriptor of the other vectors."""
    octets = (DOCUMENTS / "descriptor.json").read_bytes()
    return Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=2**16).payload


def signers() -> list[Signer]:
    """The authorities', two of which sign themselves."""
    certified = certificate.certify(
        Role.AUTHORITY, KEYS[4], PUBLIC[5], valid_after=NOW, valid_until=NOW + 60 * 86_400
    )
    return [Signer.of(KEYS[3]), Signer.of(KEYS[5], certified), Signer.of(KEYS[6])]


def period(number: int, suite: str = "x25519") -> VotedPeriod:
    return VotedPeriod(
        number=number,
        begins=number * WEEK,
        ends=(number + 1) * WEEK,
        geometry=PacketGeometry.make(suite, commands=304 if suite == "x25519" else 82),
    )


def listed(identity: bytes, descriptor: bytes, **changes: Any) -> VotedServer:
    fields: dict[str, Any] = {"usable_from": NOW, "flags": (USABLE,)}
    return VotedServer(identity=identity, descriptor=sha256(descriptor), **fields | changes)


def first_round() -> list[Vote]:
    """All agree: a network's first consensus."""
    return [
        Vote(
            authority=identity,
            nickname=f"authority{n}",
            published=NOW - 60,
            methods=(1,),
            valid_after=NOW,
            parameters=Parameters.default(),
            key_periods=(period(PERIOD), period(PERIOD + 1)),
            flags_known=(USABLE,),
            commitment=sha256(SECRETS[n - 1]),
            servers=(listed(PUBLIC[1], alice()),),
        )
        for n, identity in enumerate(AUTHORITIES, 1)
    ]


def second_round(previous: bytes) -> list[Vote]:
    """They differ in nearly everything, and the third does not reveal what it should."""
    newer, older = bob(NOW + 60, 1).encode(), bob(NOW, 2).encode()
    one, two, three = (
        msgspec.structs.replace(
            each,
            published=NOW + 3000,
            valid_after=NOW + 3600,
            previous=sha256(previous),
            commitment=sha256(b"again" + each.authority),
            reveal=secret,
        )
        for each, secret in zip(first_round(), SECRETS, strict=True)
    )
    return [
        msgspec.structs.replace(
            one,
            contact="one \U0001f407 <one@example.org>",
            methods=(1, 2),
            flags_known=("fast", USABLE),
            parameters=Parameters(tick_ms=200, strategy="timed-dynamic-pool"),
            recommended=Recommended(clients=("1.0", "1.1"), servers=("1.1",)),
            servers=by_identity(
                listed(PUBLIC[1], alice(), flags=("fast", USABLE), reliability=990),
                listed(PUBLIC[7], newer, usable_from=NOW + 10_800, flags=("fast", USABLE)),
            ),
        ),
        msgspec.structs.replace(
            two,
            flags_known=("fast", USABLE),
            parameters=Parameters(tick_ms=50, fragments=20),
            recommended=Recommended(clients=("1.1",)),
            servers=by_identity(
                listed(PUBLIC[1], alice(), flags=("fast",), reliability=950),
                listed(PUBLIC[7], older, usable_from=NOW + 7200, reliability=10),
            ),
        ),
        msgspec.structs.replace(
            three,
            test_network=True,
            key_periods=(period(PERIOD), period(PERIOD + 1, "xwing")),
            parameters=Parameters(strategy="other"),
            reveal=SECRETS[0],
            servers=(listed(PUBLIC[1], alice(), usable_from=NOW + 1),),
        ),
    ]


def by_identity(*servers: VotedServer) -> tuple[VotedServer, ...]:
    return tuple(sorted(servers, key=lambda each: each.identity))


def descriptors() -> dict[bytes, bytes]:
    """In envelopes that nobody signed, as a tally does not look at that."""
    payloads = [alice(), bob(NOW + 60, 1).encode(), bob(NOW, 2).encode()]
    kind = str(PayloadType.DESCRIPTOR)
    return {
        sha256(each): Envelope(payload=each, payload_type=kind, signatures=()).encode()
        for each in payloads
    }


def make() -> dict[str, bytes]:
    """Votes in their envelopes, and what they make, without one."""
    found: dict[str, bytes] = {}
    first = _round("first", first_round(), None, found)
    _round("second", second_round(first.payload), first.consensus, found)
    for n, octets in enumerate((bob(NOW + 60, 1).encode(), bob(NOW, 2).encode()), 1):
        found[f"bob-{n}.json"] = octets
    return found


def _round(
    name: str, votes: list[Vote], previous: Consensus | None, found: dict[str, bytes]
) -> Tallied:
    for n, (vote, signer) in enumerate(zip(votes, signers(), strict=True), 1):
        found[f"{name}-vote-{n}.json"] = vote.sign(signer).encode()
    made = tally(votes, AUTHORITIES, descriptors(), previous)
    found[f"{name}-consensus.json"] = made.payload
    return made


class VoteVectorTests(SyncTestCase):
    """Frozen octets."""

    def setUp(self):
        self.frozen = {path.name: path.read_bytes() for path in FOLDER.glob("*.json")}

    def test_made_again(self):
        """We still make the same octets."""
        self.assertEqual(make(), self.frozen)

    def test_tallied(self):
        """The frozen votes make the frozen consensuses, in any order."""
        before = None
        for name in ("first", "second"):
            votes = [Vote.open(self.frozen[f"{name}-vote-{n}.json"])[0] for n in (3, 1, 2)]
            made = tally(votes, AUTHORITIES, descriptors(), before)
            self.assertEqual(made.payload, self.frozen[f"{name}-consensus.json"])
            before = made.consensus

    def test_second(self):
        """By whoever knows the specification only as well: signatures, and what they make."""
        read = {
            base64.b64encode(sha256(each)).decode(): json.loads(each)
            for each in (alice(), self.frozen["bob-1.json"], self.frozen["bob-2.json"])
        }
        previous = None
        for name in ("first", "second"):
            payloads = []
            for n, identity in enumerate(AUTHORITIES, 1):
                octets = self.frozen[f"{name}-vote-{n}.json"]
                said, identities, _ = second_open(octets, "vote", PUBLIC)
                self.assertEqual(identities, {identity})
                self.assertEqual(base64.b64decode(said["authority"]), identity)
                payloads.append(base64.b64decode(json.loads(octets)["payload"]))
            made = second(payloads, 3, read, previous)
            assert made is not None
            previous = made[0]
            self.assertEqual(previous, self.frozen[f"{name}-consensus.json"])

    def test_what_became_of_it(self):
        """The rules that the second round shows."""
        octets = self.frozen["second-consensus.json"]
        kind = str(PayloadType.CONSENSUS)
        envelope = Envelope(payload=octets, payload_type=kind, signatures=())
        found, _ = Consensus.open(envelope.encode())
        first, second_server = sorted(found.servers, key=lambda each: each.nickname)
        self.assertEqual((first.nickname, first.flags), ("Alice", ("fast", USABLE)))
        self.assertEqual(second_server.flags, (USABLE,))
        self.assertEqual((first.reliability, second_server.reliability), (950, None))
        self.assertEqual(second_server.usable_from, NOW + 7200)
        self.assertEqual(second_server.descriptor, sha256(self.frozen["bob-1.json"]))
        self.assertEqual(found.recommended, Recommended(clients=("1.1",)))
        self.assertEqual((found.parameters.tick_ms, found.parameters.strategy), (100, "poisson"))
        self.assertEqual([each.geometry.suite for each in found.key_periods], ["x25519"] * 2)
        assert found.shared_random is not None
        parts = sorted(zip(AUTHORITIES[:2], SECRETS[:2], strict=True))
        value = b"mixminion shared random 1" + (NOW + 3600).to_bytes(8, "big")
        value += b"".join(identity + secret for identity, secret in parts)
        self.assertEqual(found.shared_random.value, sha256(value))
