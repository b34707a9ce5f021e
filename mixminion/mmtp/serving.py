"""The server's side of a mailbox's session as a pure machine: octets and finds in, actions out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mixminion.crypto import sign
from mixminion.interfaces import Message
from mixminion.mmtp.actions import End, Send
from mixminion.mmtp.errors import (
    BadFrame,
    NotProved,
    OutOfSequence,
    SessionError,
    Truncated,
    WindowExceeded,
)
from mixminion.mmtp.fetch_frames import (
    HEADER_LENGTH,
    REQUEST_LENGTH,
    Answer,
    Asked,
    Closing,
    Kind,
    Request,
    answer,
    parse_request,
)
from mixminion.mmtp.frames import Splitter


@dataclass(frozen=True, slots=True)
class Find:
    """Look for *item* again, of which only a part was given, or when that is 0 or gone for the
    oldest item of the mailbox that is not among :attr:`ServingSession.given`; say
    :meth:`ServingSession.found` or :meth:`ServingSession.nothing`."""

    item: int


@dataclass(frozen=True, slots=True)
class Taken:
    """The client has this item safe."""

    item: int


@dataclass(frozen=True, slots=True)
class Finish:
    """That was all; say :meth:`ServingSession.finish`."""


Action = Find | Taken | Finish | Send | End


class State(enum.Enum):
    """Where a session is."""

    NEW = enum.auto()  #: no mailbox is proved yet
    ASKED = enum.auto()  #: the client waits for a frame
    OPEN = enum.auto()  #: it is the client's turn
    CLOSED = enum.auto()  #: nothing is done any more


class ServingSession:
    """Requests in, one frame for each out.

    *to_sign* is what the client has to sign, *most* how many frames it gets.  ``capability``
    is its mailbox once it has proved it.  Every input is declared in every state; in CLOSED each
    gives no actions.
    """

    def __init__(self, packet_length: int, to_sign: bytes, most: int) -> None:
        self._packet_length = packet_length
        self._to_sign = to_sign
        self._most = most
        self._splitter = Splitter(REQUEST_LENGTH)
        self._answered = 0
        self._part = 0  # the item that is under way
        self._offset = 0  # of its next piece
        self._whole = 0  # the item that was given last, and may be acknowledged
        self.given: set[int] = set()
        self.capability = b""
        self.state = State.NEW

    @property
    def part(self) -> int:
        """The item of which only a part was given; 0 for none."""
        return self._part

    def received(self, octets: bytes) -> list[Action]:
        """Octets from the client, cut anywhere."""
        if self.state is State.CLOSED:
            return []
        actions: list[Action] = []
        joined, count = self._splitter.feed(octets)
        try:
            for start in range(0, count * REQUEST_LENGTH, REQUEST_LENGTH):
                self._request(parse_request(joined[start : start + REQUEST_LENGTH]), actions)
        except NotProved as error:
            actions += self._end(Closing.NOT_PROVED, error)
        except SessionError as error:
            actions += self._end(Closing.BROKEN, error)
        return actions

    def found(self, item: int, message: Message) -> list[Action]:
        """This is the item that was looked for."""
        if self.state is not State.ASKED:
            return []
        length = len(message.content)
        start = self._offset if item == self._part else 0
        end = min(length, start + self._packet_length - HEADER_LENGTH)
        whole = end == length
        self.given.add(item)
        self._whole = item if whole else 0
        self._part, self._offset = (0, 0) if whole else (item, end)
        piece = Answer(
            Kind.PIECE,
            self._answered + 1,
            item=item,
            length=length,
            offset=start,
            date=message.date,
            handle=message.surb_id,
            octets=message.content[start:end],
        )
        return self._answer(piece)

    def nothing(self) -> list[Action]:
        """Nothing is held that was not given."""
        if self.state is not State.ASKED:
            return []
        self._part = self._offset = self._whole = 0
        return self._answer(Answer(Kind.EMPTY, self._answered + 1))

    def finish(self, held: int) -> list[Action]:
        """End as the client asked for; so many items are still held."""
        return self.close(Closing.DONE, held)

    def close(self, why: Closing, held: int = 0) -> list[Action]:
        """End now."""
        return [] if self.state is State.CLOSED else self._end(why, None, held)

    def lost(self) -> SessionError | None:
        """The connection is gone; the error if that was in the middle of a frame."""
        truncated = self.state is not State.CLOSED and self._splitter.partial
        self.state = State.CLOSED
        return Truncated() if truncated else None

    # -- inside --------------------------------------------------------------------------------

    def _request(self, asked: Asked, actions: list[Action]) -> None:
        if self.state is State.CLOSED:  # what follows the end is nothing to us
            return
        if self.state is State.ASKED:
            raise WindowExceeded()
        if asked.sequence != self._answered + 1:
            raise OutOfSequence()
        if (asked.kind is Request.OPEN) is not (self.state is State.NEW):
            raise BadFrame(problem="opened once, first, is the rule")
        if asked.kind is Request.OPEN:
            if not sign.verify(asked.capability, asked.signature, self._to_sign):
                raise NotProved()
            self.capability = asked.capability
        if asked.taken:
            if asked.taken != self._whole:
                raise BadFrame(problem="what was not given cannot be safe")
            actions.append(Taken(asked.taken))
        self._whole = 0
        if asked.kind is Request.DONE:
            self.state = State.ASKED
            actions.append(Finish())
        elif self._answered >= self._most:
            actions += self._end(Closing.OVER, None)
        else:
            self.state = State.ASKED
            actions.append(Find(self._part))

    def _answer(self, frame: Answer) -> list[Action]:
        self.state = State.OPEN
        self._answered += 1
        return [Send(answer(frame, self._packet_length))]

    def _end(self, why: Closing, error: SessionError | None, held: int = 0) -> list[Action]:
        self.state = State.CLOSED
        closing = Answer(Kind.CLOSING, self._answered, why, length=held)
        return [Send(answer(closing, self._packet_length)), End(error)]
