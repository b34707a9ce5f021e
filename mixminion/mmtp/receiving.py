"""The server's side of a session as a pure machine: octets and events in, actions out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mixminion.interfaces import Refusal
from mixminion.mmtp.actions import End, Send
from mixminion.mmtp.errors import OutOfSequence, SessionError, Truncated, WindowExceeded
from mixminion.mmtp.frames import (
    HEADER_LENGTH,
    Closing,
    Kind,
    Splitter,
    answer,
    parse_header,
)


@dataclass(frozen=True, slots=True)
class Take:
    """Hand this frame to the intake and say :meth:`ReceivingSession.answered` when it is done."""

    sequence: int
    packet: bytes | None  #: None for padding


@dataclass(frozen=True, slots=True)
class Refuse:
    """Say :meth:`ReceivingSession.answered` with ``STOPPING`` without asking the intake."""

    sequence: int
    padding: bool


Action = Take | Refuse | Send | End


class State(enum.Enum):
    """Where a session is."""

    OPEN = enum.auto()
    DRAINING = enum.auto()  #: new frames are refused; ends when all are answered
    CLOSED = enum.auto()  #: nothing is done any more


class ReceivingSession:
    """Frames in, answers out, in the order of the frames.

    Every input is declared in every state; in CLOSED each gives no actions.
    """

    def __init__(self, packet_length: int, window: int) -> None:
        self._frame_length = HEADER_LENGTH + packet_length
        self._window = window
        self._splitter = Splitter(self._frame_length)
        self._next = 1  # the sequence number of the next frame
        self._first = 1  # of the oldest unanswered one
        self._ready: dict[int, bytes] = {}  # answers that wait for older ones
        self._why = Closing.OVER
        self.state = State.OPEN

    @property
    def unanswered(self) -> int:
        """How many frames the client still waits for."""
        return self._next - self._first

    def greeting(self) -> bytes:
        """The ``accepted`` frame, the first octets towards the client."""
        return answer(Kind.ACCEPTED, 0, 0, self._window)

    def received(self, octets: bytes) -> list[Action]:
        """Octets from the client, cut anywhere."""
        if self.state is State.CLOSED:
            return []
        actions: list[Action] = []
        joined, count = self._splitter.feed(octets)
        try:
            for start in range(0, count * self._frame_length, self._frame_length):
                self._frame(joined, start, actions)
        except SessionError as error:
            actions += self._end(Closing.BROKEN, error)
        return actions

    def answered(self, sequence: int, refusal: Refusal | None) -> list[Action]:
        """The intake is done with that frame."""
        if self.state is State.CLOSED:
            return []
        kind = Kind.RECEIVED if refusal is None else Kind.REFUSED
        self._ready[sequence] = answer(kind, refusal or 0, sequence, self._window)
        if sequence != self._first:
            return []
        out = []
        while self._first in self._ready:
            out.append(self._ready.pop(self._first))
            self._first += 1
        actions: list[Action] = [Send(b"".join(out))]
        if self.state is State.DRAINING and not self.unanswered:
            actions += self._end(self._why, None)
        return actions

    def drain(self, why: Closing) -> list[Action]:
        """Refuse whatever still comes and end as soon as everything is answered."""
        if self.state is not State.OPEN:
            return []
        self.state = State.DRAINING
        self._why = why
        return [] if self.unanswered else self._end(why, None)

    def lost(self) -> SessionError | None:
        """The connection is gone; the error if that was in the middle of a frame."""
        truncated = self.state is not State.CLOSED and self._splitter.partial
        self.state = State.CLOSED
        return Truncated() if truncated else None

    def _frame(self, joined: bytes, start: int, actions: list[Action]) -> None:
        padding, sequence = parse_header(joined, start)
        if sequence != self._next:
            raise OutOfSequence()
        if self.unanswered >= self._window:
            raise WindowExceeded()
        self._next += 1
        if self.state is State.DRAINING:
            actions.append(Refuse(sequence, padding))
        elif padding:
            actions.append(Take(sequence, None))
        else:
            packet = joined[start + HEADER_LENGTH : start + self._frame_length]
            actions.append(Take(sequence, packet))

    def _end(self, why: Closing, error: SessionError | None) -> list[Action]:
        self.state = State.CLOSED
        self._ready.clear()
        return [Send(answer(Kind.CLOSING, why, self._first - 1, self._window)), End(error)]
