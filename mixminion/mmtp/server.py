"""The server's sessions on transports: frames to the intake, its answers back."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar, cast

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.interfaces import Clock, IIntake, Refusal
from mixminion.mmtp.actions import End, Send
from mixminion.mmtp.errors import SessionError, Stalled
from mixminion.mmtp.frames import Closing
from mixminion.mmtp.receiving import Action, ReceivingSession, Refuse, Take
from mixminion.mmtp.sessions import Session, SessionFactory

log = Logger()

T = TypeVar("T")

_REFUSED = {
    Refusal.FULL: Name.REFUSED_FULL,
    Refusal.STOPPING: Name.REFUSED_STOPPING,
    Refusal.RATE: Name.REFUSED_RATE,
}


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """Deadlines of a server's sessions, in seconds."""

    session: float = 3600.0  #: the longest a session may be
    idle: float = 600.0  #: without a frame
    stalled: float = 60.0  #: with answers that the client does not read
    closing: float = 10.0  #: between our close and the connection's end


@implementer(IPushProducer)
class ServerSession(Session):
    """One client's session.  It is the producer of its own answers: when the client does not
    read them, no frames are read from it either, and after a while it is cut off."""

    def __init__(self, factory: MMTPServerFactory) -> None:
        super().__init__(factory.clock)
        self._factory = factory
        self._machine = ReceivingSession(factory.packet_length, factory.window)

    # -- from the transport

    @override
    def connectionMade(self) -> None:
        times = self._factory.times
        self._factory.sessions.add(self)
        self._transport.registerProducer(self, True)
        self._transport.write(self._machine.greeting())
        self._start("session", times.session, self.drain, Closing.OVER)
        self._start("idle", times.idle, self._idle)
        if self._factory.stopping:
            self.drain(Closing.STOPPING)

    @override
    def dataReceived(self, data: bytes) -> None:
        actions = self._machine.received(data)
        if actions:
            self._timers["idle"].reset(self._factory.times.idle)
            self._perform(actions)

    def pauseProducing(self) -> None:
        """The transport holds as many unread answers as it wants to."""
        self._transport.pauseProducing()
        if "stalled" not in self._timers:  # transports may say it again with each write
            seconds = self._factory.times.stalled
            self._start("stalled", seconds, self._cut, Stalled(seconds=round(seconds)))

    def resumeProducing(self) -> None:
        """The client reads again."""
        self._stop("stalled")
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is gone; :meth:`connectionLost` follows."""

    # -- from the factory and the timers

    @override
    def stop(self) -> None:
        """Refuse new frames, answer the others, close."""
        self.drain(Closing.STOPPING)

    @override
    def _over(self, error: SessionError | None) -> None:
        self._factory.ended(self, error)

    def drain(self, why: Closing) -> None:
        """End as soon as every frame is answered."""
        self._perform(self._machine.drain(why))

    def _idle(self) -> None:
        if self._machine.unanswered:  # it is we who are slow
            self._start("idle", self._factory.times.idle, self._idle)
        else:
            self.drain(Closing.IDLE)

    def _cut(self, error: SessionError | None) -> None:
        self._error = self._error or error
        self._transport.abortConnection()

    # -- the machine's actions

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Take):
                self._take(action)
            elif isinstance(action, Send):
                self._transport.write(action.octets)
            elif isinstance(action, Refuse):
                self._answered(Refusal.STOPPING, action.sequence, action.padding)
            else:
                self._end(action)

    def _take(self, take: Take) -> None:
        intake = self._factory.intake
        padding = take.packet is None
        try:
            answer = intake.padding() if take.packet is None else intake.receive(take.packet)
            deferred = _as_deferred(answer)
        except Exception:
            deferred = fail(Failure())
        _ = deferred.addErrback(self._failed).addCallback(self._answered, take.sequence, padding)

    def _answered(self, refusal: Refusal | None, sequence: int, padding: bool) -> None:
        if refusal is None:
            self._factory.counters.add(Name.PADDING if padding else Name.RECEIVED)
        else:
            self._factory.counters.add(_REFUSED[refusal])
        self._perform(self._machine.answered(sequence, refusal))

    def _failed(self, failure: Failure) -> Refusal:
        log.failure("the intake failed; the frame was refused", failure)
        return Refusal.FULL

    def _end(self, end: End) -> None:
        self._error = end.error
        self._ending = True
        self._stop("stalled")
        self._transport.resumeProducing()  # the other side's close has to be read
        self._transport.unregisterProducer()
        self._transport.loseConnection()
        self._start("closing", self._factory.times.closing, self._cut, None)


class MMTPServerFactory(SessionFactory[ServerSession]):
    """Makes a session of each connection; goes behind ``mmtp/2`` of a link factory.

    *intake* gets every frame.  *window* is how many frames a client may have unanswered.
    Counts ``received``, ``padding``, ``refused-...`` and ``link-broken``.
    """

    side = "listening"

    def __init__(
        self,
        intake: IIntake,
        clock: Clock,
        packet_length: int,
        window: int,
        counters: Counters,
        times: ServerTimes | None = None,
    ) -> None:
        super().__init__(clock, packet_length, counters)
        self.intake = intake
        self.window = window
        self.times = times or ServerTimes()

    @override
    def buildProtocol(self, addr: IAddress | None) -> ServerSession:
        return ServerSession(self)


def _as_deferred(awaitable: Awaitable[T]) -> Deferred[T]:
    """What an interface method returned, as a Deferred."""
    if isinstance(awaitable, Deferred):
        return cast("Deferred[T]", awaitable)

    async def waited() -> T:
        return await awaitable

    return Deferred.fromCoroutine(waited())
