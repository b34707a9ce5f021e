"""Stream ciphers: AES-256-CTR and ChaCha20 (RFC 8439)."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_ZERO = bytes(16)


def aes_ctr(key: bytes, iv: bytes, octets: bytes) -> bytes:
    """*octets* with the key stream of ``key(32)`` added; ``iv(16)`` is the first counter block."""
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(octets)


def chacha20(key: bytes, octets: bytes) -> bytes:
    """*octets* with the key stream of ``key(32)`` added, nonce zero, counting from zero."""
    return Cipher(algorithms.ChaCha20(key, _ZERO), None).encryptor().update(octets)
