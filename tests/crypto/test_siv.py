"""Deterministic sealing: the RFC's form, and nothing that was changed opens."""

from __future__ import annotations

from mixminion.crypto.aead import Forged
from mixminion.crypto.siv import TAG, Siv
from mixminion.testing.cases import SyncTestCase

KEY = bytes(range(64))


class SivTests(SyncTestCase):
    def test_vector(self) -> None:
        """RFC 5297 has vectors for 32 octets of key only, which the library takes too."""
        key = bytes.fromhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
        bound = bytes.fromhex("101112131415161718191a1b1c1d1e1f2021222324252627")
        sealed = Siv(key).seal(bytes.fromhex("112233445566778899aabbccddee"), bound)
        expected = "85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"
        self.assertEqual(sealed.hex(), expected)

    def test_opens(self) -> None:
        """What was sealed, with what it was bound to; the same each time."""
        sealed = Siv(KEY).seal(b"text", b"bound")
        self.assertEqual(len(sealed), TAG + 4)
        self.assertEqual(Siv(KEY).seal(b"text", b"bound"), sealed)
        self.assertEqual(Siv(KEY).open(sealed, b"bound"), b"text")

    def test_forged(self) -> None:
        """Any octet changed, cut short, another bound or key."""
        sealed = Siv(KEY).seal(b"text", b"bound")
        wrong = [sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :] for at in range(20)]
        for each in (*wrong, sealed[:-1], sealed[:TAG], sealed[:3], b""):
            self.assertRaises(Forged, Siv(KEY).open, each, b"bound")
        self.assertRaises(Forged, Siv(KEY).open, sealed, b"other")
        self.assertRaises(Forged, Siv(KEY[::-1]).open, sealed, b"bound")
