"""The parts of a MIME message (RFC 2045, 2046), as places in its octets.

The standard library's parser gives parts that are not written again as they were read.  This
one gives spans, so that whoever changes one part leaves every other octet alone.  It never
fails: what it cannot read with certainty is one part that is closed, in which nobody may
change anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixminion.mail import fields
from mixminion.mail.errors import NotAMessage
from mixminion.mail.fields import Field, Raw

DEEPEST = 16
MOST_PARTS = 1000
IDENTITY_ENCODINGS = frozenset({"", "7bit", "8bit", "binary"})

_TYPE = re.compile(r"[ \t]*([^\s/;()\"]+/[^\s/;()\"]+)[ \t]*")
_PARAMETER = re.compile(r';[ \t]*([^\s=;()"]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s;()"]+)[ \t]*')
_REST = re.compile(rb"(--)?[ \t]*(?:\r\n|\Z)")
_SEALED = frozenset({"multipart/signed", "multipart/encrypted"})
_VOUCHED = ("dkim-signature", "arc-message-signature")


@dataclass(frozen=True, slots=True)
class ContentType:
    """What a Content-Type says, names and type in lower case."""

    type: str
    parameters: dict[str, str]

    @property
    def composite(self) -> bool:
        """Whether its body may have parts in it."""
        return self.type.startswith(("multipart/", "message/"))


TEXT = ContentType("text/plain", {})
_MESSAGE = ContentType("message/rfc822", {})


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message; numbers are places in the octets of the whole body.

    The header is ``octets[head:head_end]``, whole lines without the empty one; the body
    ``octets[start:stop]``.  The root's header is not among the octets: its span is empty.
    *closed* parts are signed, encrypted, or not to be read with certainty: nothing in them,
    nor their own header, may be changed.
    """

    head: int
    head_end: int
    start: int
    stop: int
    content_type: ContentType
    encoding: str
    closed: bool = False
    children: tuple[Part, ...] = ()

    def all(self) -> Iterator[Part]:
        """This part and those in it, outer ones first."""
        yield self
        for child in self.children:
            yield from child.all()


def walk(header: Sequence[Field], body: bytes) -> Part:
    """The parts of the message with *header* and the canonical *body*."""
    raw = [Raw(field.name, field.value) for field in header]
    return _Walk(body).part(raw, (0, 0, 0, len(body)), TEXT, DEEPEST)


def content_type(value: str) -> ContentType | None:
    """A Content-Type's value; None where it does not say one thing clearly."""
    start = _TYPE.match(value)
    if start is None:
        return None
    parameters: dict[str, str] = {}
    at = start.end()
    while match := _PARAMETER.match(value, at):
        name, text = match[1].lower(), match[2]
        if name in parameters:
            return None
        parameters[name] = re.sub(r"\\(.)", r"\1", text[1:-1]) if text[0] == '"' else text
        at = match.end()
    if value[at:].strip(" \t;"):
        return None
    return ContentType(start[1].lower(), parameters)


class _Walk:
    """One walk over one body."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._left = MOST_PARTS

    def part(
        self,
        header: Sequence[Raw] | None,
        span: tuple[int, int, int, int],
        default: ContentType,
        depth: int,
    ) -> Part:
        """The part with *header* (None: unreadable) in *span* and whatever is in it."""
        said = None if header is None else _said(header, default)
        if said is None or header is None:
            return Part(*span, TEXT, "", closed=True)
        kind, encoding = said
        if kind.type in _SEALED or _vouched(header):
            return Part(*span, kind, encoding, closed=True)
        if not kind.composite or encoding not in IDENTITY_ENCODINGS:
            closed = kind.type.startswith("multipart/")
            return Part(*span, kind, encoding, closed=closed)
        children = self._children(kind, span[2], span[3], depth - 1) if depth else ()
        return Part(*span, kind, encoding, closed=not children, children=children)

    def _children(self, kind: ContentType, start: int, stop: int, depth: int) -> tuple[Part, ...]:
        if kind.type == _MESSAGE.type:
            return (self._below(start, stop, TEXT, depth),)
        boundary = kind.parameters.get("boundary", "")
        if not kind.type.startswith("multipart/") or not boundary:
            return ()
        spans = self._between(boundary.encode("latin-1", "replace"), start, stop)
        self._left -= len(spans)
        if self._left < 0:
            return ()
        default = _MESSAGE if kind.type == "multipart/digest" else TEXT
        return tuple(self._below(*span, default, depth) for span in spans)

    def _between(self, boundary: bytes, start: int, stop: int) -> list[tuple[int, int]]:
        """Where the parts of a multipart are, one more than are taken at most; the line end
        before a delimiter belongs to it."""
        octets, delimiter = self._octets, b"--" + boundary
        at = start if octets.startswith(delimiter, start, stop) else -1
        if at < 0:
            at = _next(octets, delimiter, start, stop)
        spans: list[tuple[int, int]] = []
        begun = -1
        while at >= 0 and len(spans) <= MOST_PARTS:
            line = _REST.match(octets, at + len(delimiter), stop)
            if line is not None:
                if begun >= 0:
                    spans.append((begun, max(begun, at - 2)))
                begun = line.end()
                if line[1]:
                    return spans
            at = _next(octets, delimiter, at, stop)
        return [*spans, (begun, stop)] if begun >= 0 else spans

    def _below(self, start: int, stop: int, default: ContentType, depth: int) -> Part:
        """The part, or the enclosed message, in ``octets[start:stop]``."""
        octets = self._octets
        if octets.startswith(b"\r\n", start, stop):
            head_end, body = start, start + 2
        else:
            at = octets.find(b"\r\n\r\n", start, min(stop, start + fields.MOST_HEADER + 4))
            if at < 0:
                return self.part(None, (start, start, start, stop), default, depth)
            head_end, body = at + 2, at + 4
        try:
            header, _ = fields.read(octets[start:head_end] + b"\r\n")
        except NotAMessage:
            return self.part(None, (start, head_end, body, stop), default, depth)
        return self.part(header, (start, head_end, body, stop), default, depth)


def _next(octets: bytes, delimiter: bytes, start: int, stop: int) -> int:
    """Where the next line begins that begins with *delimiter*; -1 if there is none."""
    found = octets.find(b"\r\n" + delimiter, start, stop)
    return found + 2 if found >= 0 else -1


def _said(header: Sequence[Raw], default: ContentType) -> tuple[ContentType, str] | None:
    """Type and transfer encoding by a header; None when it does not say one thing."""
    types = [raw.value for raw in header if raw.name.lower() == "content-type"]
    encodings = [
        raw.value.lower() for raw in header if raw.name.lower() == "content-transfer-encoding"
    ]
    if len(types) > 1 or len(encodings) > 1:
        return None
    kind = content_type(types[0]) if types else default
    return None if kind is None else (kind, encodings[0] if encodings else "")


def _vouched(header: Sequence[Raw]) -> bool:
    return any(raw.name.lower() in _VOUCHED for raw in header)
