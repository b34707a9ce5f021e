"""Messages encrypted to their recipient's key: sealed, and padded to one of few lengths.

doc/spec/sealed.rst fixes every octet.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import count

from mixminion.crypto import hpke
from mixminion.payload import deflate
from mixminion.payload.errors import BadPayload, Problem, TooLarge

MAGIC = b"MIXENCR"
VERSION = 1
HEAD = MAGIC + bytes((VERSION,))

ARMOR = "MIXMINION ENCRYPTED MESSAGE"
"""The kind of its armor."""

INFO = b"mixminion2 encrypted message"

_INSIDE = struct.Struct(">BBI")
OVERHEAD = len(HEAD) + hpke.OVERHEAD + _INSIDE.size
"""Octets by which what is sealed is longer than its content at least."""

MOST = 2**32 - 1
"""Octets of content."""


class Kind(IntEnum):
    """What the content is."""

    OCTETS = 0
    MAIL = 1  #: a message of RFC 5322


class Coding(IntEnum):
    """How it is written."""

    PLAIN = 0
    DEFLATED = 1  #: as :mod:`mixminion.payload.deflate` makes it


@dataclass(frozen=True, slots=True)
class Opened:
    """What was in an encrypted message."""

    kind: Kind
    content: bytes


def steps() -> Iterator[int]:
    """How many packets' room encrypted messages take: 1 to 8, and on in steps of which four are
    a doubling, so that never more than a quarter is padding."""
    yield from (1, 2, 3)
    for exponent in count():
        for leading in (4, 5, 6, 7):
            yield leading << exponent


def is_sealed(octets: bytes) -> bool:
    """Whether an encrypted message begins here, of whatever version."""
    return octets.startswith(MAGIC)


def seal(public: bytes, content: bytes, sizes: Iterable[int], kind: Kind = Kind.OCTETS) -> bytes:
    """*content* for the owner of *public*, in the first of *sizes*, which ascend, that it fits.

    The library draws the randomness.  TooLarge when it fits none; BadPublicKey.
    """
    tried: list[tuple[Coding, bytes]] = [(Coding.PLAIN, content)]
    size = 0
    for size in sizes:
        if size < OVERHEAD + len(content) and len(tried) == 1:  # only now: most fit the first
            tried += _shorter(content)
        fitting = [each for each in tried if OVERHEAD + len(each[1]) <= size]
        if fitting:
            coding, coded = fitting[0]
            break
    else:
        raise TooLarge(size=len(content), limit=max(0, size - OVERHEAD))
    zeros = bytes(size - OVERHEAD - len(coded))
    inside = _INSIDE.pack(kind, coding, len(coded)) + coded + zeros
    return HEAD + hpke.seal(public, inside, INFO + HEAD)


def open(seed: bytes, octets: bytes, limit: int = MOST) -> Opened:
    """What is in the encrypted message that *octets* are, at most *limit* octets.

    Forged when it is not for the key of *seed*, or was changed; BadPayload when it is of no known
    form, also inside, or holds more.
    """
    if not octets.startswith(HEAD):
        raise BadPayload(Problem.VERSION if is_sealed(octets) else Problem.KIND)
    inside = hpke.open(seed, octets[len(HEAD) :], INFO + HEAD)
    if len(inside) < _INSIDE.size:
        raise BadPayload(Problem.SHORT)
    kind, coding, length = _INSIDE.unpack_from(inside)
    if kind > max(Kind):
        raise BadPayload(Problem.KIND)
    if coding > max(Coding):
        raise BadPayload(Problem.CODING)
    end = _INSIDE.size + length
    if end > len(inside):
        raise BadPayload(Problem.LENGTH)
    if inside.count(0, end) != len(inside) - end:
        raise BadPayload(Problem.ZEROS)
    coded = inside[_INSIDE.size : end]
    if coding == Coding.DEFLATED:
        return Opened(Kind(kind), b"".join(deflate.inflate([coded], length, limit)))
    if length > limit:
        raise BadPayload(Problem.SIZE)
    return Opened(Kind(kind), coded)


def _shorter(content: bytes) -> Iterator[tuple[Coding, bytes]]:
    """*content* deflated, if anybody would expand it again."""
    if deflate.deflated_size([content], len(content)) is not None:
        yield Coding.DEFLATED, b"".join(deflate.deflate([content], len(content)))
