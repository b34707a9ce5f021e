"""SHA-256, HMAC and HKDF against RFC 5869 and the standard library."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto.kdf import hkdf_expand, hkdf_extract, hmac_sha256, sha256
from mixminion.testing.cases import SyncTestCase

# RFC 5869, A.1 and A.3: input, salt, info, length, PRK, output
RFC_5869 = (
    (
        "0b" * 22,
        "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        42,
        "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        "0b" * 22,
        "",
        "",
        42,
        "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
)


class KdfTests(SyncTestCase):
    def test_rfc_5869(self) -> None:
        """Extract and Expand give the RFC's octets."""
        for ikm, salt, info, n, prk, okm in RFC_5869:
            extracted = hkdf_extract(bytes.fromhex(salt), bytes.fromhex(ikm))
            self.assertEqual(extracted.hex(), prk)
            self.assertEqual(hkdf_expand(extracted, bytes.fromhex(info), n).hex(), okm)

    @settings(max_examples=50, deadline=None)
    @given(key=st.binary(max_size=64), octets=st.binary(max_size=300))
    def test_hmac(self, key: bytes, octets: bytes) -> None:
        """Our two calls of hashlib are HMAC for every length of key that we take."""
        self.assertEqual(hmac_sha256(key, octets), hmac.digest(key, octets, "sha256"))

    def test_long_key(self) -> None:
        """A key that HMAC would hash first is refused instead of silently cut."""
        self.assertRaises(ValueError, hmac_sha256, bytes(65), b"")

    def test_sha256(self) -> None:
        """SHA-256 is SHA-256."""
        self.assertEqual(sha256(b"abc"), hashlib.sha256(b"abc").digest())
