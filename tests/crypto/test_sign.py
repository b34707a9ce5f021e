"""Ed25519 against RFC 8032."""

from __future__ import annotations

from mixminion.crypto import sign
from mixminion.testing.cases import SyncTestCase


class SignTests(SyncTestCase):
    def test_rfc_8032(self) -> None:
        """RFC 8032 7.1, test 2."""
        private = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
        public = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        signature = (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        )
        self.assertEqual(sign.public(bytes.fromhex(private)).hex(), public)
        self.assertEqual(sign.sign(bytes.fromhex(private), b"\x72").hex(), signature)
        self.assertTrue(
            sign.verify(bytes.fromhex(public), bytes.fromhex(signature), b"\x72"),
        )

    def test_refusals(self) -> None:
        """Another text, signature or key, and malformed ones, are False and never an error."""
        private, public = sign.generate()
        signature = sign.sign(private, b"text")
        self.assertTrue(sign.verify(public, signature, b"text"))
        self.assertFalse(sign.verify(public, signature, b"texT"))
        self.assertFalse(sign.verify(public, signature[:-1], b"text"))
        self.assertFalse(sign.verify(public, b"", b"text"))
        self.assertFalse(sign.verify(sign.generate()[1], signature, b"text"))
        self.assertFalse(sign.verify(public[:-1], signature, b"text"))
        self.assertFalse(sign.verify(b"\xff" * 32, signature, b"text"))
