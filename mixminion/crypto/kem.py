"""X-Wing: X25519 and ML-KEM-768 in one KEM.

draft-connolly-cfrg-xwing-kem, the MLKEM768-X25519 of the concrete hybrid KEMs, HPKE KEM
0x647A; Barbosa et al., "X-Wing: The Hybrid KEM You've Been Looking For", 2024.
A private key is its seed.  An X25519 result of zeros is refused on both sides.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from mixminion.crypto import x25519
from mixminion.crypto.errors import BadPublicKey
from mixminion.crypto.rng import SystemRandom

SEED = 32
PUBLIC = 1184 + 32
CIPHERTEXT = 1088 + 32

_LABEL = b"\\.//^\\"
_ML_PUBLIC = 1184
_ML_CIPHERTEXT = 1088


class PrivateKey:
    """A loaded private key; ValueError when the seed has not 32 octets."""

    __slots__ = ("_combine", "_ml_kem", "_x25519", "public")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED:
            raise ValueError("an X-Wing seed has 32 octets")
        expanded = hashlib.shake_256(seed).digest(96)
        self._ml_kem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        self._x25519 = x25519.PrivateKey(expanded[64:])
        self.public = self._ml_kem.public_key().public_bytes_raw() + self._x25519.public
        self._combine = self._x25519.public + _LABEL

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The secret(32) of a ciphertext(1120).  A changed one gives another secret;
        LowOrderPoint when its X25519 part does."""
        point = ciphertext[_ML_CIPHERTEXT:]
        shared = self._x25519.exchange(point)
        secret = self._ml_kem.decapsulate(ciphertext[:_ML_CIPHERTEXT])
        return hashlib.sha3_256(secret + shared + point + self._combine).digest()


def encapsulate(public: bytes) -> tuple[bytes, bytes]:
    """A new secret(32) for the owner of *public*, and its ciphertext(1120).

    The libraries draw the randomness.  BadPublicKey or LowOrderPoint when *public* is bad.
    """
    point = public[_ML_PUBLIC:]
    try:
        ml_kem = MLKEM768PublicKey.from_public_bytes(public[:_ML_PUBLIC])
    except ValueError:
        raise BadPublicKey from None
    ephemeral = x25519.PrivateKey.generate()
    shared = ephemeral.exchange(point)
    secret, ciphertext = ml_kem.encapsulate()
    combined = hashlib.sha3_256(secret + shared + ephemeral.public + point + _LABEL).digest()
    return combined, ciphertext + ephemeral.public


def public_from_seed(seed: bytes) -> bytes:
    """The public key(1216) of a seed(32)."""
    return PrivateKey(seed).public


def generate() -> tuple[bytes, bytes]:
    """A new pair: seed(32) and public key(1216)."""
    seed = SystemRandom().octets(SEED)
    return seed, public_from_seed(seed)
