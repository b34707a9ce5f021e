"""Link credentials: in memory, renewed, refused when they do not fit."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mixminion.errors import render
from mixminion.net import certificates
from mixminion.net.errors import BadSigningCertificate
from mixminion.net.links import LinkCredentials
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.net.kit import DAY, NOW, Party


class CredentialsTests(SyncTestCase):
    def test_renewed_while_running(self) -> None:
        """One link key serves for 30 minutes, then comes another one with its certificate."""
        clock = HeapClock()
        credentials = Party(clock).credentials
        first = credentials.current()
        clock.advance(30 * 60 - 1)
        self.assertIs(credentials.current(), first)
        clock.advance(1)
        second = credentials.current()
        self.assertNotEqual(
            first.private.public_key().public_bytes_raw(),
            second.private.public_key().public_bytes_raw(),
        )
        for link in (first, second):
            self.assertEqual(
                certificates.public_key(link.certificate),
                link.private.public_key().public_bytes_raw(),
            )
            link.certificate.verify_directly_issued_by(link.signing)

    def test_strangers_certificate(self) -> None:
        """A certificate of another identity, for another key, or of nothing is refused."""
        clock = HeapClock()
        one, other = Party(clock), Party(clock)
        signing = one.signing.private_bytes_raw()
        for identity, private, certificate, word in (
            (other.public, signing, one.certificate, "identity"),
            (one.public, Ed25519PrivateKey.generate().private_bytes_raw(), one.certificate, "key"),
            (one.public, signing, b"junk", "read"),
        ):
            with self.assertRaises(BadSigningCertificate) as caught:
                LinkCredentials(identity, private, certificate, clock)
            self.assertIn(word, render(caught.exception))

    def test_check(self) -> None:
        """Our own certificate's end and beginning are the operator's to know before a start."""
        for begins in (NOW - 70 * DAY, NOW + DAY):
            with self.assertRaises(BadSigningCertificate) as caught:
                Party(HeapClock(), begins, begins + 60 * DAY).credentials.check()
            self.assertIn("mixminion server certify", render(caught.exception))
        Party(HeapClock()).credentials.check()
