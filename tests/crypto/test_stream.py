"""The stream ciphers against published key streams."""

from __future__ import annotations

from mixminion.crypto.stream import aes_ctr, chacha20
from mixminion.testing.cases import SyncTestCase


class StreamTests(SyncTestCase):
    def test_chacha20(self) -> None:
        """RFC 8439 A.1, vectors 1 and 2: key, nonce and counter zero, and the block after."""
        self.assertEqual(
            chacha20(bytes(32), bytes(128)).hex(),
            "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
            "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
            "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
            "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f",
        )

    def test_aes_ctr(self) -> None:
        """NIST SP 800-38A, F.5.5, two blocks."""
        key = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
        plain = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
        cipher = "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
        iv = bytes(range(0xF0, 0x100))
        self.assertEqual(aes_ctr(bytes.fromhex(key), iv, bytes.fromhex(plain)).hex(), cipher)

    def test_counter_carries(self) -> None:
        """The counter block is one 128-bit integer: it wraps from all ones to zero."""
        key = bytes(32)
        whole = aes_ctr(key, b"\xff" * 16, bytes(32))
        self.assertEqual(whole[16:], aes_ctr(key, bytes(16), bytes(16)))
