"""The client's side of a mailbox's session as a pure machine: octets in, items out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mixminion.mmtp.errors import BadFrame, ClosedByPeer, NotProved, OutOfSequence, SessionError
from mixminion.mmtp.fetch_frames import Answer, Closing, Kind, Request, parse_answer, request
from mixminion.mmtp.frames import Splitter

LONGEST = 1 << 24
"""Octets of the longest item; no server's limit may be more."""


@dataclass(frozen=True, slots=True)
class Item:
    """Something that was held.  *id* is the server's name for it, the same in each session;
    *handle* (16 octets) the SURB id of a reply, None for a message; *date* when it left the
    server's pool, in Unix seconds."""

    id: int
    handle: bytes | None
    date: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """One frame came; *item* when it made one whole.  Say :meth:`AskingSession.ask`."""

    item: Item | None


@dataclass(frozen=True, slots=True)
class Ended:
    """Close the connection.  *held* items are still there; *error* unless it is the end that was
    asked for."""

    error: SessionError | None
    held: int = 0


Event = Answered | Ended


class State(enum.Enum):
    """Where a session is."""

    NEW = enum.auto()
    WAITING = enum.auto()  #: for a frame
    READY = enum.auto()  #: it is our turn
    FINISHING = enum.auto()  #: all frames are here; the server is to close
    CLOSED = enum.auto()  #: nothing is done any more


class AskingSession:
    """*frames* frames are asked for, whatever is in them, each when the one before is here.

    :meth:`open` and :meth:`ask` are the caller's to say in NEW and READY only (``RuntimeError``).
    """

    def __init__(self, packet_length: int, frames: int) -> None:
        self._packet_length = packet_length
        self._splitter = Splitter(packet_length)
        self._frames = frames
        self._answered = 0
        self._begun: Answer | None = None  # the first piece of the item that is under way
        self._pieces: list[bytes] = []
        self.state = State.NEW

    def open(self, capability: bytes, signature: bytes) -> bytes:
        """The first request, to write."""
        self._turn(State.NEW)
        self.state = State.WAITING
        return request(Request.OPEN, 1, capability=capability, signature=signature)

    def ask(self, taken: int = 0) -> bytes:
        """The next request, to write; *taken* is the item of the last event when it is safe."""
        self._turn(State.READY)
        more = self._answered < self._frames
        self.state = State.WAITING if more else State.FINISHING
        return request(Request.NEXT if more else Request.DONE, self._answered + 1, taken)

    def received(self, octets: bytes) -> list[Event]:
        """Octets from the server, cut anywhere."""
        if self.state is State.CLOSED:
            return []
        events: list[Event] = []
        joined, count = self._splitter.feed(octets)
        length = self._packet_length
        try:
            for start in range(0, count * length, length):
                events.append(self._answer(parse_answer(joined[start : start + length])))
                if isinstance(events[-1], Ended):
                    break  # what follows a closing frame is nothing to us
        except SessionError as error:
            events.append(self._ended(error))
        return events

    def lost(self) -> None:
        """The connection is gone."""
        self.state = State.CLOSED

    # -- inside --------------------------------------------------------------------------------

    def _turn(self, state: State) -> None:
        if self.state is not state:
            raise RuntimeError("it is not our turn")

    def _answer(self, frame: Answer) -> Event:
        if frame.kind is Kind.CLOSING:
            return self._closing(frame)
        if self.state is not State.WAITING or frame.sequence != self._answered + 1:
            raise OutOfSequence()
        self._answered += 1
        self.state = State.READY
        if frame.kind is Kind.EMPTY:
            self._begun, self._pieces = None, []
            return Answered(None)
        return Answered(self._piece(frame))

    def _piece(self, frame: Answer) -> Item | None:
        begun = self._begun
        if not frame.offset:
            begun, self._pieces = frame, []
        elif begun is None or not _continues(begun, frame, sum(map(len, self._pieces))):
            raise BadFrame(problem="a piece that continues nothing")
        if frame.length > LONGEST:
            raise BadFrame(problem="an item longer than any")
        self._begun = begun
        self._pieces.append(frame.octets)
        if frame.offset + len(frame.octets) < frame.length:
            return None
        content = b"".join(self._pieces)
        self._begun, self._pieces = None, []
        return Item(frame.item, frame.handle, frame.date, content)

    def _closing(self, frame: Answer) -> Event:
        if frame.sequence != self._answered:
            raise OutOfSequence()
        reason = Closing(frame.reason)
        if (reason is Closing.DONE) and self.state is not State.FINISHING:
            raise BadFrame(problem="done before everything is")
        if reason is Closing.DONE:
            return self._ended(None, frame.length)
        if reason is Closing.NOT_PROVED:
            return self._ended(NotProved())
        return self._ended(ClosedByPeer(reason=reason.name.lower()))

    def _ended(self, error: SessionError | None, held: int = 0) -> Ended:
        self.state = State.CLOSED
        return Ended(error, held)


def _continues(begun: Answer, frame: Answer, have: int) -> bool:
    """Whether *frame* is the piece after so many octets of the item that *begun* began."""
    same = (begun.item, begun.length, begun.date, begun.handle)
    return frame.offset == have and same == (frame.item, frame.length, frame.date, frame.handle)
