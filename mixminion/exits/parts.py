"""What is stored of messages that come in fragments: the parts, which of them make a whole, and
which messages have been dealt with.

Integers are big-endian; see ``doc/spec/exits.rst``::

    part     version 01 | content of a fragment frame
    whole    version 01 | date 8 | length 1, Message-ID | length 1, exit name | id 16 | coding 1 |
             size 4 | piece 4 | for each block, for each of its data pieces: index 1, record id 8
    done     version 01 | id 16
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from mixminion.exits.record import BadRecord
from mixminion.payload.errors import BadPayload
from mixminion.payload.fragments import ID, Coding, Fragment, Whole

PART = b"exit:#part"
WHOLE = b"exit:#whole"
DONE = b"exit:#done"
"""Where these records go, in the store; no exit's name begins with ``#``."""

VERSION = 1
_VERSION = bytes((VERSION,))

_HEAD = struct.Struct(">BQ")
_WHOLE = struct.Struct(f">{ID}sBLL")
_PLACE = struct.Struct(">BQ")

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


def encode_done(id: bytes) -> bytes:
    """The record of a message that has been dealt with."""
    return _VERSION + id


def decode_done(record: bytes) -> bytes:
    """The id in such a record; raises :class:`BadRecord`."""
    if record[:1] != _VERSION or len(record) != 1 + ID:
        raise BadRecord
    return record[1:]


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
                _WHOLE.pack(whole.id, whole.coding, whole.size, whole.piece),
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
            id, coding, size, piece = _WHOLE.unpack_from(record, at)
            whole = Whole(id, Coding(coding), size, piece)
            places = list(_PLACE.iter_unpack(record[at + _WHOLE.size :]))
            if version != VERSION or not size or not piece or len(places) != whole.pieces:
                raise BadRecord
        except (struct.error, IndexError, ValueError):
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
