"""Replies: what goes into a sealed reply, and what its owner takes out."""

from __future__ import annotations

from mixminion.interfaces import Random
from mixminion.payload import frame
from mixminion.payload.errors import BadPayload, TooLarge
from mixminion.sphinx import crossover, surb
from mixminion.sphinx.geometry import TAG, Geometry
from mixminion.sphinx.surb import Surb, SurbKey


def capacity(geometry: Geometry) -> int:
    """The most octets that one reply carries."""
    return geometry.sealed - TAG - frame.HEAD


def to_body(geometry: Geometry, block: Surb, content: bytes, random: Random) -> bytes:
    """A body for :func:`mixminion.sphinx.build.crossover` that answers *block* with *content*;
    TooLarge with the sizes."""
    limit = capacity(geometry)
    if len(content) > limit:
        raise TooLarge(size=len(content), limit=limit)
    inside = frame.encode(frame.Kind.REPLY, content, geometry.sealed - TAG, random)
    sealed = crossover.seal(geometry, block, inside, random)
    return frame.encode(frame.Kind.CROSSOVER, sealed, geometry.body, random)


def open(geometry: Geometry, key: SurbKey, payload: bytes) -> bytes | None:
    """The content of the sealed *payload* that arrived for the reply block of *key*; None when it
    is not what the replier sealed."""
    inside = surb.open(geometry, key, payload)
    if inside is None:
        return None
    try:
        found = frame.parse(inside)
    except BadPayload:
        return None
    return found.content if found.kind is frame.Kind.REPLY else None
