"""HPKE (RFC 9180), single-shot, base mode: X-Wing, HKDF-SHA-256, AES-256-GCM.

The KEM is 0x647A, ``MLKEM768-X25519`` of the concrete hybrid KEMs, whose key pairs
:mod:`mixminion.crypto.kem` makes: seed(32) and public key(1216).  What is sealed is
encapsulated key(1120), ciphertext, tag(16).
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from mixminion.crypto import kem
from mixminion.crypto.aead import TAG, Forged
from mixminion.crypto.errors import BadPublicKey

OVERHEAD = kem.CIPHERTEXT + TAG
"""Octets by which what is sealed is longer."""

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_ML_PUBLIC = kem.PUBLIC - 32


def seal(public: bytes, octets: bytes, info: bytes) -> bytes:
    """*octets* for the owner of *public*, bound to *info*, which says what they are.

    The library draws the randomness.  BadPublicKey when *public* is bad.
    """
    if len(public) != kem.PUBLIC:
        raise BadPublicKey
    try:
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:_ML_PUBLIC]),
            X25519PublicKey.from_public_bytes(public[_ML_PUBLIC:]),
        )
        return _SUITE.encrypt(octets, key, info)
    except ValueError:
        raise BadPublicKey from None


def open(seed: bytes, sealed: bytes, info: bytes) -> bytes:
    """What :func:`seal` was given; Forged when it was not for this key or another *info*."""
    expanded = hashlib.shake_256(seed).digest(96)
    key = MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        X25519PrivateKey.from_private_bytes(expanded[64:]),
    )
    try:
        return _SUITE.decrypt(sealed, key, info)
    except (InvalidTag, ValueError):
        raise Forged from None
