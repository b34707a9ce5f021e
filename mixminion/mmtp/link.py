"""The client's session on a transport: a link that takes packets and says what became of them.

:mod:`client` dials and makes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.errors import PeerError
from mixminion.interfaces import Clock, Refusal
from mixminion.mmtp import ALPN
from mixminion.mmtp.errors import ClosedByPeer, NotClosed, Stalled
from mixminion.mmtp.sending import Accepted, Ended, Event, Received, Refused, SendingSession
from mixminion.net.errors import WrongProtocol
from mixminion.net.refusals import translate
from mixminion.net.tls import Negotiated, negotiated

log = Logger()


class LinkUser(Interface):
    """Who sends over a link.  No packet has more than one end: received, refused, or among
    the unacknowledged."""

    def opened(self, link: Link) -> None:
        """The server has accepted; called before the dialling Deferred fires."""

    def received(self, keys: list[int]) -> None:
        """These packets are on the server's disk; one call for all that came together."""

    def refused(self, key: int, refusal: Refusal) -> None:
        """The server does not take this packet now."""

    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None:
        """The link has ended, for whatever reason; None for an ordinary end (closed by us, or
        by the server because it stops or the session was idle or old)."""


class Dialling(Interface):
    """What a link tells whoever dials, once."""

    def opened(self, link: Link) -> None:
        """The server has accepted."""

    def failed(self, error: PeerError) -> None:
        """The connection ended before that."""


@dataclass(frozen=True, slots=True)
class ClientTimes:
    """Deadlines of a client's sessions, in seconds."""

    dial: float = 30.0  #: from the first step until the ``accepted`` frame
    answer: float = 60.0  #: the longest without an answer while frames wait for one
    session: float = 3300.0  #: then the link closes itself; servers end sessions at 3,600
    closing: float = 10.0  #: between our close and the connection's end


@implementer(IHandshakeListener)
class Link(Protocol):
    """One connection to one server; made by :func:`mixminion.mmtp.client.connect`.

    After :attr:`room` frames the window is full until answers come.
    """

    def __init__(
        self,
        clock: Clock,
        packet_length: int,
        user: LinkUser,
        counters: Counters | None,
        times: ClientTimes,
        dial: Dialling,
    ) -> None:
        self._clock = clock
        self._user = user
        self._counters = counters
        self._times = times
        self._machine = SendingSession(packet_length)
        self._error: PeerError | None = None
        self._ordinary = False  # the end that comes is one
        self._dial: Dialling | None = dial  # until the link is open
        self._closed: list[Deferred[None]] = []
        self._gone = False
        self._timer: IDelayedCall | None = None  # for what we wait for now
        self._end_of_session: IDelayedCall | None = None

    # -- for the user

    @property
    def room(self) -> int:
        """How many more frames may be sent now."""
        return self._machine.room

    @property
    def unanswered(self) -> int:
        """How many frames wait for their answer, padding included."""
        return self._machine.unanswered

    @property
    def negotiated(self) -> Negotiated | None:
        """TLS version, group, cipher, protocol."""
        return negotiated(self.transport)

    def send(self, key: int, packet: bytes) -> None:
        """Send a packet; only while there is :attr:`room`.  *key* names it in the answers."""
        header = self._machine.send(key, packet)
        self._transport.write(header)
        self._transport.write(packet)
        self._sent()

    def pad(self) -> None:
        """Send a padding frame; only while there is :attr:`room`."""
        self._transport.write(self._machine.pad())
        self._sent()

    def close(self) -> Deferred[None]:
        """Send nothing more, wait for the answers, hang up; fires when the connection is gone.
        :meth:`LinkUser.lost` is called as for every end."""
        if self._gone:
            return succeed(None)
        closed: Deferred[None] = Deferred()
        self._closed.append(closed)
        self._perform(self._machine.finish())
        return closed

    # -- for whoever dials

    def give_up(self) -> None:
        """Nobody wants this link any more, and nobody hears of it."""
        self._gone = True
        self._cancel_timers()
        if self.transport is not None:
            self._transport.abortConnection()

    # -- from the transport

    def handshakeCompleted(self) -> None:
        """TLS is up; the server may still refuse us."""
        settled = self.negotiated
        if settled is None or settled.protocol != ALPN:
            self._abort(WrongProtocol())

    @override
    def dataReceived(self, data: bytes) -> None:
        events = self._machine.received(data)
        if events:
            self._wait_for_answer()
            self._perform(events)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._gone:  # given up before it was a link
            return
        self._gone = True
        self._cancel_timers()
        if self._dial is not None:
            self._dial.failed(self._error or translate(reason, self.transport))
            return
        error = self._error
        if error is None and not self._ordinary:
            broken = reason.check(SSL.Error) is not None
            error = translate(reason, self.transport) if broken else NotClosed()
        if error is not None:
            if self._counters is not None:
                self._counters.add(Name.LINK_BROKEN)
            log.info("session ended: {code} (dialling)", code=error.code, side="dialling")
        self._user.lost(self._machine.lost(), error)
        self._tell_closed()

    # -- the machine's events

    def _perform(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Received):
                self._user.received(event.keys)
            elif isinstance(event, Refused):
                self._user.refused(event.key, event.refusal)
            elif isinstance(event, Accepted):
                self._opened()
            else:
                self._end(event)

    def _opened(self) -> None:
        dial, self._dial = self._dial, None
        self._end_of_session = self._clock.callLater(self._times.session, self._session_over)
        if dial is not None:
            self._user.opened(self)
            dial.opened(self)

    def _end(self, ended: Ended) -> None:
        self._ordinary = ended.error is None
        self._error = self._error or ended.error
        if self._dial is not None and self._error is None:
            self._error = ClosedByPeer(reason="not accepting")
        self._cancel_timers()
        self._timer = self._clock.callLater(self._times.closing, self._abort, None)
        self._transport.loseConnection()

    # -- ways to end

    def _session_over(self) -> None:
        self._perform(self._machine.finish())

    def _stalled(self) -> None:
        self._timer = None
        self._abort(Stalled(seconds=round(self._times.answer)))

    def _abort(self, error: PeerError | None) -> None:
        self._error = self._error or error
        self._transport.abortConnection()

    # -- small things

    @property
    def _transport(self) -> Any:
        return self.transport

    def _sent(self) -> None:
        if self._timer is None:
            self._wait_for_answer()

    def _wait_for_answer(self) -> None:
        if not self._machine.unanswered:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is not None:
            self._timer.reset(self._times.answer)
        else:
            self._timer = self._clock.callLater(self._times.answer, self._stalled)

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._end_of_session):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._end_of_session = None

    def _tell_closed(self) -> None:
        closed, self._closed = self._closed, []
        for each in closed:
            each.callback(None)
