"""The server's sessions on transports: frames to the intake, its answers back."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.interfaces import Clock, IIntake, Refusal
from mixminion.mmtp.errors import NotClosed, SessionError, Stalled
from mixminion.mmtp.frames import Closing
from mixminion.mmtp.receiving import Action, End, ReceivingSession, Refuse, Send, Take

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
class ServerSession(Protocol):
    """One client's session.  It is the producer of its own answers: when the client does not
    read them, no frames are read from it either, and after a while it is cut off."""

    def __init__(self, factory: MMTPServerFactory) -> None:
        self._factory = factory
        self._machine = ReceivingSession(factory.packet_length, factory.window)
        self._error: SessionError | None = None
        self._ending = False
        self._timers: dict[str, IDelayedCall] = {}

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

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        for timer in self._timers.values():
            if timer.active():
                timer.cancel()
        truncated = self._machine.lost()
        error = self._error or truncated
        if error is None and not self._ending and reason.check(ConnectionDone) is None:
            error = NotClosed()
        self._factory.ended(self, error)

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

    # -- small things

    @property
    def _transport(self) -> Any:
        return self.transport

    def _start(self, name: str, seconds: float, function: Any, *args: object) -> None:
        self._stop(name)
        self._timers[name] = self._factory.clock.callLater(seconds, function, *args)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()


class MMTPServerFactory(Factory):
    """Makes a session of each connection; goes behind ``mmtp/2`` of a link factory.

    *intake* gets every frame.  *window* is how many frames a client may have unanswered.
    Counts ``received``, ``padding``, ``refused-...`` and ``link-broken``.
    """

    noisy = False

    def __init__(
        self,
        intake: IIntake,
        clock: Clock,
        packet_length: int,
        window: int,
        counters: Counters,
        times: ServerTimes | None = None,
    ) -> None:
        self.intake = intake
        self.clock = clock
        self.packet_length = packet_length
        self.window = window
        self.counters = counters
        self.times = times or ServerTimes()
        self.sessions: set[ServerSession] = set()
        self.stopping = False
        self._stopped: list[Deferred[None]] = []

    @override
    def buildProtocol(self, addr: IAddress | None) -> ServerSession:
        return ServerSession(self)

    def stop(self) -> Deferred[None]:
        """Refuse new frames with ``STOPPING``, answer the others, close; fires when every
        session has ended.  Call it once the port accepts no more, before the intake stops."""
        self.stopping = True
        for session in list(self.sessions):
            session.drain(Closing.STOPPING)
        if not self.sessions:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        return stopped

    def ended(self, session: ServerSession, error: SessionError | None) -> None:
        """A session is over."""
        self.sessions.discard(session)
        if error is not None:
            self.counters.add(Name.LINK_BROKEN)
            log.info("session ended: {code} (listening)", code=error.code, side="listening")
        if not self.sessions:
            waiting, self._stopped = self._stopped, []
            for stopped in waiting:
                stopped.callback(None)


def _as_deferred(awaitable: Awaitable[T]) -> Deferred[T]:
    """What an interface method returned, as a Deferred."""
    if isinstance(awaitable, Deferred):
        return cast("Deferred[T]", awaitable)

    async def waited() -> T:
        return await awaitable

    return Deferred.fromCoroutine(waited())
