"""X25519 against RFC 7748, and the points that it must refuse."""

from __future__ import annotations

from mixminion.crypto import x25519
from mixminion.crypto.errors import BadPublicKey, LowOrderPoint
from mixminion.testing.cases import SyncTestCase
from tests.vectors.generate import LOW_ORDER


class X25519Tests(SyncTestCase):
    def test_rfc_7748(self) -> None:
        """RFC 7748 5.2, first vector."""
        scalar = "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"
        point = "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"
        shared = x25519.PrivateKey(bytes.fromhex(scalar)).exchange(bytes.fromhex(point))
        self.assertEqual(
            shared.hex(), "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
        )

    def test_pairs(self) -> None:
        """Two generated keys agree, and public keys follow from private ones."""
        (a, a_public), (b, b_public) = x25519.generate(), x25519.generate()
        self.assertEqual(x25519.public(a), a_public)
        shared = x25519.PrivateKey(a).exchange(b_public)
        self.assertEqual(shared, x25519.PrivateKey(b).exchange(a_public))

    def test_low_order(self) -> None:
        """Every encoding of a point of low order is refused."""
        key = x25519.PrivateKey(x25519.generate()[0])
        for name, point in LOW_ORDER.items():
            with self.assertRaises(LowOrderPoint, msg=name):
                key.exchange(bytes.fromhex(point))

    def test_bad_length(self) -> None:
        """Keys of another length are refused."""
        self.assertRaises(ValueError, x25519.PrivateKey, bytes(31))
        self.assertRaises(BadPublicKey, x25519.PrivateKey(bytes(32)).exchange, bytes(33))
