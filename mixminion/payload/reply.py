"""Replies: what goes into sealed replies, and what the owner of their reply blocks takes out.

Inside, a reply is the replier's octets and nothing else: as they are, deflated when that makes
them fit, or a fragment of them, of which each takes a reply block of its own.
"""

from __future__ import annotations

from mixminion.interfaces import Random
from mixminion.payload import deflate, fragments, frame
from mixminion.payload.errors import BadPayload, Problem, TooLarge
from mixminion.payload.fragments import Coding, Whole
from mixminion.payload.frame import Frame, Kind
from mixminion.sphinx import crossover, surb
from mixminion.sphinx.geometry import TAG, Geometry
from mixminion.sphinx.surb import Surb, SurbKey

INSIDE = frozenset({Kind.REPLY, Kind.DEFLATED, Kind.FRAGMENT})
"""The kinds of frames in a sealed reply."""

CODINGS = frozenset({Coding.PLAIN, Coding.DEFLATED})
"""The codings of fragments there."""


def capacity(geometry: Geometry) -> int:
    """The most octets that one reply carries as they are."""
    return geometry.sealed - TAG - frame.HEAD


def piece_length(geometry: Geometry) -> int:
    """The most octets of a piece that one reply carries; below
    :data:`~mixminion.payload.fragments.LEAST_PIECE` it carries none."""
    return capacity(geometry) - fragments.HEAD


# -- the replier -----------------------------------------------------------------------------


def single(geometry: Geometry, content: bytes) -> Frame | None:
    """The frame of a reply that one reply block is enough for; None when *content* does not fit."""
    room = capacity(geometry)
    if len(content) <= room:
        return Frame(Kind.REPLY, content)
    if len(content) <= deflate.RATIO * room:
        size = deflate.deflated_size([content], len(content))
        if size is not None and size <= room:
            return Frame(Kind.DEFLATED, b"".join(deflate.deflate([content], len(content))))
    return None


def seal(geometry: Geometry, block: Surb, inside: Frame, random: Random) -> bytes:
    """A body for :func:`mixminion.sphinx.build.crossover` that answers *block* with *inside*;
    ValueError when that does not fit."""
    octets = frame.encode(inside.kind, inside.content, geometry.sealed - TAG, random)
    sealed = crossover.seal(geometry, block, octets, random)
    return frame.encode(Kind.CROSSOVER, sealed, geometry.body, random)


def to_body(geometry: Geometry, block: Surb, content: bytes, random: Random) -> bytes:
    """The same for all of *content*; TooLarge with the sizes when it takes several blocks."""
    inside = single(geometry, content)
    if inside is None:
        raise TooLarge(size=len(content), limit=capacity(geometry))
    return seal(geometry, block, inside, random)


def allot(whole: Whole, packets: int) -> list[list[int]]:
    """The numbers of the pieces that are sent of each block of *whole* in so many *packets* at
    most: every piece of data, then repair pieces, in turn for each block, as long as there are
    packets and they are of use.

    ValueError when there are not enough for the data.
    """
    counts = [whole.data(block) for block in range(whole.blocks)]
    most = [fragments.enough(k) for k in counts]
    left = packets - whole.pieces
    if left < 0:
        raise ValueError(f"{packets} packets do not carry {whole.pieces} pieces")
    while left and counts != most:
        for block, count in enumerate(counts):
            if left and count < most[block]:
                counts[block] += 1
                left -= 1
    return [list(range(count)) for count in counts]


# -- the owner -------------------------------------------------------------------------------


def unseal(geometry: Geometry, key: SurbKey, payload: bytes) -> Frame | None:
    """The frame, of a kind :data:`INSIDE`, in the sealed *payload* that arrived for the reply
    block of *key*; None when it is not what the replier sealed."""
    inside = surb.open(geometry, key, payload)
    if inside is None:
        return None
    try:
        found = frame.parse(inside)
    except BadPayload:
        return None
    return found if found.kind in INSIDE else None


def content(found: Frame, limit: int) -> bytes:
    """The replier's octets from the frame of a reply in one part: at most *limit*.

    BadPayload, before more than that have been made, when there are more of them or they are
    not what they should be; ValueError for a fragment.
    """
    match found.kind:
        case Kind.REPLY:
            if len(found.content) > limit:
                raise BadPayload(Problem.SIZE)
            return found.content
        case Kind.DEFLATED:
            return b"".join(deflate.inflate([found.content], len(found.content), limit))
    raise ValueError("a fragment is not all of a reply")


def open(geometry: Geometry, key: SurbKey, payload: bytes) -> bytes | None:
    """The content of a reply in one part; None when *payload* is none."""
    found = unseal(geometry, key, payload)
    if found is None or found.kind is Kind.FRAGMENT:
        return None
    try:
        return content(found, deflate.RATIO * capacity(geometry))
    except BadPayload:
        return None
