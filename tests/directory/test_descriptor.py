"""Descriptors."""

from __future__ import annotations

import msgspec

from mixminion.directory import canonical, certificate
from mixminion.directory.certificate import Role
from mixminion.directory.descriptor import LIMIT, Descriptor, PacketKey
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.errors import BadDocument, BadSignature, NewerDocument
from mixminion.directory.parts import Rule
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.directory import server_signer
from tests.directory.network import NOW, WEEK, descriptor, private_key, published


def signed_payload(payload: bytes, name: str = "alice") -> bytes:
    """Any octets, signed as *name*'s descriptor would be."""
    signer = server_signer(private_key(name), now=NOW)
    return sign(PayloadType.DESCRIPTOR, payload, [signer]).encode()


class VerifyTests(SyncTestCase):
    """Published descriptors."""

    def test_round_trip(self):
        """What a server signs is read back as it was, with everything filled in."""
        full = descriptor(
            "alice",
            family="Liddell",
            jurisdiction="gb",
            contact="Alice <alice@example.org>",
            software="mixminion 1.0",
            insecure=("classical-links",),
            accepts=(Rule(allow=False, network="192.0.2.0/24"),),
            dials=(Rule(allow=False, network="::/0"),),
        )
        octets = full.sign(server_signer(private_key("alice"), now=NOW))
        self.assertEqual(Descriptor.verify(octets, NOW), full)

    def test_identity_signs(self):
        """The identity key may sign by itself."""
        octets = descriptor("alice").sign(Signer.of(private_key("alice")))
        self.assertEqual(Descriptor.verify(octets, NOW), descriptor("alice"))

    def test_stranger(self):
        """Another identity's signing key, another's certificate, no signature, two."""
        alice = descriptor("alice")
        stolen = server_signer(private_key("alice"), now=NOW)
        payload = alice.encode()
        mallory = server_signer(private_key("mallory"), now=NOW)
        thief = Signer.of(private_key("mallory"), stolen.certificate)
        for signers, error in (
            ([mallory], BadSignature),
            ([thief], BadSignature),
            ([Signer.of(private_key("mallory"))], BadSignature),
            ([], BadDocument),
            ([stolen, mallory], BadDocument),
        ):
            octets = sign(PayloadType.DESCRIPTOR, payload, signers).encode()
            self.assertRaises(error, Descriptor.verify, octets, NOW)

    def test_authority_key(self):
        """A key certified to sign as an authority signs no descriptor."""
        certified = certificate.certify(
            Role.AUTHORITY,
            private_key("alice"),
            Signer.of(private_key("signing")).public,
            valid_after=NOW,
            valid_until=NOW + 10,
        )
        octets = descriptor("alice").sign(Signer.of(private_key("signing"), certified))
        self.assertRaises(BadSignature, Descriptor.verify, octets, NOW)

    def test_dates(self):
        """Valid from valid-after to before valid-until, and not with an expired key."""
        octets = published("alice", valid_after=NOW + 5, valid_until=NOW + WEEK)
        for now in (NOW + 5, NOW + WEEK - 1):
            Descriptor.verify(octets, now)
        for now in (NOW, NOW + WEEK):
            self.assertRaises(BadSignature, Descriptor.verify, octets, now)
        late = descriptor("alice", valid_until=NOW + 90 * 86_400).sign(
            server_signer(private_key("alice"), now=NOW, days=30)
        )
        error = self.assertRaises(BadSignature, Descriptor.verify, late, NOW + 31 * 86_400)
        self.assertIn("the key certificate has expired", render(error))

    def test_every_bit(self):
        """No bit of a published descriptor can be changed."""
        octets = published("alice", packet_keys=(), exits=())
        for position in range(len(octets)):
            for bit in (1, 4, 32):
                changed = bytearray(octets)
                changed[position] ^= bit
                with self.assertRaises((BadDocument, BadSignature, NewerDocument)):
                    Descriptor.verify(bytes(changed), NOW)


