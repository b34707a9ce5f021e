"""Receipts: what asks an exit for one, and what it says.

A coded message that asks for a receipt begins with reply blocks, of which the exit uses one.  See
``doc/spec/payload.rst``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from mixminion.payload.errors import BadPayload, Problem
from mixminion.payload.fragments import ID

MAGIC = b"MIXRCPT1"

MOST_BLOCKS = 4
"""Reply blocks with one message."""

ROUNDED = 3600
"""Seconds to which the date in a receipt is rounded down."""

_FORM = struct.Struct(f">8s{ID}sBQB")
_LENGTH = struct.Struct(">H")
_REASON = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-")
_LONGEST = 31


class Outcome(IntEnum):
    """What became of a message."""

    ACCEPTED = 1  #: the next system has it
    REFUSED = 2  #: it will not be tried again
    EXPIRED = 3  #: it was given up: nobody took it, and nobody refused it


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an exit says of the message *id*; *reason* is one of its words, ``date`` Unix
    seconds."""

    id: bytes
    outcome: Outcome
    date: int
    reason: str

    def encode(self) -> bytes:
        """The content of a reply."""
        reason = self.reason.encode("ascii")
        date = self.date // ROUNDED * ROUNDED
        return _FORM.pack(MAGIC, self.id, self.outcome, date, len(reason)) + reason

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """From the content of a reply; BadPayload when it is none."""
        if len(content) < _FORM.size:
            raise BadPayload(Problem.SHORT)
        magic, id, outcome, date, length = _FORM.unpack_from(content)
        reason = content[_FORM.size :]
        if (
            magic != MAGIC
            or outcome not in set(Outcome)
            or length != len(reason)
            or length > _LONGEST
            or not _REASON.issuperset(reason)
        ):
            raise BadPayload(Problem.RECEIPT)
        return cls(id, Outcome(outcome), date, reason.decode("ascii"))


def is_receipt(content: bytes) -> bool:
    """Whether the content of a reply is meant for one."""
    return content.startswith(MAGIC)


def asking(blocks: Sequence[bytes]) -> bytes:
    """What a coded message begins with whose receipt comes by one of these reply *blocks*."""
    if not 1 <= len(blocks) <= MOST_BLOCKS:
        raise ValueError(f"a message has 1 to {MOST_BLOCKS} reply blocks for its receipt")
    parts = [bytes((len(blocks),))]
    for block in blocks:
        parts += (_LENGTH.pack(len(block)), block)
    return b"".join(parts)


def asked(octets: bytes) -> tuple[tuple[bytes, ...], int]:
    """The reply blocks of a coded message that begins with *octets*, and where its message begins.

    BadPayload when there are none; with Problem.SHORT more octets may bring them.
    """
    if not octets:
        raise BadPayload(Problem.SHORT)
    if not 1 <= octets[0] <= MOST_BLOCKS:
        raise BadPayload(Problem.BLOCKS)
    blocks, at = [], 1
    for _ in range(octets[0]):
        begin = at + _LENGTH.size
        end = begin + int.from_bytes(octets[at:begin])
        if len(octets) < begin or len(octets) < end:
            raise BadPayload(Problem.SHORT)
        blocks.append(octets[begin:end])
        at = end
    return tuple(blocks), at
