"""Compression (RFC 1951) of messages that take fewer packets for it; bounded when expanded.

``size(4) | raw deflate``, where *size* is what it expands to: at most :data:`RATIO` times as many
octets as are deflated.  A sender whose octets shrink more than that leaves them as they are.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from mixminion.payload.errors import BadPayload, Problem

RATIO = 32
SIZE = 4

_LEVEL = 6  # for everybody: a level would tell senders apart
_WINDOW = -15
_STEP = 1 << 16


def deflate(octets: Iterable[bytes | memoryview], size: int) -> Iterator[bytes]:
    """The compressed form of *octets*, *size* in all, in pieces."""
    yield size.to_bytes(SIZE)
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW)
    for each in octets:
        for at in range(0, len(each), _STEP):
            yield compressor.compress(each[at : at + _STEP])
    yield compressor.flush()


def deflated_size(octets: Iterable[bytes | memoryview], size: int) -> int | None:
    """How many octets that is; None when nobody would expand them again."""
    length = sum(map(len, deflate(octets, size)))
    return length if size <= RATIO * (length - SIZE) else None


def inflate(pieces: Iterable[bytes], length: int, limit: int) -> Iterator[bytes]:
    """What *pieces*, *length* octets in all, expand to, in pieces of at most 64 KiB.

    BadPayload, before more than *limit* octets or more than were announced have been made, when
    it is not what :func:`deflate` makes.
    """
    inflater = Inflater(length, limit)
    for piece in pieces:
        yield from inflater.feed(piece)
    inflater.finish()


class Inflater:
    """The same for pieces that come one at a time."""

    def __init__(self, length: int, limit: int) -> None:
        self._length = length
        self._limit = limit
        self._head = b""
        self._left = -1
        self._expander = zlib.decompressobj(_WINDOW)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """What the next *piece* expands to."""
        if self._left < 0:
            self._head += piece
            if len(self._head) < SIZE:
                return
            self._left = int.from_bytes(self._head[:SIZE])
            if self._left > min(self._limit, RATIO * (self._length - SIZE)):
                raise BadPayload(Problem.SIZE)
            piece = self._head[SIZE:]
        more = True
        while more:
            try:
                made = self._expander.decompress(piece, _STEP)
            except zlib.error:
                raise BadPayload(Problem.DEFLATE) from None
            self._left -= len(made)
            if self._left < 0 or self._expander.unused_data:
                raise BadPayload(Problem.DEFLATE)
            yield made
            piece = self._expander.unconsumed_tail
            more = bool(piece) or len(made) == _STEP

    def finish(self) -> None:
        """There is no more; BadPayload when there should be."""
        if not self._expander.eof or self._left:
            raise BadPayload(Problem.DEFLATE)
