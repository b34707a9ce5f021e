"""What a passphrase protects: Argon2id (RFC 9106) gives the key, AES-256-GCM seals.

Sealed octets, big-endian::

    MIXSEAL | version 1 | memory 4, kB | passes 4 | lanes 1 | salt 16 | nonce 12 |
    AES-256-GCM of the octets, its tag 16

All before the ciphertext, and the purpose, which is not stored, are the associated data: what
was sealed as one kind of key does not open as another.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mixminion.crypto.aead import KEY, NONCE, Aead, Forged
from mixminion.interfaces import Random

MAGIC = b"MIXSEAL"
VERSION = 1
SALT = 16
HEAD = struct.Struct(f">7sBIIB{SALT}s{NONCE}s")

MEMORY = 65_536
"""kB that making a key takes; these three are RFC 9106's second recommendation."""
PASSES = 3
LANES = 4
MOST_MEMORY = 4 * MEMORY
MOST_PASSES = 64


class DoesNotOpen(Exception):
    """Another passphrase, another purpose, or not what was sealed."""


class UnknownForm(Exception):
    """Not sealed octets of a version that is known here."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The parameters of Argon2id, with the salt: what makes one key of one passphrase."""

    memory: int
    passes: int
    lanes: int
    salt: bytes


class Passphrase:
    """A passphrase.  Making a key takes a tenth of a second or more, so what is sealed here
    shares the cost of what was opened last, or sealed first: then one key serves for all."""

    def __init__(self, octets: bytes, random: Random) -> None:
        self._octets = octets
        self._random = random
        self._cost: Cost | None = None
        self._ciphers: dict[Cost, Aead] = {}

    def seal(self, octets: bytes, purpose: bytes) -> bytes:
        """*octets*, to be opened with the same *purpose*."""
        cost = self._cost or Cost(MEMORY, PASSES, LANES, self._random.octets(SALT))
        cipher = self._cipher(cost)
        nonce = self._random.octets(NONCE)
        head = HEAD.pack(MAGIC, VERSION, cost.memory, cost.passes, cost.lanes, cost.salt, nonce)
        return head + cipher.seal(nonce, octets, head + purpose)

    def open(self, sealed: bytes, purpose: bytes) -> bytes:
        """What was sealed; raises :class:`DoesNotOpen` and :class:`UnknownForm`."""
        if len(sealed) < HEAD.size:
            raise UnknownForm
        head = sealed[: HEAD.size]
        magic, version, memory, passes, lanes, salt, nonce = HEAD.unpack(head)
        known = magic == MAGIC and version == VERSION and 0 < passes <= MOST_PASSES
        if not known or lanes == 0 or not 8 * lanes <= memory <= MOST_MEMORY:
            raise UnknownForm
        cost = Cost(memory, passes, lanes, salt)
        try:
            return self._cipher(cost).open(nonce, sealed[HEAD.size :], head + purpose)
        except Forged:
            raise DoesNotOpen from None

    def _cipher(self, cost: Cost) -> Aead:
        if cost not in self._ciphers:
            derivation = Argon2id(
                salt=cost.salt,
                length=KEY,
                iterations=cost.passes,
                lanes=cost.lanes,
                memory_cost=cost.memory,
            )
            self._ciphers[cost] = Aead(derivation.derive(self._octets))
        if cost.memory >= MEMORY and cost.passes >= PASSES:
            self._cost = cost
        return self._ciphers[cost]


def is_sealed(octets: bytes) -> bool:
    """Whether a passphrase protects them."""
    return octets.startswith(MAGIC)
