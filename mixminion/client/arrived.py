"""What is in a file that came: sealed replies and messages, in whatever they were delivered.

Exits deliver replies as armored text in a mail, or as a mail whose body is the sealed payload and
whose header has the handle (doc/spec/exits.rst); messages armored, or as they are.  A file may be
one mail, a folder of several in mbox form, such a text by itself, or a sealed payload whose name
has its handle.  Nothing here opens anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz

from mixminion.client import texts
from mixminion.client.reply_errors import Undecodable
from mixminion.mail import compose, fields, handle, transfer
from mixminion.mail.errors import NotAMessage
from mixminion.mail.fields import Raw
from mixminion.sphinx.slots import SURB_ID
from mixminion.util import armor
from mixminion.util.armor import BadArmor

MESSAGE_KIND = "MIXMINION MESSAGE"
"""The armor in which some exits deliver messages."""

_KINDS = (compose.REPLY_KIND, MESSAGE_KIND)
_BEGIN = re.compile(rf"-----BEGIN ({'|'.join(_KINDS)})-----[ \t]*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_SEPARATOR = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From [^\r\n]+\r?\n")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_HANDLE = re.compile(rf"[0-9a-f]{{{2 * SURB_ID}}}")
_FILE_NAME = re.compile(rf"(?:[0-9]+-)?([0-9a-f]{{{2 * SURB_ID}}})\.reply")


@dataclass(frozen=True, slots=True)
class Sealed:
    """The sealed *payload* that came for the reply block of *handle*; *date* in Unix seconds."""

    handle: bytes
    payload: bytes
    date: int | None = None


@dataclass(frozen=True, slots=True)
class Plain:
    """A message as it was sent, or whatever else the file is."""

    content: bytes
    date: int | None = None


@dataclass(frozen=True, slots=True)
class Damaged:
    """Something that claims to be one of our forms."""

    error: Undecodable
    date: int | None = None


Item = Sealed | Plain | Damaged


def handle_of(name: str) -> bytes | None:
    """The handle in the name of a file of a reply that came to a mailbox."""
    found = _FILE_NAME.fullmatch(name)
    return None if found is None else bytes.fromhex(found[1])


def read(octets: bytes) -> list[Item]:
    """What a file has in it, in its order; of what has none of our forms, itself."""
    separators = list(_SEPARATOR.finditer(octets)) if octets.startswith(b"From ") else []
    if not separators:
        return list(_mail(octets))
    stops = [each.start() for each in separators[1:]] + [len(octets)]
    mails = [octets[each.end() : stop] for each, stop in zip(separators, stops, strict=True)]
    return [item for mail in mails for item in _mail(_QUOTED.sub(rb"\1", mail))]


def _mail(octets: bytes) -> Iterator[Item]:
    header, body = _header(octets)
    date = _date(header)
    named = [raw.value.strip().lower() for raw in header if raw.name.lower() == _FIELD]
    if named:
        yield _attached(named, header, body, date)
        return
    found = [item for text in texts.parts(octets) for item in _armored(text, date)]
    yield from found or [Plain(octets, date)]


_FIELD = handle.FIELD.lower()


def _header(octets: bytes) -> tuple[Sequence[Raw], bytes]:
    """Header and body; of what is no mail all is body."""
    try:
        return fields.read(octets)
    except NotAMessage:
        return (), octets


def _date(header: Sequence[Raw]) -> int | None:
    for raw in header:
        if raw.name.lower() == "date":
            try:
                parsed = parsedate_tz(raw.value)
                return None if parsed is None else max(0, mktime_tz(parsed))
            except (ValueError, OverflowError):
                return None
    return None


def _attached(named: Sequence[str], header: Sequence[Raw], body: bytes, date: int | None) -> Item:
    encodings = [
        raw.value.strip().lower()
        for raw in header
        if raw.name.lower() == "content-transfer-encoding"
    ]
    payload = transfer.decode(body, encodings[0] if encodings else "")
    if len(named) != 1 or not _HANDLE.fullmatch(named[0]):
        return Damaged(Undecodable(why=f"its field {handle.FIELD} has no handle in it"), date)
    if payload is None:
        return Damaged(Undecodable(why="the encoding of its body cannot be read"), date)
    return Sealed(bytes.fromhex(named[0]), payload, date)


def _armored(octets: bytes, date: int | None) -> Iterator[Item]:
    """The armored texts of our kinds; what stands around them, and other kinds, is left."""
    if b"-----BEGIN MIXMINION" not in octets:
        return
    kind: str | None = None
    inside: list[str] = []
    for line in _LINE_END.split(octets.decode("latin-1")):
        begin = _BEGIN.fullmatch(line)
        if begin is not None:
            if kind is not None:
                yield Damaged(Undecodable(why="an armored text has no end"), date)
            kind, inside = begin[1], []
        if kind is None:
            continue
        inside.append(line)
        if line.rstrip(" \t") == f"-----END {kind}-----":
            yield _item("\n".join(inside), date)
            kind = None
    if kind is not None:
        yield Damaged(Undecodable(why="an armored text has no end"), date)


def _item(text: str, date: int | None) -> Item:
    try:
        [block] = armor.decode(text)
    except BadArmor as error:
        return Damaged(Undecodable(why=error.fields["why"]), date)
    if block.kind == MESSAGE_KIND:
        return Plain(block.octets, date)
    named = block.headers.get("SURB-ID", "").lower()
    if not _HANDLE.fullmatch(named):
        return Damaged(Undecodable(why="its header SURB-ID has no handle in it"), date)
    return Sealed(bytes.fromhex(named), block.octets, date)
