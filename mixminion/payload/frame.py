"""Frames: the outermost form of a body."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from mixminion.interfaces import Random
from mixminion.payload.errors import BadPayload, Problem

VERSION = 1

_HEAD = struct.Struct(">BBHL")
HEAD = _HEAD.size


class Kind(IntEnum):
    """What a frame is for."""

    MESSAGE = 1
    FRAGMENT = 2
    COVER = 3
    CROSSOVER = 4
    REPLY = 5
    DEFLATED = 6


_KINDS = frozenset(Kind)


@dataclass(frozen=True, slots=True)
class Frame:
    """A kind and its content."""

    kind: Kind
    content: bytes


def encode(kind: Kind, content: bytes, size: int, random: Random) -> bytes:
    """A frame of *size* octets; ValueError when *content* does not fit."""
    fill = size - HEAD - len(content)
    if fill < 0:
        raise ValueError(f"a frame of {size} octets has room for {size - HEAD}")
    return _HEAD.pack(VERSION, kind, 0, len(content)) + content + random.octets(fill)


def parse(octets: bytes) -> Frame:
    """The frame that fills *octets*; BadPayload when there is none."""
    if len(octets) < HEAD:
        raise BadPayload(Problem.SHORT)
    version, kind, zeros, length = _HEAD.unpack_from(octets)
    if version != VERSION:
        raise BadPayload(Problem.VERSION)
    if kind not in _KINDS:
        raise BadPayload(Problem.KIND)
    if zeros:
        raise BadPayload(Problem.ZEROS)
    if length > len(octets) - HEAD:
        raise BadPayload(Problem.LENGTH)
    return Frame(Kind(kind), octets[HEAD : HEAD + length])
