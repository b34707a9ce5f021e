"""The frames by which a mailbox is fetched, to the octet (doc/spec/mailbox.rst)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from struct import Struct

from mixminion.mmtp.errors import BadFrame, WrongFetchVersion

VERSION = 1
REQUEST_LENGTH = 128
HEADER_LENGTH = 48  #: of a frame towards the client, before the piece
HANDLE = 16
EXPORTER = b"EXPORTER-mmtp-fetch/1"
EXPORTED = 32

_LABEL = b"mmtp-fetch/1"
_REQUEST = Struct(">BBHIQ32s64s16s")  # kind, version, zeros, sequence, item, key, signature, zeros
_ANSWER = Struct(">BBHIQIIQ16s")  # kind, reason, version, sequence, item, length, offset, date...
_NOTHING = bytes(HANDLE)
_REPLY = 1


class Request(enum.IntEnum):
    """Kinds of frames from the client."""

    OPEN = 1  #: this is the mailbox and the proof; send a frame
    NEXT = 2  #: send a frame
    DONE = 3  #: that was all


class Kind(enum.IntEnum):
    """Kinds of frames from the server."""

    PIECE = 1
    EMPTY = 2
    CLOSING = 3


class Closing(enum.IntEnum):
    """Why a session ends."""

    DONE = 1  #: the client has said so
    OVER = 2  #: it has lasted as long as a session may
    IDLE = 3  #: nothing came for a while
    STOPPING = 4  #: the server stops
    BROKEN = 5  #: the client broke the protocol
    NOT_PROVED = 6  #: the signature is not the mailbox's
    BUSY = 7  #: too many sessions, or a disk that does not answer


@dataclass(frozen=True, slots=True)
class Asked:
    """One frame from the client; *taken* is an item that it has safe, 0 for none."""

    kind: Request
    sequence: int
    taken: int
    capability: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """One frame from the server.

    Of a piece: its item, the item's *length*, *date* and *handle* (None for what is no reply),
    the piece's *offset* and its octets.  Of a closing frame *reason*, and as *length* how many
    items are still held.
    """

    kind: Kind
    sequence: int
    reason: int = 0
    item: int = 0
    length: int = 0
    offset: int = 0
    date: int = 0
    handle: bytes | None = None
    octets: bytes = b""


def to_sign(identity: bytes, exported: bytes) -> bytes:
    """What proves a mailbox to the server of *identity* in the session of *exported*."""
    return _LABEL + identity + exported


def request(
    kind: Request,
    sequence: int,
    taken: int = 0,
    capability: bytes = bytes(32),
    signature: bytes = bytes(64),
) -> bytes:
    """128 octets towards the server."""
    return _REQUEST.pack(kind, VERSION, 0, sequence, taken, capability, signature, bytes(16))


def parse_request(octets: bytes) -> Asked:
    """Read 128 octets; :class:`BadFrame`, :class:`WrongFetchVersion`."""
    kind, version, zeros, sequence, taken, capability, signature, more = _REQUEST.unpack(octets)
    if version != VERSION:
        raise WrongFetchVersion(version=version)
    if not Request.OPEN <= kind <= Request.DONE:
        raise BadFrame(problem="a request of unknown kind")
    unused = taken if kind == Request.OPEN else any(capability) or any(signature)
    if zeros or any(more) or unused:
        raise BadFrame(problem="a request with more than belongs there")
    return Asked(Request(kind), sequence, taken, capability, signature)


def answer(frame: Answer, packet_length: int) -> bytes:
    """As many octets as a packet has, towards the client."""
    reply = frame.handle is not None
    head = _ANSWER.pack(
        frame.kind,
        _REPLY if reply else frame.reason,
        VERSION,
        frame.sequence,
        frame.item,
        frame.length,
        frame.offset,
        frame.date,
        frame.handle or _NOTHING,
    )
    return (head + frame.octets).ljust(packet_length, b"\0")


def parse_answer(octets: bytes) -> Answer:
    """Read a frame; :class:`BadFrame`, :class:`WrongFetchVersion`."""
    kind, reason, version, sequence, *fields = _ANSWER.unpack_from(octets)
    item, length, offset, date, handle = fields
    if version != VERSION:
        raise WrongFetchVersion(version=version)
    if kind == Kind.PIECE:
        size = min(length - offset, len(octets) - HEADER_LENGTH)
        if reason > _REPLY or (not reason and handle != _NOTHING):
            raise BadFrame(problem="neither a message nor a reply")
        if not item or size < 0 or (not size and length):
            raise BadFrame(problem="a piece of nothing")
        piece, rest = octets[HEADER_LENGTH : HEADER_LENGTH + size], octets[HEADER_LENGTH + size :]
        found = Answer(
            Kind.PIECE,
            sequence,
            item=item,
            length=length,
            offset=offset,
            date=date,
            handle=handle if reason else None,
            octets=piece,
        )
    elif kind == Kind.CLOSING:
        found, rest = Answer(Kind.CLOSING, sequence, _reason(reason), length=length), b""
    elif kind == Kind.EMPTY:
        found, rest = Answer(Kind.EMPTY, sequence), b""
    else:
        raise BadFrame(problem="an answer of unknown kind")
    if kind == Kind.PIECE:
        if rest.strip(b"\0"):
            raise BadFrame(problem="a piece with more than belongs there")
    elif octets != answer(found, len(octets)):
        raise BadFrame(problem="an answer with more than belongs there")
    return found


def _reason(number: int) -> Closing:
    try:
        return Closing(number)
    except ValueError:
        raise BadFrame(problem="an unknown reason") from None
