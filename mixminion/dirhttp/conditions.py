"""What a request's header fields ask for: compression, and a part instead of the whole
(RFC 9110 12.5.3, 13.1.5, 14)."""

from __future__ import annotations

import re
from enum import Enum

_CODING = re.compile(
    rb"\s*([!-+\--:<-~]+)\s*(?:;\s*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*)?", re.ASCII
)
_RANGE = re.compile(rb"bytes=\s*([0-9]{0,15})-([0-9]{0,15})\s*", re.ASCII)


def accepts_gzip(field: bytes | None) -> bool:
    """Whether an ``Accept-Encoding`` allows gzip, by name or by a star; one that is malformed
    does not."""
    weights: dict[bytes, float] = {}
    for part in (field or b"").lower().split(b","):
        match = _CODING.fullmatch(part)
        if match is None and part.strip():
            return False
        if match is not None:
            weights[match[1]] = float(match[2] or 1)
    return weights.get(b"gzip", weights.get(b"*", 0)) > 0


class Beyond(Enum):
    """The range that was asked for has nothing in it."""

    BEYOND = "beyond"


def part_of(field: bytes | None, length: int) -> tuple[int, int] | Beyond | None:
    """The first octet and the one after the last that a ``Range`` asks for, of so many; None
    for the whole, also where the field is malformed or asks for several parts."""
    match = _RANGE.fullmatch(field or b"")
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        last = int(match[2])
        return (max(0, length - last), length) if last and length else Beyond.BEYOND
    first = int(match[1])
    end = min(length, int(match[2]) + 1) if match[2] else length
    if match[2] and int(match[2]) < first:
        return None
    return (first, end) if first < length else Beyond.BEYOND
