"""What "identical" means (``doc/spec/exits.rst``), checked by the standard library's parser.

This is the reader's side: nothing of our own is used to read the mails.
"""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator, Sequence
from email.header import decode_header, make_header
from email.message import Message
from email.utils import collapse_rfc2231_value, getaddresses

ORDER = [
    *("From", "Reply-To", "To", "Cc", "Newsgroups", "Followup-To", "Subject", "Date", "Message-ID"),
    *("In-Reply-To", "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    *("Content-Disposition", "Content-Description", "Content-ID", "Content-Language"),
]
_BY_SERVERS = {"Return-Path", "X-Original-To", "Delivered-To", "Received"}


def differences(
    sent: bytes, arrived: bytes, footer: str = "", *, seven_bit: bool = False
) -> list[str]:
    """Everything in which *arrived* is not what the specification says of *sent*; both whole."""
    if sent.startswith(b"From "):
        sent = sent.partition(b"\n")[2]
    before, after = _read(canonical(sent)), _read(arrived)
    found = [*_header(before, after)]
    expected = footer.replace("\n", "\r\n") + "\r\n" if footer else ""
    if footer and after.get_content_type() == "multipart/mixed" and _own(after):
        parts = _inside(after)
        if len(parts) != 2 or _text(parts[1]) != expected:
            found.append("the footer is not the second of two parts")
        after, expected = parts[0], ""
    if seven_bit and not arrived.isascii():
        found.append("it has eight bits")
    if max(map(len, arrived.split(b"\r\n"))) > 998 or b"\0" in arrived:
        found.append("it cannot travel")
    return [*found, *_parts(before, after, expected, "")]


def canonical(octets: bytes) -> bytes:
    lines = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return (lines if lines.endswith(b"\n") or not lines else lines + b"\n").replace(b"\n", b"\r\n")


def _read(octets: bytes) -> Message:
    """The message, raw UTF-8 in its headers read as text."""
    message = email.message_from_bytes(octets, policy=email.policy.compat32)
    for part in message.walk():
        written = list(part.raw_items())
        for name, _ in written:
            del part[name]
        for name, value in written:
            part.set_raw(name, _plain(value))
    return message


def _own(message: Message) -> bool:
    return str(message.get_param("boundary")).startswith("=_")


def _header(before: Message, after: Message) -> Iterator[str]:
    names = [name for name in after if name not in _BY_SERVERS]
    if names != [name for name in ORDER if name in names]:
        yield f"header fields are {names}"
    if not str(after["From"]).startswith("Anonymous <anonymous@"):
        yield f"it is from {after['From']}"
    if _fields(before, "Subject") != _fields(after, "Subject"):
        yield f"the subject is {after['Subject']!r}"
    for name in ("To", "Cc"):
        if _people(before, name) != _people(after, name):
            yield f"{name} is {after[name]!r}"
    for name in ("References", "In-Reply-To"):
        if (before[name] or "").replace("><", "> <").split() != (after[name] or "").split():
            yield f"{name} is {after[name]!r}"


def _parts(before: Message, after: Message, footer: str, at: str) -> Iterator[str]:
    """What differs from part to part; *footer* is written below the only one there is."""
    kind = before.get_content_type()
    if _parameters(before) != _parameters(after):
        yield f"part {at}: the type is {after['Content-Type']!r}"
    if at and _others(before) != _others(after):
        yield f"part {at}: header {_others(after)}"
    if before.is_multipart() != after.is_multipart():
        yield f"part {at}: {kind} became {after.get_content_type()}"
    elif before.is_multipart():
        if (before.preamble, before.epilogue or "") != (after.preamble, after.epilogue or ""):
            yield f"part {at}: what stands around the parts"
        ours, theirs = _inside(before), _inside(after)
        if len(ours) != len(theirs):
            yield f"part {at}: {len(theirs)} parts"
        for n, (one, other) in enumerate(zip(ours, theirs, strict=False), start=1):
            yield from _parts(one, other, "", f"{at}.{n}")
    else:
        yield from _leaf(_decoded(before), _decoded(after), footer.encode(), at)


def _leaf(before: bytes, after: bytes, footer: bytes, at: str) -> Iterator[str]:
    if footer:
        end = b"" if not before or before.endswith(b"\n") else b"\r\n"
        before += end + b"-- \r\n" + footer
    if before != after:
        place = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), -1)
        yield f"part {at}: octets differ at {place} of {len(before)} and {len(after)}"


def _decoded(part: Message) -> bytes:
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets


def _inside(part: Message) -> list[Message]:
    inside = part.get_payload()
    assert isinstance(inside, list)
    return [each for each in inside if isinstance(each, Message)]


def _text(part: Message) -> str:
    return _decoded(part).decode(str(part.get_content_charset()))


def _parameters(part: Message) -> Sequence[tuple[str, str]]:
    found = part.get_params([("text/plain", "")]) or []
    return [(name.lower(), _plain(collapse_rfc2231_value(value))) for name, value in found]


def _others(part: Message) -> list[tuple[str, str]]:
    """The fields of a part but for type and encoding, file names and words decoded."""
    skipped = ("content-type", "content-transfer-encoding")
    name = part.get_filename()
    return [
        (field, _plain(name) if name and "isposition" in field else _shown(value))
        for field, value in part.raw_items()
        if field.lower() not in skipped
    ]


def _fields(message: Message, wanted: str) -> list[str]:
    """The field as it is shown, raw UTF-8 too; empty is as good as absent."""
    return [
        _shown(value) for name, value in message.raw_items() if name == wanted and value.strip()
    ]


def _shown(value: object) -> str:
    """A field as a reader shows it, blanks as one."""
    text = _plain("" if value is None else str(value))
    return " ".join(str(make_header(decode_header(text))).split())


def _plain(text: str) -> str:
    """Raw UTF-8 as text."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _people(message: Message, name: str) -> list[tuple[str, str]]:
    found = getaddresses([_plain(str(value)) for value in message.get_all(name, [])])
    return [(_shown(shown), address) for shown, address in found]
