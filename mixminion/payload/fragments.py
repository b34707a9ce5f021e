"""Fragments: a message that does not fit one packet, in pieces of which some may be lost.

The coded message is cut into pieces of one length, these are dealt out to blocks of at most 64,
and each block gets repair pieces (:mod:`mixminion.payload.erasure`).  See doc/spec/payload.rst.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from mixminion.payload import erasure, frame
from mixminion.payload.erasure import MOST_DATA, MOST_PIECES
from mixminion.payload.errors import BadPayload, Problem
from mixminion.sphinx.geometry import Geometry

ID = 16

_HEAD = struct.Struct(f">{ID}sBLHB")
HEAD = _HEAD.size

LEAST_PIECE = 256
"""Octets: with less, a message could have more blocks than memory for them."""


class Coding(IntEnum):
    """What the pieces put together are."""

    PLAIN = 0  #: a message
    DEFLATED = 1  #: a message, as :mod:`mixminion.payload.deflate` makes it
    RECEIPT = 2  #: reply blocks for a receipt (:mod:`mixminion.payload.receipt`), and a message
    DEFLATED_RECEIPT = 3  #: the same, the message deflated

    @property
    def deflated(self) -> bool:
        """Whether the message in it is."""
        return bool(self & 1)

    @property
    def receipt(self) -> bool:
        """Whether it begins with reply blocks for a receipt."""
        return bool(self & 2)


ATTEMPTS = 64
"""How many times a message with a receipt may be sent."""


@dataclass(frozen=True, slots=True)
class Whole:
    """What all fragments of one message say of it; others are of another message.

    ``size`` is octets of the coded message, ``piece`` of a piece.  *attempt* tells apart what is
    sent of a message with a receipt when none has come: other reply blocks, and the same message.
    """

    id: bytes
    coding: Coding
    size: int
    piece: int
    attempt: int = 0

    @classmethod
    def of(cls, id: bytes, code: int, size: int, piece: int) -> Self:
        """With the octet of its coding; BadPayload when that means nothing."""
        coding, attempt = Coding(code % len(Coding)), code // len(Coding)
        if attempt and not coding.receipt:
            raise BadPayload(Problem.CODING)
        return cls(id, coding, size, piece, attempt)

    @property
    def code(self) -> int:
        """The octet of its coding."""
        return self.coding + len(Coding) * self.attempt

    @property
    def pieces(self) -> int:
        """Pieces of data in all."""
        return -(-self.size // self.piece)

    @property
    def blocks(self) -> int:
        """How many blocks they are dealt out to."""
        return -(-self.pieces // MOST_DATA)

    def data(self, block: int) -> int:
        """Pieces of data in a block: equally many, the first ones have one more."""
        least, more = divmod(self.pieces, self.blocks)
        return least + (block < more)

    def start(self, block: int) -> int:
        """The place in the coded message at which a block begins, in octets."""
        least, more = divmod(self.pieces, self.blocks)
        return (block * least + min(block, more)) * self.piece

    def length(self, block: int) -> int:
        """Octets of the coded message that a block holds."""
        return min(self.data(block) * self.piece, self.size - self.start(block))


@dataclass(frozen=True, slots=True)
class Fragment:
    """One piece of *block*, by its number there; from ``whole.data(block)`` on it is for repair."""

    whole: Whole
    block: int
    index: int
    octets: bytes

    def encode(self) -> bytes:
        """The content of a fragment frame."""
        whole = self.whole
        head = _HEAD.pack(whole.id, whole.code, whole.size, self.block, self.index)
        return head + self.octets

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """From the content of a fragment frame; BadPayload when it is none."""
        if len(content) < HEAD + LEAST_PIECE:
            raise BadPayload(Problem.SHORT)
        id, code, size, block, index = _HEAD.unpack_from(content)
        whole = Whole.of(id, code, size, len(content) - HEAD)
        if block >= whole.blocks:
            raise BadPayload(Problem.BLOCK)
        return cls(whole, block, index, content[HEAD:])


def piece_length(geometry: Geometry) -> int:
    """The most octets of a piece that one packet carries."""
    return geometry.body - frame.HEAD - HEAD


def enough(data: int) -> int:
    """How many pieces a block of *data* is sent as, so that when one packet in ten is lost
    too few arrive of a large block once in a million times, of a small one in a few hundred."""
    return data + -(-35 * data // 100) + 1


def number_of_packets(size: int, piece: int, copies: int = 1) -> int:
    """Packets for a coded message of *size* octets."""
    whole = Whole(bytes(ID), Coding.PLAIN, size, piece)
    return sum(len(numbers(whole.data(block), copies)) for block in range(whole.blocks))


def numbers(data: int, copies: int = 1) -> list[int]:
    """The numbers of the pieces that are sent of a block of *data*; with more than one copy there
    are as many pieces more, or the same again where there are no more, and with none no piece for
    repair."""
    return [number % MOST_PIECES for number in range(copies * enough(data) or data)]


def pieces(whole: Whole, block: int, octets: bytes, numbers: Sequence[int]) -> Iterator[Fragment]:
    """The fragments of those *numbers* of a block that is *octets* of the coded message."""
    k, piece = whole.data(block), whole.piece
    held = octets.ljust(k * piece, b"\0")
    data = [held[at : at + piece] for at in range(0, k * piece, piece)]
    for number in numbers:
        part = data[number] if number < k else erasure.repair(data, number)
        yield Fragment(whole, block, number, part)
