"""The certificate profile: what is issued and what is believed."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from mixminion.net import certificates
from mixminion.net.errors import BadSigningCertificate
from mixminion.testing.cases import SyncTestCase
from tests.net.kit import DAY, NOW

IDENTITY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNING = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
LINK = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))


def signing_certificate(begins: int = NOW, ends: int = NOW + 60 * DAY) -> bytes:
    return certificates.certify(
        IDENTITY.private_bytes_raw(), SIGNING.public_key().public_bytes_raw(), begins, ends
    )


def link_dates(now: float) -> tuple[int, int]:
    signing = certificates.read_signing(certificates.load(signing_certificate()))
    link = certificates.issue_link(
        SIGNING.private_bytes_raw(), signing, LINK.public_key().public_bytes_raw(), now
    )
    return certificates.dates(certificates.load(link))


class SigningTests(SyncTestCase):
    def test_what_is_issued_is_read(self) -> None:
        """A certificate names identity, key and dates, and the same input gives the same octets."""
        read = certificates.read_signing(certificates.load(signing_certificate()))
        self.assertEqual(read.identity, IDENTITY.public_key().public_bytes_raw())
        self.assertEqual(read.public, SIGNING.public_key().public_bytes_raw())
        self.assertEqual((read.not_before, read.not_after), (NOW, NOW + 60 * DAY))
        self.assertEqual(signing_certificate(), signing_certificate())

    def test_period(self) -> None:
        """30 to 90 days can be issued, a second less or more cannot."""
        for seconds in (30 * DAY, 90 * DAY):
            self.assertTrue(signing_certificate(NOW, NOW + seconds))
        for seconds in (30 * DAY - 1, 90 * DAY + 1, -1):
            with self.assertRaises(BadSigningCertificate):
                signing_certificate(NOW, NOW + seconds)

    def test_not_of_profile(self) -> None:
        """Other keys, other signers, no identity, and more than 90 days are not believed."""
        good = certificates.load(signing_certificate())
        key = SIGNING.public_key()
        other = ec.generate_private_key(ec.SECP256R1())
        identity = IDENTITY.public_key().public_bytes_raw()
        for signer, public, authority, days in (
            (SIGNING, key, identity, 60),
            (other, key, identity, 60),
            (IDENTITY, other.public_key(), identity, 60),
            (IDENTITY, key, None, 60),
            (IDENTITY, key, identity[:31], 60),
            (IDENTITY, key, bytes(32), 60),
            (IDENTITY, key, identity, 91),
        ):
            builder = (
                x509.CertificateBuilder()
                .issuer_name(good.issuer)
                .subject_name(good.subject)
                .serial_number(1)
                .public_key(public)
                .not_valid_before(good.not_valid_before_utc)
                .not_valid_after(good.not_valid_before_utc + datetime.timedelta(days=days))
            )
            if authority is not None:
                extension = x509.AuthorityKeyIdentifier(authority, None, None)
                builder = builder.add_extension(extension, critical=False)
            bad = builder.sign(signer, hashes.SHA256() if signer is other else None)
            with self.assertRaises(certificates.NotOfProfile):
                certificates.read_signing(bad)

    def test_every_flipped_octet(self) -> None:
        """A certificate with any octet changed is not read as the same one.

        One octet is nobody's: the count of unused bits before the signature's 64 octets."""
        good = signing_certificate()
        expected = certificates.read_signing(certificates.load(good))
        for place in set(range(len(good))) - {len(good) - 65}:
            bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
            try:
                read = certificates.read_signing(certificates.load(bad))
            except certificates.NotOfProfile:
                continue
            self.assertNotEqual(read, expected, f"octet {place}")


class LinkTests(SyncTestCase):
    def test_dates(self) -> None:
        """A link certificate begins 20 minutes before it is made and ends 50 minutes after."""
        now = NOW + 10 * DAY
        self.assertEqual(link_dates(now + 0.7), (now - 20 * 60, now + 50 * 60))

    def test_within_the_signing_certificate(self) -> None:
        """It never reaches beyond its issuer's dates, whatever the time."""
        begins, ends = NOW, NOW + 60 * DAY
        for now in (begins - DAY, begins, begins + 60, ends - 60, ends, ends + DAY):
            first, last = link_dates(now)
            self.assertTrue(begins <= first < last <= ends, now - begins)
            if begins <= now <= ends:
                self.assertTrue(first <= now <= last, now - begins)

    def test_clock_tolerance(self) -> None:
        """For the whole time a link key is used, a clock 20 minutes wrong is borne and one
        an hour wrong is not."""
        made = NOW + 10 * DAY
        first, last = link_dates(made)
        for used in (made, made + certificates.RENEWAL):
            for wrong in (-20 * 60, 0, 20 * 60):
                self.assertTrue(first <= used + wrong <= last)
            for wrong in (-3600, 3600):
                self.assertFalse(first <= used + wrong <= last)

    def test_specification(self) -> None:
        """The examples of doc/spec/mmtp.rst are what is issued, octet for octet."""
        text = (Path(__file__).parents[2] / "doc/spec/mmtp.rst").read_text("utf-8")
        words = "".join(line for line in text.splitlines() if line.startswith("    "))
        examples = words.replace(" ", "")
        made = certificates.issue_link(
            SIGNING.private_bytes_raw(),
            certificates.read_signing(certificates.load(signing_certificate())),
            LINK.public_key().public_bytes_raw(),
            NOW + DAY,
        )
        self.assertIn(signing_certificate().hex(), examples)
        self.assertIn(made.hex(), examples)

    def test_der(self) -> None:
        """What is issued is DER that reads back to itself."""
        octets = signing_certificate()
        self.assertEqual(certificates.load(octets).public_bytes(Encoding.DER), octets)
