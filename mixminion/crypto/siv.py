"""Deterministic authenticated encryption: AES-256-SIV (RFC 5297).

For short tokens that have no room for a nonce: the same octets under the same key are sealed to
the same ones, and nothing else is told of them.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from mixminion.crypto.aead import Forged

KEY = 64
TAG = 16  #: octets by which what is sealed is longer


class Siv:
    """One key."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        self._cipher = AESSIV(key)

    def seal(self, octets: bytes, bound: bytes) -> bytes:
        """A tag over *octets* (one at least) and *bound*, and *octets* encrypted."""
        return self._cipher.encrypt(octets, [bound])

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """What :meth:`seal` was given; raises :class:`~mixminion.crypto.aead.Forged`."""
        try:
            return self._cipher.decrypt(sealed, [bound])
        except (InvalidTag, ValueError):
            raise Forged from None
