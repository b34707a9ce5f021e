"""Reply blocks in files and mails: written as text or octets, found in either.

Two forms (``doc/spec/reply-blocks.rst``): the blocks one behind the other, and that armored.  The
length of a block is its network's matter, and whoever reads a file may not know which network that
is; so blocks are told apart by how they begin, which nothing random does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixminion.client import texts
from mixminion.sphinx import suites
from mixminion.sphinx.errors import BadSurb
from mixminion.sphinx.surb import VERSION
from mixminion.util import armor, times
from mixminion.util.armor import BadArmor

KIND = "MIXMINION REPLY BLOCK"

_HEAD = re.compile(
    # version, suite, digest, two dates below 2**40, and the AD that begins the header: ten octets
    # of 28 are as they must be, by accident once in 2**80
    rb"%c([\x01\x02])(.{8})\0{3}(.{5})\0{3}(.{5})\x02\1" % VERSION,
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Head:
    """What a block says of itself, whatever network it is for.  Dates are Unix seconds."""

    suite: str
    digest: bytes  #: the first 8 octets of its geometry's
    not_before: int
    not_after: int


def head(block: bytes) -> Head:
    """How *block* begins; BadSurb when it is none."""
    found = _HEAD.match(block)
    if found is None:
        raise BadSurb(problem="it does not begin as one")
    code, digest, first, last = found.groups()
    not_before, not_after = int.from_bytes(first), int.from_bytes(last)
    if not_before > not_after:
        raise BadSurb(problem="it ends before it begins")
    return Head(suites.by_code(code[0]).name, digest, not_before, not_after)


def encode(blocks: Sequence[bytes]) -> str:
    """All of them as one armored text; the dates above it are for people."""
    heads = [head(block) for block in blocks]
    begins = min(each.not_before for each in heads)
    ends = max(each.not_after for each in heads)
    valid = " to ".join(times.to_text(min(date, times.LAST)) for date in (begins, ends))
    return armor.encode(KIND, {"Valid": valid}, b"".join(blocks))


def find(octets: bytes) -> list[bytes]:
    """Every block in a file, each once, in its order: of octets that are blocks and nothing else,
    of armored texts with anything around them, and in the parts of a mail.

    They may be for any network: :meth:`mixminion.sphinx.surb.Surb.decode` looks.

    :raises BadArmor: a text is damaged.
    """
    if _HEAD.match(octets):
        return list(dict.fromkeys(_split(octets)))
    found: dict[bytes, None] = {}
    for part in texts.parts(octets):
        if _HEAD.match(part):
            found |= dict.fromkeys(_split(part))
        else:
            for block in texts.armored(part.decode("latin-1"), KIND):
                if not _HEAD.match(block):
                    raise BadArmor(why="there is no reply block in it")
                found |= dict.fromkeys(_split(block))
    return list(found)


def _split(octets: bytes) -> Iterator[bytes]:
    starts = [match.start() for match in _HEAD.finditer(octets)]
    for start, stop in zip(starts, [*starts[1:], len(octets)], strict=True):
        yield octets[start:stop]
