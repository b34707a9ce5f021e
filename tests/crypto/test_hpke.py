"""HPKE's single-shot form, and what does not open."""

from __future__ import annotations

from mixminion.crypto import hpke, kem
from mixminion.crypto.aead import Forged
from mixminion.crypto.errors import BadPublicKey
from mixminion.testing.cases import SyncTestCase


class HpkeTests(SyncTestCase):
    def setUp(self) -> None:
        self.seed, self.public = kem.generate()

    def test_round_trip(self) -> None:
        """The owner opens it; it is as much longer as is said, and never twice the same."""
        sealed = hpke.seal(self.public, b"text", b"purpose")
        self.assertEqual(hpke.open(self.seed, sealed, b"purpose"), b"text")
        self.assertEqual(len(sealed), 4 + hpke.OVERHEAD)
        self.assertNotEqual(sealed, hpke.seal(self.public, b"text", b"purpose"))

    def test_not_ours(self) -> None:
        """Another key, another purpose, a changed or shortened octet anywhere: nothing opens."""
        sealed = hpke.seal(self.public, b"text", b"purpose")
        self.assertRaises(Forged, hpke.open, kem.generate()[0], sealed, b"purpose")
        self.assertRaises(Forged, hpke.open, self.seed, sealed, b"other")
        for at in (0, 1087, 1088, 1119, 1120, len(sealed) - 1):
            changed = bytearray(sealed)
            changed[at] ^= 1
            self.assertRaises(Forged, hpke.open, self.seed, bytes(changed), b"purpose")
        for length in (0, 1, 1119, 1120, len(sealed) - 1):
            self.assertRaises(Forged, hpke.open, self.seed, sealed[:length], b"purpose")
        low = sealed[:1088] + bytes(32) + sealed[1120:]
        self.assertRaises(Forged, hpke.open, self.seed, low, b"purpose")

    def test_bad_public_key(self) -> None:
        """A wrong length, an unreduced coefficient, a point of low order."""
        for bad in (
            b"",
            self.public[:-1],
            self.public + b"\0",
            b"\xff" * 1184 + self.public[1184:],
            self.public[:1184] + bytes(32),
        ):
            self.assertRaises(BadPublicKey, hpke.seal, bad, b"text", b"purpose")
