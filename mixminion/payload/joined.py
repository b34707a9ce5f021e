"""Putting a small message in fragments together in memory: what a client does with replies.

An exit, whose messages may be large, reads their pieces from disk instead
(:mod:`mixminion.exits.joining`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mixminion.payload import deflate, erasure
from mixminion.payload.errors import BadPayload, Problem
from mixminion.payload.fragments import Coding, Whole

Pieces = Mapping[int, Mapping[int, bytes]]
"""By block, and in it by index."""


def lacking(whole: Whole, counts: Mapping[int, int]) -> int:
    """How many pieces are lacking at least, where *counts* says how many are here of each
    block."""
    return whole.pieces - sum(min(count, whole.data(b)) for b, count in counts.items())


def join(whole: Whole, pieces: Pieces, limit: int) -> bytes:
    """What was cut up: at most *limit* octets.

    BadPayload, before more than that have been made, when there are more of them or they do not
    expand, or a reply has reply blocks for a receipt, which it may not; ValueError when pieces are
    lacking.
    """
    if whole.coding.receipt:
        raise BadPayload(Problem.CODING)
    if whole.coding is Coding.PLAIN:
        if whole.size > limit:
            raise BadPayload(Problem.SIZE)
        return b"".join(_coded(whole, pieces))
    return b"".join(deflate.inflate(_coded(whole, pieces), whole.size, limit))


def _coded(whole: Whole, pieces: Pieces) -> Iterator[bytes]:
    for block in range(whole.blocks):
        here, k, left = dict(pieces.get(block, {})), whole.data(block), whole.length(block)
        here |= erasure.recover(k, here)
        for number in range(k):
            yield here[number][:left]
            left = max(0, left - whole.piece)
