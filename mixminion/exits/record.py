"""A message as it is stored between its release and the end of its hand-over.

``version 01 | reply 1 | date 8 | SURB id 16 | length 1, Message-ID | length 1, exit name |
count 1 | (length 2, recipient)* | content``; without a reply the SURB id is zeros.  In version 02
the content is as it came, deflated, so that a record is never larger than its packet.  See
``doc/spec/exits.rst``.
"""

from __future__ import annotations

import struct

from mixminion.errors import Fault
from mixminion.interfaces import Message
from mixminion.payload import message as messages
from mixminion.payload.errors import BadPayload

VERSION = 1
DEFLATED = 2

_HEAD = struct.Struct(">BBQ16s")
_NO_SURB = bytes(16)


class BadRecord(Fault):
    """A stored record is not one of ours."""

    code = "bad-record"
    sentence = "A stored message cannot be read; please report it."


def encode(message: Message, deflated: bytes | None = None) -> bytes:
    """The record of *message*, with what came as *deflated* instead of its content."""
    reply = message.surb_id is not None
    version = VERSION if deflated is None else DEFLATED
    parts = [_HEAD.pack(version, reply, message.date, message.surb_id or _NO_SURB)]
    for text in (message.message_id, message.exit):
        parts.append(_sized(text, 1))
    parts.append(len(message.recipients).to_bytes(1))
    parts += [_sized(recipient, 2) for recipient in message.recipients]
    return b"".join([*parts, message.content if deflated is None else deflated])


def decode(record: bytes) -> Message:
    """The message of a record; raises :class:`BadRecord`."""
    try:
        version, reply, date, surb_id = _HEAD.unpack_from(record)
        if version not in (VERSION, DEFLATED) or reply > 1:
            raise BadRecord
        message_id, at = _text(record, _HEAD.size, 1)
        exit, at = _text(record, at, 1)
        count, at = record[at], at + 1
        recipients = []
        for _ in range(count):
            recipient, at = _text(record, at, 2)
            recipients.append(recipient)
        content = record[at:]
        if version == DEFLATED:
            _, _, content = messages.parse(messages.expand(content))
    except (struct.error, IndexError, UnicodeDecodeError, BadPayload):
        raise BadRecord from None
    return Message(exit, tuple(recipients), content, surb_id if reply else None, message_id, date)


def _sized(text: str, octets: int) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(octets) + encoded


def _text(record: bytes, at: int, octets: int) -> tuple[str, int]:
    start = at + octets
    end = start + int.from_bytes(record[at:start])
    if len(record) < end or len(record) < start:
        raise IndexError
    return record[start:end].decode(), end
