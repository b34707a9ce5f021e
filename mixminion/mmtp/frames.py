"""The frames of MMTP, to the octet (doc/spec/mmtp.rst)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from struct import Struct

from mixminion.mmtp.errors import BadFrame, WrongVersion

VERSION = 2
HEADER_LENGTH = 8  #: before the packet of a frame towards the server
ANSWER_LENGTH = 16

_HEADER = Struct(">II")  # kind and three zeros, sequence
_ANSWER = Struct(">BBHIII")  # kind, reason, version, sequence, window, zeros
_PACKET = 1 << 24
_PADDING = 2 << 24


class Kind(enum.IntEnum):
    """Kinds of answers."""

    ACCEPTED = 0
    RECEIVED = 1
    REFUSED = 2
    CLOSING = 3


class Closing(enum.IntEnum):
    """Why a server ends a session."""

    OVER = 1  #: it has lasted as long as a session may
    IDLE = 2  #: nothing came for a while
    STOPPING = 3  #: the server stops
    BROKEN = 4  #: the client broke the protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """One frame from the server."""

    kind: Kind
    reason: int
    sequence: int
    window: int


def header(sequence: int, *, padding: bool = False) -> bytes:
    """The 8 octets before a packet, or before as many octets of padding."""
    return _HEADER.pack(_PADDING if padding else _PACKET, sequence)


def parse_header(octets: bytes, offset: int) -> tuple[bool, int]:
    """Whether it is padding, and the sequence number; :class:`BadFrame`."""
    word, sequence = _HEADER.unpack_from(octets, offset)
    if word == _PACKET:
        return False, sequence
    if word == _PADDING:
        return True, sequence
    raise BadFrame(problem="a frame of unknown kind")


def answer(kind: Kind, reason: int, sequence: int, window: int) -> bytes:
    """An answer's 16 octets."""
    return _ANSWER.pack(kind, reason, VERSION, sequence, window, 0)


def parse_answer(octets: bytes) -> Answer:
    """Read 16 octets; :class:`BadFrame`, :class:`WrongVersion`."""
    kind, reason, version, sequence, window, zeros = _ANSWER.unpack(octets)
    if kind > Kind.CLOSING or zeros:
        raise BadFrame(problem="an answer of unknown kind")
    if version != VERSION:
        raise WrongVersion(version=version)
    return Answer(Kind(kind), reason, sequence, window)


class Splitter:
    """Cuts a stream of octets into frames of one length.

    What is incomplete stays in a list of pieces and is joined once, so that the cost is
    linear in the octets, however they are cut."""

    __slots__ = ("_have", "_length", "_pieces")

    def __init__(self, length: int) -> None:
        self._length = length
        self._pieces: list[bytes] = []
        self._have = 0

    @property
    def partial(self) -> bool:
        """Whether part of a frame waits for the rest."""
        return self._have > 0

    def feed(self, octets: bytes) -> tuple[bytes, int]:
        """Octets that begin with whole frames, and how many of these there are."""
        self._pieces.append(octets)
        self._have += len(octets)
        count = self._have // self._length
        if not count:
            return b"", 0
        joined = b"".join(self._pieces)
        self._have -= count * self._length
        self._pieces = [joined[count * self._length :]] if self._have else []
        return joined, count
