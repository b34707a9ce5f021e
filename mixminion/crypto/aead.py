"""Authenticated encryption: AES-256-GCM (NIST SP 800-38D), keys of 32 octets, nonces of 12."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = 32
NONCE = 12
TAG = 16  #: octets by which what is sealed is longer


class Forged(Exception):
    """Not what was sealed under this key, with this nonce, bound to that."""


class Aead:
    """One key.  A nonce seals once."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, nonce: bytes, octets: bytes, bound: bytes) -> bytes:
        """*octets* encrypted, and a tag over them and *bound*."""
        return self._cipher.encrypt(nonce, octets, bound)

    def open(self, nonce: bytes, sealed: bytes, bound: bytes) -> bytes:
        """What :meth:`seal` was given; raises :class:`Forged`."""
        try:
            return self._cipher.decrypt(nonce, sealed, bound)
        except InvalidTag:
            raise Forged from None
