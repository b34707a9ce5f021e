"""The client's side of a session as a pure machine: octets and orders in, events out."""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass

from mixminion.interfaces import Refusal
from mixminion.mmtp.errors import BadFrame, ClosedByPeer, OutOfSequence, SessionError
from mixminion.mmtp.frames import (
    ANSWER_LENGTH,
    Answer,
    Closing,
    Kind,
    Splitter,
    header,
    parse_answer,
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has accepted the link: frames may be sent."""


@dataclass(frozen=True, slots=True)
class Received:
    """These packets are on the server's disk."""

    keys: list[int]


@dataclass(frozen=True, slots=True)
class Refused:
    """The server did not take this packet."""

    key: int
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Ended:
    """Close the connection; *error* unless this is an ordinary end."""

    error: SessionError | None


Event = Accepted | Received | Refused | Ended

_ORDINARY = {Closing.OVER, Closing.IDLE, Closing.STOPPING}


class State(enum.Enum):
    """Where a session is."""

    WAITING = enum.auto()  #: for the ``accepted`` frame
    OPEN = enum.auto()
    FINISHING = enum.auto()  #: nothing more is sent; ends when everything is answered
    CLOSED = enum.auto()  #: nothing is done any more


class SendingSession:
    """Packets out under the caller's keys, answers in.

    Every input is declared in every state: octets after the end are ignored, and
    :meth:`send` and :meth:`pad` are the caller's to hold back while :attr:`room` is 0
    (``RuntimeError``, a defect of ours).
    """

    def __init__(self, packet_length: int) -> None:
        self._splitter = Splitter(ANSWER_LENGTH)
        self._packet_length = packet_length
        self._zeros = bytes(packet_length)
        self._next = 1
        self._window = 0
        self._waiting: deque[int | None] = deque()  # keys in sequence; None for padding
        self.state = State.WAITING

    @property
    def room(self) -> int:
        """How many more frames may be sent now."""
        return self._window - len(self._waiting) if self.state is State.OPEN else 0

    @property
    def unanswered(self) -> int:
        """How many frames wait for an answer, padding included."""
        return len(self._waiting)

    def send(self, key: int, packet: bytes) -> bytes:
        """The header to write before *packet*."""
        if len(packet) != self._packet_length:
            raise ValueError("a packet of another length")
        return self._frame(key)

    def pad(self) -> bytes:
        """A whole padding frame to write."""
        return self._frame(None) + self._zeros

    def finish(self) -> list[Event]:
        """Send nothing more; end when everything is answered."""
        if self.state in (State.FINISHING, State.CLOSED):
            return []
        self.state = State.FINISHING
        return self._ended(None) if not self._waiting else []

    def received(self, octets: bytes) -> list[Event]:
        """Octets from the server, cut anywhere.  What was received in one call is one event."""
        if self.state is State.CLOSED:
            return []
        joined, count = self._splitter.feed(octets)
        events: list[Event] = []
        keys: list[int] = []
        try:
            for start in range(0, count * ANSWER_LENGTH, ANSWER_LENGTH):
                self._answer(parse_answer(joined[start : start + ANSWER_LENGTH]), keys, events)
                if events and isinstance(events[-1], Ended):
                    break  # what follows a closing frame is nothing to us
        except SessionError as error:
            events += self._ended(error)
        if keys:
            events.insert(0, Received(keys))
        if self.state is State.FINISHING and not self._waiting:
            events += self._ended(None)
        return events

    def lost(self) -> list[int]:
        """The connection is gone: the keys of packets that were not answered."""
        self.state = State.CLOSED
        keys = [key for key in self._waiting if key is not None]
        self._waiting.clear()
        return keys

    def _frame(self, key: int | None) -> bytes:
        if self.room <= 0:
            raise RuntimeError("there is no room in the window")
        self._waiting.append(key)
        sequence = self._next
        self._next += 1
        return header(sequence, padding=key is None)

    def _answer(self, frame: Answer, keys: list[int], events: list[Event]) -> None:
        if frame.kind is Kind.CLOSING:
            self._closing(frame, events)
            return
        if (frame.kind is Kind.ACCEPTED) is not (self._window == 0):
            raise BadFrame(problem="accepted once, first, is the rule")
        if frame.window < max(self._window, 1):
            raise BadFrame(problem="a window that shrinks")
        self._window = frame.window
        if frame.kind is Kind.ACCEPTED:
            self._accepted(frame, events)
        else:
            self._settled(frame, keys, events)

    def _accepted(self, frame: Answer, events: list[Event]) -> None:
        if frame.reason or frame.sequence:
            raise BadFrame(problem="an accepted frame with more than a window")
        if self.state is State.WAITING:
            self.state = State.OPEN
            events.append(Accepted())

    def _closing(self, frame: Answer, events: list[Event]) -> None:
        if frame.sequence != self._next - len(self._waiting) - 1:
            raise OutOfSequence()
        try:
            reason = Closing(frame.reason)
        except ValueError:
            raise BadFrame(problem="an unknown reason") from None
        error = None if reason in _ORDINARY else ClosedByPeer(reason=reason.name.lower())
        events += self._ended(error)

    def _settled(self, frame: Answer, keys: list[int], events: list[Event]) -> None:
        if not self._waiting or frame.sequence != self._next - len(self._waiting):
            raise OutOfSequence()
        if frame.kind is Kind.RECEIVED:
            if frame.reason:
                raise BadFrame(problem="received, with a reason")
            key = self._waiting.popleft()
            if key is not None:
                keys.append(key)
            return
        try:
            refusal = Refusal(frame.reason)
        except ValueError:
            raise BadFrame(problem="an unknown reason") from None
        key = self._waiting.popleft()
        if key is not None:
            events.append(Refused(key, refusal))

    def _ended(self, error: SessionError | None) -> list[Event]:
        self.state = State.CLOSED
        return [Ended(error)]
