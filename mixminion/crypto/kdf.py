"""SHA-256, HMAC and HKDF (RFC 2104, RFC 5869), all with SHA-256."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

_SHA256 = hashes.SHA256()
_BLOCK = 64
_INNER = bytes(x ^ 0x36 for x in range(256))
_OUTER = bytes(x ^ 0x5C for x in range(256))


def sha256(octets: bytes) -> bytes:
    """32 octets."""
    return hashlib.sha256(octets).digest()


def hmac_sha256(key: bytes, octets: bytes) -> bytes:
    """32 octets; *key* has at most 64.

    Two calls of hashlib: 1 us less than ``hmac.digest``, which fetches its algorithm anew.
    """
    if len(key) > _BLOCK:
        raise ValueError("an HMAC key has at most 64 octets here")
    padded = key.ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(padded.translate(_INNER))
    inner.update(octets)
    return hashlib.sha256(padded.translate(_OUTER) + inner.digest()).digest()


def hkdf_extract(salt: bytes, octets: bytes) -> bytes:
    """A pseudo-random key of 32 octets; *salt* has at most 64."""
    return hmac_sha256(salt, octets)


def hkdf_expand(prk: bytes, info: bytes, n: int) -> bytes:
    """*n* octets."""
    return HKDFExpand(_SHA256, n, info).derive(prk)
