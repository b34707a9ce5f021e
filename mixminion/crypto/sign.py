"""Ed25519 signatures (RFC 8032) on raw octets: keys have 32, signatures 64."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def generate() -> tuple[bytes, bytes]:
    """A new pair: private and public key."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes_raw(), key.public_key().public_bytes_raw()


def public(private: bytes) -> bytes:
    """The public key of a private one."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def sign(private: bytes, octets: bytes) -> bytes:
    """The signature on *octets*."""
    return Ed25519PrivateKey.from_private_bytes(private).sign(octets)


def verify(public: bytes, signature: bytes, octets: bytes) -> bool:
    """Whether *signature* is the one of *public* on *octets*; False for malformed ones too."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, octets)
    except (InvalidSignature, ValueError):
        return False
    return True
