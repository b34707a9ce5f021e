"""LIONESS (Anderson and Biham 1996): a permutation of long blocks.

Whoever changes one bit of a block finds all of it changed after the next operation.  Here
with ChaCha20 and HMAC-SHA-256; the left part has 32 octets.  One block of 26 KB takes
48 us with SHA-NI.
"""

from __future__ import annotations

from mixminion.crypto.kdf import hkdf_expand, hmac_sha256
from mixminion.crypto.stream import chacha20

LEFT = 32


def _xor(a: bytes, b: bytes) -> bytes:
    """Two times 32 octets."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).to_bytes(LEFT)


def _keys(secret: bytes, info: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    keys = hkdf_expand(secret, info, 128)
    return keys[:32], keys[32:64], keys[64:96], keys[96:]


def encrypt(secret: bytes, info: bytes, block: bytes) -> bytes:
    """Encrypt *block*, at least 33 octets, under keys expanded from *secret* and *info*."""
    k1, k2, k3, k4 = _keys(secret, info)
    left, right = block[:LEFT], block[LEFT:]
    right = chacha20(_xor(left, k1), right)
    left = _xor(left, hmac_sha256(k2, right))
    right = chacha20(_xor(left, k3), right)
    left = _xor(left, hmac_sha256(k4, right))
    return left + right


def decrypt(secret: bytes, info: bytes, block: bytes) -> bytes:
    """Undo :func:`encrypt`."""
    k1, k2, k3, k4 = _keys(secret, info)
    left, right = block[:LEFT], block[LEFT:]
    left = _xor(left, hmac_sha256(k4, right))
    right = chacha20(_xor(left, k3), right)
    left = _xor(left, hmac_sha256(k2, right))
    right = chacha20(_xor(left, k1), right)
    return left + right