class ContentTests(SyncTestCase):
    """What a descriptor may say."""

    def read(self, **changes: object) -> Descriptor:
        value = canonical.decode(descriptor("alice").encode()) | changes
        return Descriptor.verify(signed_payload(canonical.encode(value)), NOW)

    def test_unknown_members(self):
        """A newer release's members are ignored."""
        self.assertEqual(self.read(weather={"sun": True}), descriptor("alice"))

    def test_newer_version(self):
        """A newer format is refused with the sentence that says what to do."""
        error = self.assertRaises(NewerDocument, self.read, version=2)
        self.assertIn("install a newer release", render(error))

    def test_refused(self):
        """Values that are wrong one by one, or do not go together."""
        key = canonical.decode(descriptor("alice").encode())["packet-keys"][0]
        exit = {"name": "smtp", "module": "smtp", "max-message": 1}
        for changes in (
            {"nickname": "alice,bob"},
            {"nickname": "4"},
            {"nickname": "a" * 21},
            {"nickname": "alice\n"},
            {"identity": "AAAA"},
            {"start": 0},
            {"published": -1},
            {"valid-after": NOW, "valid-until": NOW},
            {"published": NOW + 4 * WEEK},
            {"addresses": [{"host": "127.1.0.1", "port": 0}]},
            {"addresses": [{"host": "127.1.0.1"}]},
            {"addresses": [{"host": "127.1.0.1", "port": 1}] * 2},
            {"addresses": [{"host": f"127.1.0.{i}", "port": 1} for i in range(9)]},
            {"packet-keys": [key, key]},
            {"packet-keys": [key | {"key": "AA" * 32}]},
            {"exits": [exit, exit]},
            {"exits": [exit | {"name": "SMTP"}]},
            {"exits": [exit | {"max-message": -1}]},
            {"jurisdiction": "Germany"},
            {"contact": "x" * 257},
            {"family": "a b"},
            {"accepts": [{"allow": True, "network": "10.0.0.1/8"}]},
            {"insecure": ["No Such Form"]},
            {"version": True},
            {"version": "1"},
        ):
            with self.subTest(str(changes)):
                self.assertRaises(BadDocument, self.read, **changes)

    def test_missing(self):
        """Each member without a default is needed."""
        value = canonical.decode(descriptor("alice").encode())
        for name in (
            "version",
            "identity",
            "nickname",
            "start",
            "published",
            "valid-after",
            "valid-until",
            "addresses",
            "protocols",
            "suites",
            "packet-keys",
        ):
            rest = {k: v for k, v in value.items() if k != name}
            octets = signed_payload(canonical.encode(rest))
            self.assertRaises(BadDocument, Descriptor.verify, octets, NOW)

    def test_not_an_object(self):
        """Canonical JSON that is no object."""
        for payload in (b"[]", b'"x"', b"1", b"{}"):
            self.assertRaises(BadDocument, Descriptor.verify, signed_payload(payload), NOW)

    def test_too_long(self):
        """A descriptor has a largest size."""
        big = descriptor("alice", exits=()).encode()
        octets = signed_payload(big[:-1] + b',"x":"' + b"x" * LIMIT + b'"}')
        self.assertRaises(BadDocument, Descriptor.verify, octets, NOW)

    def test_packet_key_length(self):
        """A key of a known suite has its length; of unknown ones any reasonable."""
        self.assertRaises(ValueError, PacketKey, period=1, suite="x25519", key=bytes(33))
        PacketKey(period=1, suite="x25519", key=bytes(32))
        PacketKey(period=1, suite="hqc", key=bytes(64))

    def test_small(self):
        """A descriptor with three xwing keys fits well into its limit."""
        octets = published("alice")
        self.assertLess(len(octets), 10_000)
        envelope = Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=LIMIT)
        self.assertEqual(envelope.payload, canonical.encode(msgspec.json.decode(envelope.payload)))
