"""Header fields: reading them from what a sender wrote, and writing them.

Reading is strict and guesses nothing: fields, then an empty line, then the body.  Writing
gives every field one form, whatever the sender's program made, so that less of it shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mixminion.mail.data import LONGEST_LINE, canonical
from mixminion.mail.errors import BadField, NotAMessage

MOST_FIELDS = 200
MOST_HEADER = 131_072
_FOLD_AT = 76
_NAME = re.compile(r"[!-9;-~]{1,76}")
_END = re.compile(rb"\r\n|\r(?!\n)|\n")
_EMPTY_LINE = re.compile(rb"(?:\r\n|\r(?!\n)|\n){2}")


@dataclass(frozen=True, slots=True)
class Field:
    """One field; *value* is unfolded printable ASCII (tabs allowed), without outer blanks."""

    name: str
    value: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadField(name="(unreadable)", why="its name is not one")
        if not self.value.isascii():
            raise BadField(name=self.name, why="it is not ASCII; encode it as RFC 2047 says")
        if not self.value.replace("\t", " ").isprintable():
            raise BadField(name=self.name, why="it has control characters")

    def encode(self) -> bytes:
        """The field, folded at its own blanks where it is long, with CRLF."""
        lines = [f"{self.name}:"]
        for word in re.findall(r"[ \t]+[^ \t]*", " " + self.value):
            if len(lines[-1]) + len(word) > _FOLD_AT and (len(lines) > 1 or lines[0][-1] != ":"):
                lines.append(word)
            else:
                lines[-1] += word
        if max(map(len, lines)) > LONGEST_LINE:
            raise BadField(name=self.name, why="it has a word over 997 characters long")
        return "\r\n".join([*lines, ""]).encode("ascii")


@dataclass(frozen=True, slots=True)
class Raw:
    """A field as it was written: *value* is unfolded, without outer blanks, its octets read
    as Latin-1; it may hold anything but CR and LF."""

    name: str
    value: str

    def field(self) -> Field:
        """The same as a field that can leave; raises BadField."""
        return Field(self.name, self.value)


def split(content: bytes) -> tuple[list[Field], bytes]:
    """The fields in their order and the canonical body; raises NotAMessage, BadField."""
    written, body = read(content)
    return [raw.field() for raw in written], body


def read(content: bytes) -> tuple[list[Raw], bytes]:
    """The same without a look at the values, for headers of which not all leaves; raises
    NotAMessage."""
    if first := _END.match(content):
        return [], canonical(content, first.end())
    empty = _EMPTY_LINE.search(content)
    if empty is None:
        raise NotAMessage(why="there is no empty line between header and body")
    head = canonical(content[: empty.start()])[: -len(b"\r\n")]
    return _fields(head), canonical(content, empty.end())


def join(fields: Iterable[Field], body: bytes) -> bytes:
    """The whole message: fields, empty line, body."""
    return b"".join(field.encode() for field in fields) + b"\r\n" + body


def _fields(head: bytes) -> list[Raw]:
    if len(head) > MOST_HEADER:
        raise NotAMessage(why=f"its header has more than {MOST_HEADER} octets")
    unfolded: list[list[bytes]] = []
    for line in head.split(b"\r\n"):
        if not line.startswith((b" ", b"\t")):
            unfolded.append([line])
        elif not unfolded:
            raise NotAMessage(why="its first line is not a header field")
        elif line.strip(b" \t"):
            unfolded[-1].append(line)
    if len(unfolded) > MOST_FIELDS:
        raise NotAMessage(why=f"it has more than {MOST_FIELDS} header fields")
    return [_field(b"".join(lines)) for lines in unfolded]


def _field(line: bytes) -> Raw:
    name, colon, value = line.decode("latin-1").partition(":")
    name = name.rstrip(" \t")
    if not colon or not _NAME.fullmatch(name):
        raise NotAMessage(why="a line above the empty line is not a header field")
    return Raw(name, value.strip(" \t"))
