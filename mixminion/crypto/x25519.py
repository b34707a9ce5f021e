"""X25519 (RFC 7748) on raw octets; a result of zeros is refused."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from mixminion.crypto.errors import BadPublicKey, LowOrderPoint

SIZE = 32


class PrivateKey:
    """A loaded private key of 32 octets, clamped at use; ValueError for another length."""

    __slots__ = ("_key", "public")

    def __init__(self, private: bytes) -> None:
        self._key = X25519PrivateKey.from_private_bytes(private)
        self.public = self._key.public_key().public_bytes_raw()

    def exchange(self, point: bytes) -> bytes:
        """The shared secret with *point*: LowOrderPoint when it is zero."""
        return _exchange(self._key, point)


def exchange(private: bytes, point: bytes) -> bytes:
    """One exchange with a scalar that is used once."""
    return _exchange(X25519PrivateKey.from_private_bytes(private), point)


def _exchange(key: X25519PrivateKey, point: bytes) -> bytes:
    try:
        public = X25519PublicKey.from_public_bytes(point)
    except ValueError:
        raise BadPublicKey from None
    try:
        return key.exchange(public)
    except ValueError:
        raise LowOrderPoint from None


def public(private: bytes) -> bytes:
    """The public key of a private one."""
    return PrivateKey(private).public


def generate() -> tuple[bytes, bytes]:
    """A new pair: private and public key, 32 octets each."""
    key = X25519PrivateKey.generate()
    return key.private_bytes_raw(), key.public_key().public_bytes_raw()
