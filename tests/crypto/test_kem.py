"""X-Wing against its published vectors."""

from __future__ import annotations

from mixminion.crypto import kem
from mixminion.crypto.errors import BadPublicKey, LowOrderPoint
from mixminion.testing.cases import SyncTestCase
from tests import vectors


class XWingTests(SyncTestCase):
    def test_published(self) -> None:
        """Key generation and decapsulation give the published octets."""
        published = vectors.load("xwing-kem.json")["vectors"]
        self.assertEqual(len(published), 3)
        for vector in published:
            key = kem.PrivateKey(bytes.fromhex(vector["seed"]))
            self.assertEqual(key.public.hex(), vector["pk"])
            self.assertEqual(key.decapsulate(bytes.fromhex(vector["ct"])).hex(), vector["ss"])

    def test_round_trip(self) -> None:
        """Who encapsulates and who decapsulates have the same secret; sizes are as specified."""
        seed, public = kem.generate()
        secret, ciphertext = kem.encapsulate(public)
        self.assertEqual((len(seed), len(public), len(secret)), (32, 1216, 32))
        self.assertEqual(len(ciphertext), 1120)
        self.assertEqual(kem.PrivateKey(seed).decapsulate(ciphertext), secret)
        self.assertEqual(kem.public_from_seed(seed), public)

    def test_changed_ciphertext(self) -> None:
        """Any changed part gives another secret, not an error: the MAC behind it decides."""
        seed, public = kem.generate()
        secret, ciphertext = kem.encapsulate(public)
        key = kem.PrivateKey(seed)
        for at in (0, 1087, 1088, 1119):
            changed = bytearray(ciphertext)
            changed[at] ^= 0x80
            self.assertNotEqual(key.decapsulate(bytes(changed)), secret)

    def test_low_order(self) -> None:
        """An X25519 part of low order is refused on both sides."""
        seed, public = kem.generate()
        _, ciphertext = kem.encapsulate(public)
        key = kem.PrivateKey(seed)
        for point in (bytes(32), b"\1" + bytes(31)):
            self.assertRaises(LowOrderPoint, key.decapsulate, ciphertext[:1088] + point)
            self.assertRaises(LowOrderPoint, kem.encapsulate, public[:1184] + point)

    def test_bad_lengths(self) -> None:
        """Keys of another length are refused."""
        self.assertRaises(ValueError, kem.PrivateKey, bytes(31))
        self.assertRaises(BadPublicKey, kem.encapsulate, bytes(1000))
        self.assertRaises(BadPublicKey, kem.encapsulate, kem.generate()[1][:-1])

    def test_unreduced_public_key(self) -> None:
        """A public key with a coefficient that is not reduced (FIPS 203, 7.2) is refused."""
        self.assertRaises(BadPublicKey, kem.encapsulate, b"\xff" * 1184 + kem.generate()[1][1184:])
