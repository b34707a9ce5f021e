"""The frozen documents: made again by us, and read by a second reader made from the specification
with the standard library alone (but for Ed25519)."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mixminion.directory import certificate
from mixminion.directory.certificate import Role
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import METHOD, Consensus, KeyPeriod, Server
from mixminion.directory.descriptor import Descriptor, PacketKey
from mixminion.directory.envelope import Signer
from mixminion.directory.keydoc import KeyDocument, ServerKey
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.parts import Exit, Rule
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort
from tests.directory.network import NOW, PERIOD, WEEK

FOLDER = Path(__file__).parent.parent / "vectors" / "directory"
KEYS = [bytes([i] * 32) for i in range(6)]
PUBLIC = [Signer.of(key).public for key in KEYS]


def packet_key(period: int) -> bytes:
    return hashlib.sha256(f"packet key {period}".encode()).digest()


def make() -> dict[str, bytes]:
    """All four documents."""
    dates = {"valid_after": NOW, "valid_until": NOW + 60 * 86_400}
    certified = certificate.certify(Role.SERVER, KEYS[1], PUBLIC[2], **dates)
    descriptor = Descriptor(
        identity=PUBLIC[1],
        nickname="Alice",
        start=7,
        published=NOW,
        valid_after=NOW,
        valid_until=NOW + 7 * 86_400,
        addresses=(HostPort("192.0.2.1", 48099), HostPort("2001:db8::1", 48099)),
        protocols=("mmtp/2",),
        suites=("x25519",),
        packet_keys=tuple(
            PacketKey(period=n, suite="x25519", key=packet_key(n)) for n in (PERIOD, PERIOD + 1)
        ),
        exits=(
            Exit(name="smtp", module="smtp", max_message=31_000, policy={"from": False}),
            Exit(name="drop", module="drop", max_message=31_000),
        ),
        accepts=(Rule(allow=False, network="198.51.100.0/24"),),
        family="Liddell",
        jurisdiction="gb",
        contact="Alice \U0001f407 <alice@example.org>",
        software="mixminion 1.0",
    )
    keys = KeyDocument(
        period=PERIOD,
        suite="x25519",
        keys=(ServerKey(identity=PUBLIC[1], key=packet_key(PERIOD)),),
    ).encode()
    consensus = Consensus(
        method=METHOD,
        valid_after=NOW,
        fresh_until=NOW + 3600,
        valid_until=NOW + 10_800,
        previous=hashlib.sha256(b"previous").digest(),
        parameters=Parameters.default(),
        key_periods=(
            KeyPeriod(
                number=PERIOD,
                begins=PERIOD * WEEK,
                ends=(PERIOD + 1) * WEEK,
                geometry=PacketGeometry.make("x25519", commands=304),
                keys=hashlib.sha256(keys).digest(),
            ),
        ),
        servers=(
            Server.listed(
                descriptor, hashlib.sha256(descriptor.encode()).digest(), usable_from=NOW
            ),
        ),
    )
    delegated = certificate.certify(Role.AUTHORITY, KEYS[4], PUBLIC[5], **dates)
    return {
        "key-certificate.json": certified.encode(),
        "descriptor.json": descriptor.sign(Signer.of(KEYS[2], certified)),
        "keys.json": keys,
        "consensus.json": consensus.sign([Signer.of(KEYS[3]), Signer.of(KEYS[5], delegated)]),
    }


def second_open(
    octets: bytes, kind: str, keys: Iterable[bytes] = PUBLIC
) -> tuple[dict[str, Any], set[bytes], bytes]:
    """Payload, identities that signed it, and its digest; dates and roles are not looked at."""
    envelope = plain(octets)
    payload = base64.b64decode(envelope["payload"], validate=True)
    kind = f"application/vnd.mixminion.{kind}+json"
    assert envelope["payloadType"] == kind
    signed = b" ".join(
        (b"DSSEv1", str(len(kind)).encode(), kind.encode(), str(len(payload)).encode(), payload)
    )
    identities = set()
    for signature in envelope["signatures"]:
        known = {hashlib.sha256(key).hexdigest(): key for key in keys}
        key = known[signature["keyid"]]
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature["sig"]), signed)
        if "certificate" in signature:
            carried = json.dumps(signature["certificate"], separators=(",", ":"), sort_keys=True)
            stated, (identity,), _ = second_open(carried.encode(), "key-certificate", keys)
            assert base64.b64decode(stated["key"]) == key
            assert base64.b64decode(stated["identity"]) == identity
            key = identity
        identities.add(key)
    return plain(payload), identities, hashlib.sha256(payload).digest()


def plain(octets: bytes) -> dict[str, Any]:
    """Canonical octets without names beyond ASCII."""
    value: dict[str, Any] = json.loads(octets)
    again = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    assert again.encode() == octets
    return value


class VectorTests(SyncTestCase):
    """Frozen octets."""

    def setUp(self):
        self.frozen = {path.name: path.read_bytes() for path in FOLDER.glob("*.json")}

    def test_made_again(self):
        """We still make the same octets."""
        self.assertEqual(make(), self.frozen)

    def test_read(self):
        """We read them, and they lead to each other."""
        descriptor = Descriptor.verify(self.frozen["descriptor.json"], NOW)
        found = SignedConsensus.verify(self.frozen["consensus.json"], PUBLIC[3:5], NOW)
        (period,) = found.consensus.key_periods
        keys = KeyDocument.read(self.frozen["keys.json"], period.keys)
        self.assertEqual(found.consensus.servers[0].identity, descriptor.identity)
        self.assertEqual(keys.keys[0].key, descriptor.packet_keys[0].key)

    def test_second_reader(self):
        """So does a reader that knows the specification only."""
        stated, identities, _ = second_open(self.frozen["key-certificate.json"], "key-certificate")
        self.assertEqual((stated["role"], identities), ("server", {PUBLIC[1]}))
        said, identities, digest = second_open(self.frozen["descriptor.json"], "descriptor")
        self.assertEqual(identities, {PUBLIC[1]})
        agreed, identities, _ = second_open(self.frozen["consensus.json"], "consensus")
        self.assertEqual(identities, {PUBLIC[3], PUBLIC[4]})
        (entry,), (period,) = agreed["servers"], agreed["key-periods"]
        self.assertEqual(base64.b64decode(entry["descriptor"]), digest)
        for name in ("identity", "nickname", "addresses", "exits", "accepts", "family"):
            self.assertEqual(entry[name], said[name])
        keys = self.frozen["keys.json"]
        self.assertEqual(base64.b64decode(period["keys"]), hashlib.sha256(keys).digest())
        self.assertEqual(plain(keys)["keys"][0]["key"], said["packet-keys"][0]["key"])
        geometry = period["geometry"]
        sizes = (
            b"mixminion2-25519"
            + geometry["hops"].to_bytes(1, "big")
            + geometry["commands"].to_bytes(2, "big")
            + geometry["packet"].to_bytes(4, "big")
        )
        self.assertEqual(base64.b64decode(geometry["digest"]), hashlib.sha256(sizes).digest())
