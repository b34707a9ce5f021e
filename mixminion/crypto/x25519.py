"""X25519 (RFC 7748) on raw octets; a result of zeros is refused."""

from __future__ import annotations

from typing import Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from mixminion.crypto.errors import BadPublicKey, LowOrderPoint

SIZE = 32


class PrivateKey:
    """A loaded private key of 32 octets, clamped at use; ValueError for another length."""

    __slots__ = ("_key", "public")

    def __init__(self, private: bytes | X25519PrivateKey) -> None:
        if isinstance(private, bytes):
            private = X25519PrivateKey.from_private_bytes(private)
        self._key = private
        self.public = private.public_key().public_bytes_raw()

    @classmethod
    def generate(cls) -> Self:
        """A new key."""
        return cls(X25519PrivateKey.generate())

    def octets(self) -> bytes:
        """The private key(32)."""
        return self._key.private_bytes_raw()

    def exchange(self, point: bytes) -> bytes:
        """The shared secret(32) with *point*; LowOrderPoint when it is zero, BadPublicKey when
        *point* has not 32 octets."""
        try:
            public = X25519PublicKey.from_public_bytes(point)
        except ValueError:
            raise BadPublicKey from None
        try:
            return self._key.exchange(public)
        except ValueError:
            raise LowOrderPoint from None


def public(private: bytes) -> bytes:
    """The public key of a private one."""
    return PrivateKey(private).public


def generate() -> tuple[bytes, bytes]:
    """A new pair: private and public key, 32 octets each."""
    key = PrivateKey.generate()
    return key.octets(), key.public
