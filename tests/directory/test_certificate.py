"""Key certificates."""

from __future__ import annotations

import msgspec

from mixminion.crypto import sign as ed25519
from mixminion.directory import certificate
from mixminion.directory.certificate import Role
from mixminion.directory.envelope import Envelope, PayloadType, Signature, Signer, sign
from mixminion.directory.errors import BadDocument, BadSignature
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, identity, private_key


def certified(role: Role = Role.SERVER, by: str = "alice") -> Envelope:
    return certificate.certify(
        role, private_key(by), identity("signing"), valid_after=NOW, valid_until=NOW + 100
    )


def signature(carried: Envelope | None) -> Signature:
    signer = Signer.of(private_key("signing" if carried is not None else "alice"), carried)
    return sign(PayloadType.DESCRIPTOR, b"{}", [signer]).signatures[0]


class SigningKeyTests(SyncTestCase):
    """Which key a signature is checked with."""

    def key(self, carried: Envelope | None, now: float = NOW, role: Role = Role.SERVER) -> bytes:
        return certificate.signing_key(signature(carried), role, identity("alice"), now)

    def test_certified(self):
        """The certified key, from its first second to before its last."""
        for now in (NOW, NOW + 99.9):
            self.assertEqual(self.key(certified(), now), identity("signing"))

    def test_identity_itself(self):
        """Without a certificate, the identity."""
        self.assertEqual(self.key(None), identity("alice"))

    def test_refused(self):
        """Another role, another identity, outside its dates: a sentence says which."""
        for carried, now, problem in (
            (certified(Role.AUTHORITY), NOW, "the certificate is of another kind"),
            (certified(by="mallory"), NOW, "the certificate is another identity's"),
            (certified(), NOW - 1, "the key certificate is not valid yet"),
            (certified(), NOW + 100, "the key certificate has expired"),
        ):
            error = self.assertRaises(BadSignature, self.key, carried, now)
            self.assertEqual(error.fields["problem"], problem)

    def test_forged(self):
        """A certificate in the identity's name that somebody else signed, or nobody."""
        honest = certified()
        forged = sign(
            PayloadType.KEY_CERTIFICATE, honest.payload, [Signer.of(private_key("mallory"))]
        )
        for carried in (forged, msgspec.structs.replace(honest, signatures=())):
            error = self.assertRaises(BadSignature, self.key, carried)
            self.assertEqual(error.fields["problem"], "the certificate's signature is wrong")

    def test_other_payload_type(self):
        """The identity's signature on the same octets as another kind of document."""
        other = sign(PayloadType.DESCRIPTOR, certified().payload, [Signer.of(private_key("alice"))])
        self.assertRaises(BadSignature, self.key, other)

    def test_malformed(self):
        """A certificate that is none."""
        self.assertRaises(BadDocument, self.key, sign(PayloadType.KEY_CERTIFICATE, b"{}", []))

    def test_certifies_a_public_key(self):
        """What is certified is the public key, and the certificate reads back."""
        read = certificate.read(certified())
        self.assertEqual(read.key, ed25519.public(private_key("signing")))
        self.assertEqual((read.role, read.valid_until), (Role.SERVER, NOW + 100))
