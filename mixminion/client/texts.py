"""What somebody was sent, as he has it: armored blocks in texts, in mails, quoted or not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mixminion.mail import fields, mime, transfer
from mixminion.mail.errors import BadField, NotAMessage
from mixminion.mail.fields import Field
from mixminion.util import armor
from mixminion.util.armor import BadArmor

_LINE_END = re.compile(r"\r\n|\r|\n")
_DEEPEST = 8
_ABOUT_PARTS = frozenset({"content-type", "content-transfer-encoding"})


def armored(text: str, kind: str) -> Iterator[bytes]:
    """What stands in the armored texts of that *kind*; other kinds may be as they like.  A text
    that somebody quoted has his marks before each of its lines.

    :raises BadArmor: one is damaged, or has no end.
    """
    opening = re.compile(rf"([> \t]{{0,40}})-----BEGIN {kind}-----[ \t]*")
    end = f"-----END {kind}-----"
    marks = None
    inside: list[str] = []
    for line in _LINE_END.split(text):
        begin = opening.fullmatch(line)
        if begin is not None:
            if marks is not None:
                break
            marks, inside = begin[1], []
        if marks is None:
            continue
        inside.append(line.removeprefix(marks) if line.startswith(marks) else line.lstrip("> \t"))
        if inside[-1].rstrip(" \t") == end:
            [block] = armor.decode("\n".join(inside))
            yield block.octets
            marks = None
    if marks is not None:
        raise BadArmor(why=f"a {kind.removeprefix('MIXMINION ').lower()} has no end")


def parts(octets: bytes) -> Iterator[bytes]:
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
