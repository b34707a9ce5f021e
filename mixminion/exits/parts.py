"""What is stored of messages that come in fragments: the parts, which of them make a whole, and
which messages have been dealt with.

Integers are big-endian; see ``doc/spec/exits.rst``::

    part     version 01 | content of a fragment frame
    whole    version 01 | date 8 | length 1, Message-ID | length 1, exit name | id 16 | coding 1 |
             size 4 | piece 4 | for each block, for each of its data pieces: index 1, record id 8
    done     version 02 | id 16 | outcome 1 | date 8 | attempts 8 | reason

``outcome`` is that of a receipt, or 0 when there is none to tell; ``attempts`` has a bit for each
that was answered, the lowest for the first.  In version 01 there was only the id.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from mixminion.exits.record import BadRecord
from mixminion.payload.errors import BadPayload
from mixminion.payload.fragments import ID, Fragment, Whole
from mixminion.payload.receipt import Outcome

PART = b"exit:#part"
WHOLE = b"exit:#whole"
DONE = b"exit:#done"
"""Where these records go, in the store; no exit's name begins with ``#``."""

VERSION = 1
WITH_OUTCOME = 2
_VERSION = bytes((VERSION,))

_HEAD = struct.Struct(">BQ")
_WHOLE = struct.Struct(f">{ID}sBLL")
_PLACE = struct.Struct(">BQ")
_DONE = struct.Struct(f">B{ID}sBQQ")

Places = tuple[tuple[tuple[int, int], ...], ...]
"""Of each block the pieces that are there: number in the block, id of the record."""


def encode_part(content: bytes) -> bytes:
    """The record of a fragment."""
    return _VERSION + content


def decode_part(record: bytes) -> Fragment:
    """The fragment of a record; raises :class:`BadRecord`."""
    if record[:1] != _VERSION:
        raise BadRecord
    try:
        return Fragment.parse(record[1:])
    except BadPayload:
        raise BadRecord from None


@dataclass(frozen=True, slots=True)
class Done:
    """A message that has been dealt with, and how that ended at ``date``, Unix seconds."""

    id: bytes
    outcome: Outcome | None = None
    date: int = 0
    reason: str = ""
    attempts: int = 0  #: a bit for each that needs no receipt any more

    def encode(self) -> bytes:
        """The record."""
        outcome = 0 if self.outcome is None else self.outcome
        head = _DONE.pack(WITH_OUTCOME, self.id, outcome, self.date, self.attempts)
        return head + self.reason.encode("ascii")

    @classmethod
    def decode(cls, record: bytes) -> Self:
        """From its record; raises :class:`BadRecord`."""
        if record[:1] == _VERSION and len(record) == 1 + ID:
            return cls(record[1:])
        try:
            version, id, outcome, date, attempts = _DONE.unpack_from(record)
            if version != WITH_OUTCOME:
                raise BadRecord
            found = Outcome(outcome) if outcome else None
            return cls(id, found, date, record[_DONE.size :].decode("ascii"), attempts)
        except (struct.error, ValueError):
            raise BadRecord from None


@dataclass(frozen=True, slots=True)
class Complete:
    """A message of which enough has arrived; ``date`` is Unix seconds."""

    message_id: str
    date: int
    exit: str
    whole: Whole
    places: Places

    @property
    def records(self) -> list[int]:
        """The ids of its parts' records."""
        return [record_id for block in self.places for _, record_id in block]

    def encode(self) -> bytes:
        """The record."""
        whole = self.whole
        texts = (text.encode() for text in (self.message_id, self.exit))
        return b"".join(
            (
                _HEAD.pack(VERSION, self.date),
                *(bytes((len(text),)) + text for text in texts),
                _WHOLE.pack(whole.id, whole.code, whole.size, whole.piece),
                *(_PLACE.pack(*place) for block in self.places for place in block),
            )
        )

    @classmethod
    def decode(cls, record: bytes) -> Self:
        """From its record; raises :class:`BadRecord`."""
        try:
            version, date = _HEAD.unpack_from(record)
            message_id, at = _text(record, _HEAD.size)
            exit, at = _text(record, at)
            id, code, size, piece = _WHOLE.unpack_from(record, at)
            whole = Whole.of(id, code, size, piece)
            places = list(_PLACE.iter_unpack(record[at + _WHOLE.size :]))
            if version != VERSION or not size or not piece or len(places) != whole.pieces:
                raise BadRecord
        except (struct.error, IndexError, ValueError, BadPayload):
            raise BadRecord from None
        blocks, at = [], 0
        for block in range(whole.blocks):
            blocks.append(tuple(places[at : at + whole.data(block)]))
            at += whole.data(block)
        return cls(message_id, date, exit, whole, tuple(blocks))


def _text(record: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + record[at]
    if len(record) < end:
        raise IndexError
    return record[at + 1 : end].decode(), end
