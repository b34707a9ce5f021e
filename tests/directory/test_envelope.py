"""DSSE envelopes."""

from __future__ import annotations

import importlib
from typing import Any

import msgspec

from mixminion.crypto import sign as ed25519
from mixminion.directory import canonical
from mixminion.directory.envelope import (
    Envelope,
    PayloadType,
    Signer,
    document_name,
    key_id,
    pae,
    sign,
)
from mixminion.directory.errors import BadDocument
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import private_key

try:
    peer: Any = importlib.import_module("securesystemslib.dsse")
except ImportError:
    peer = None

LIMIT = 10_000


def signed(*names: str) -> Envelope:
    signers = [Signer.of(private_key(name)) for name in names]
    return sign(PayloadType.CONSENSUS, b'{"a":1}', signers)


class EncodingTests(SyncTestCase):
    """What is signed, and what is sent."""

    def test_published_example(self):
        """The pre-authentication encoding of DSSE's own specification."""
        self.assertEqual(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world",
        )

    def test_lengths_are_octets(self):
        """Lengths count octets of UTF-8, and a payload may be empty."""
        self.assertEqual(pae("\u20ac", b""), b"DSSEv1 3 \xe2\x82\xac 0 ")

    def test_peer(self):
        """securesystemslib signs the same octets and reads our envelope."""
        if peer is None:
            self.skipTest("securesystemslib is not installed")
        ours = signed("a", "b")
        value = canonical.decode(ours.encode())
        theirs = peer.Envelope.from_dict(msgspec.json.decode(ours.encode()))
        self.assertEqual(theirs.pae(), pae(ours.payload_type, ours.payload))
        self.assertEqual(theirs.payload, ours.payload)
        self.assertEqual(
            {keyid: each.signature for keyid, each in theirs.signatures.items()},
            {each.keyid: each.sig.hex() for each in ours.signatures},
        )
        self.assertEqual(theirs.to_dict(), value)

    def test_round_trip(self):
        """An envelope is read back as it was, its signatures ascending by key id."""
        envelope = signed("a", "b", "c")
        read = Envelope.decode(envelope.encode(), PayloadType.CONSENSUS, limit=LIMIT)
        self.assertEqual(read, envelope)
        keyids = [each.keyid for each in read.signatures]
        self.assertEqual(keyids, sorted(keyids))

    def test_names(self):
        """People read what kind of document it is."""
        self.assertEqual(document_name(PayloadType.KEY_CERTIFICATE), "key certificate")


class SignatureTests(SyncTestCase):
    """Which key signed."""

    def test_signed_by(self):
        """A signature holds for its key and payload, and for no other key, type or payload."""
        envelope = signed("a")
        (signature,) = envelope.signatures
        key, other = (ed25519.public(private_key(name)) for name in "ab")
        self.assertTrue(envelope.signed_by(key, signature))
        self.assertFalse(envelope.signed_by(other, signature))
        for changed in (
            msgspec.structs.replace(envelope, payload=b'{"a":2}'),
            msgspec.structs.replace(envelope, payload_type=str(PayloadType.DESCRIPTOR)),
        ):
            self.assertFalse(changed.signed_by(key, signature))

    def test_key_id(self):
        """A signature under another key's id does not hold."""
        envelope = signed("a")
        key = ed25519.public(private_key("a"))
        (signature,) = envelope.signatures
        lying = msgspec.structs.replace(signature, keyid=key_id(b"x" * 32))
        self.assertFalse(envelope.signed_by(key, lying))


class DecodeTests(SyncTestCase):
    """What is no envelope."""

    def refused(self, octets: bytes, limit: int = LIMIT) -> None:
        self.assertRaises(BadDocument, Envelope.decode, octets, PayloadType.CONSENSUS, limit=limit)

    def test_changed(self):
        """Each member missing or of another type, and a member too short."""
        good = canonical.decode(signed("a").encode())
        for name in ("payload", "payloadType", "signatures"):
            self.refused(canonical.encode({k: v for k, v in good.items() if k != name}))
            self.refused(canonical.encode(good | {name: 1}))
        self.refused(canonical.encode(good | {"payload": "===="}))
        for change in ({"keyid": "AB" * 32}, {"sig": "AAAA"}, {"keyid": 3}):
            self.refused(canonical.encode(good | {"signatures": [good["signatures"][0] | change]}))

    def test_other_type(self):
        """An envelope of another kind of document."""
        self.refused(sign(PayloadType.DESCRIPTOR, b"{}", []).encode())

    def test_order(self):
        """Signatures out of order, or one twice: there is one envelope for a set of them."""
        good = canonical.decode(signed("a", "b").encode())
        first, second = good["signatures"]
        for signatures in ([second, first], [first, first]):
            self.refused(canonical.encode(good | {"signatures": signatures}))

    def test_certified_certificate(self):
        """A certificate whose own signatures are certified, or more than one: they could nest
        deeper than a reader goes, or have any length."""
        plain = msgspec.to_builtins(signed("a"))
        nested = plain
        for _ in range(3):
            nested = plain | {"signatures": [plain["signatures"][0] | {"certificate": nested}]}
        two = msgspec.to_builtins(signed("a", "b"))
        for certificate in (nested["signatures"][0]["certificate"], two):
            value = plain | {"signatures": [plain["signatures"][0] | {"certificate": certificate}]}
            self.refused(msgspec.json.encode(value, order="sorted"))
        value = plain | {"signatures": [plain["signatures"][0] | {"certificate": plain}]}
        octets = msgspec.json.encode(value, order="sorted")
        read = Envelope.decode(octets, PayloadType.CONSENSUS, limit=LIMIT)
        self.assertEqual(read.encode(), octets)

    def test_too_many(self):
        """So many signatures that checking them would be work."""
        good = canonical.decode(signed("a").encode())
        many = [good["signatures"][0] | {"keyid": f"{i:064x}"} for i in range(65)]
        self.refused(canonical.encode(good | {"signatures": many}), limit=100_000)

    def test_too_long(self):
        """Longer than its kind may be."""
        octets = signed("a").encode()
        self.refused(octets, limit=len(octets) - 1)
        Envelope.decode(octets, PayloadType.CONSENSUS, limit=len(octets))

    def test_every_cut(self):
        """No proper prefix is an envelope."""
        octets = signed("a").encode()
        for end in range(len(octets)):
            self.refused(octets[:end])

    def test_much_junk(self):
        """Megabytes of junk are refused without being looked at a second time."""
        looked = []
        self.patch(canonical, "decode", lambda octets, document: looked.append(len(octets)))
        kind = str(PayloadType.VOTE).encode()
        more = b'","payloadType":"' + kind + b'","signatures":[]}'
        for octets in (
            b"[" + b"[0]," * 2**18 + b"0]",
            b'{"junk":[' + b"[0]," * 2**18 + b'0],"payload":"' + more,
            b'{"payload":"' + more + b" " * 2**20,
        ):
            with self.assertRaises(BadDocument):
                Envelope.decode(octets, PayloadType.VOTE, limit=2**23)
        self.assertEqual(looked, [])
