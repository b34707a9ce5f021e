"""Reply blocks in files and mails: written as text or octets, found in either.

Two forms (``doc/spec/reply-blocks.rst``): the blocks one behind the other, and that armored.  The
length of a block is its network's matter, and whoever reads a file may not know which network that
is; so blocks are told apart by how they begin, which nothing random does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixminion.mail import fields, mime, transfer
from mixminion.mail.errors import BadField, NotAMessage
from mixminion.mail.fields import Field
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
_BEGIN = re.compile(rf"([> \t]{{0,40}})-----BEGIN {KIND}-----[ \t]*")
_END = f"-----END {KIND}-----"
_LINE_END = re.compile(r"\r\n|\r|\n")
_DEEPEST = 8
_ABOUT_PARTS = frozenset({"content-type", "content-transfer-encoding"})


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
    for part in _parts(octets):
        if _HEAD.match(part):
            found |= dict.fromkeys(_split(part))
        else:
            found |= dict.fromkeys(_armored(part.decode("latin-1")))
    return list(found)


def _split(octets: bytes) -> Iterator[bytes]:
    starts = [match.start() for match in _HEAD.finditer(octets)]
    for start, stop in zip(starts, [*starts[1:], len(octets)], strict=True):
        yield octets[start:stop]


def _armored(text: str) -> Iterator[bytes]:
    """Blocks of the armored texts of our kind; other kinds may be as they like.  A text that
    somebody quoted has his marks before each of its lines."""
    marks = None
    inside: list[str] = []
    for line in _LINE_END.split(text):
        begin = _BEGIN.fullmatch(line)
        if begin is not None:
            if marks is not None:
                break
            marks, inside = begin[1], []
        if marks is None:
            continue
        inside.append(line.removeprefix(marks) if line.startswith(marks) else line.lstrip("> \t"))
        if inside[-1].rstrip(" \t") == _END:
            [block] = armor.decode("\n".join(inside))
            if not _HEAD.match(block.octets):
                raise BadArmor(why="there is no reply block in it")
            yield from _split(block.octets)
            marks = None
    if marks is not None:
        raise BadArmor(why="a reply block has no end")


def _parts(octets: bytes) -> Iterator[bytes]:
    """The contents of a mail's parts; of what is no mail, itself."""
    if octets.startswith(b"From "):
        octets = octets.partition(b"\n")[2]
    try:
        written, body = fields.read(octets)
        header = [raw.field() for raw in written if raw.name.lower() in _ABOUT_PARTS]
    except (NotAMessage, BadField):
        header = []
    if header:
        yield from _leaves(header, body, _DEEPEST)
    else:
        yield octets


def _leaves(header: Sequence[Field], body: bytes, depth: int) -> Iterator[bytes]:
    for part in mime.walk(header, body).all():
        if part.children:
            continue
        inside = body[part.start : part.stop]
        boundary = part.content_type.parameters.get("boundary")
        if boundary and depth:  # closed, because it is signed, say; here it is only read
            quoted = re.sub(r'(["\\])', r"\\\1", boundary)
            mixed = Field("Content-Type", f'multipart/mixed; boundary="{quoted}"')
            yield from _leaves([mixed], inside, depth - 1)
        else:
            decoded = transfer.decode(inside, part.encoding)
            yield inside if decoded is None else decoded
