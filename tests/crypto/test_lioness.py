"""LIONESS: a permutation in which every octet depends on every other."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto import lioness
from mixminion.crypto.kdf import hkdf_expand
from mixminion.crypto.rng import SeededRandom
from mixminion.crypto.stream import chacha20
from mixminion.testing.cases import SyncTestCase

SECRET, INFO = bytes(range(64)), b"mixminion2-xwinglioness"


def by_the_book(secret: bytes, info: bytes, block: bytes) -> bytes:
    """The four rounds of the specification, one octet at a time."""
    keys = hkdf_expand(secret, info, 128)
    left, right = block[:32], block[32:]
    for i in (0, 2):
        key = bytes(a ^ b for a, b in zip(left, keys[32 * i : 32 * i + 32], strict=True))
        ks = chacha20(key, bytes(len(right)))
        right = bytes(a ^ b for a, b in zip(right, ks, strict=True))
        mac = hmac.new(keys[32 * i + 32 : 32 * i + 64], right, hashlib.sha256).digest()
        left = bytes(a ^ b for a, b in zip(left, mac, strict=True))
    return left + right


class LionessTests(SyncTestCase):
    @settings(max_examples=50, deadline=None)
    @given(secret=st.binary(min_size=64, max_size=64), block=st.binary(min_size=33, max_size=200))
    def test_inverse(self, secret: bytes, block: bytes) -> None:
        """Each direction undoes the other, and keeps the length."""
        sealed = lioness.encrypt(secret, INFO, block)
        self.assertEqual(len(sealed), len(block))
        self.assertEqual(lioness.decrypt(secret, INFO, sealed), block)
        self.assertEqual(lioness.encrypt(secret, INFO, lioness.decrypt(secret, INFO, block)), block)

    def test_by_the_book(self) -> None:
        """The same as the four rounds written out."""
        for size in (33, 64, 1000):
            block = bytes(i % 251 for i in range(size))
            expected = by_the_book(SECRET, INFO, block)
            self.assertEqual(lioness.encrypt(SECRET, INFO, block), expected)

    def test_any_bit_changes_all(self) -> None:
        """One flipped bit anywhere changes about half of all bits, in both directions."""
        block = SeededRandom(b"block").octets(1000)
        for way in (lioness.encrypt, lioness.decrypt):
            before = int.from_bytes(way(SECRET, INFO, block))
            for bit in range(0, 8000, 7):
                flipped = (int.from_bytes(block) ^ (1 << bit)).to_bytes(1000)
                changed = (before ^ int.from_bytes(way(SECRET, INFO, flipped))).bit_count()
                self.assertTrue(3600 < changed < 4400, (way.__name__, bit, changed))

    def test_keys_differ(self) -> None:
        """Another secret or another info is another permutation."""
        block = bytes(100)
        outcomes = {
            lioness.encrypt(SECRET, INFO, block),
            lioness.encrypt(SECRET[::-1], INFO, block),
            lioness.encrypt(SECRET, b"mixminion2-25519lioness", block),
            lioness.decrypt(SECRET, INFO, block),
        }
        self.assertEqual(len(outcomes), 4)
