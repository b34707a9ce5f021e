"""The client's session on a transport: a link that takes packets and says what became of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Interface

from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.errors import PeerError
from mixminion.interfaces import Clock, Refusal
from mixminion.mmtp import ALPN
from mixminion.mmtp.errors import ClosedByPeer, DialFailed, DialTooSlow, NotClosed, Stalled
from mixminion.mmtp.sending import Accepted, Ended, Event, Received, Refused, SendingSession
from mixminion.net.errors import LinkRefused, WrongProtocol
from mixminion.net.refusals import report, translate
from mixminion.net.tls import ClientTLS, Negotiated, negotiated
from mixminion.net.transport import LinkClientFactory

log = Logger()


class LinkUser(Interface):
    """Who sends over a link.  No packet has more than one end: received, refused, or among
    the unacknowledged."""

    def opened(self, link: Link) -> None:
        """The server has accepted; called before :func:`connect`'s Deferred fires."""

    def received(self, keys: list[int]) -> None:
        """These packets are on the server's disk; one call for all that came together."""

    def refused(self, key: int, refusal: Refusal) -> None:
        """The server does not take this packet now."""

    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None:
        """The link has ended, for whatever reason; None for an ordinary end (closed by us, or
        by the server because it stops or the session was idle or old)."""


@dataclass(frozen=True, slots=True)
class ClientTimes:
    """Deadlines of a client's sessions, in seconds."""

    dial: float = 30.0  #: from the first step until the ``accepted`` frame
    answer: float = 60.0  #: the longest without an answer while frames wait for one
    session: float = 3300.0  #: then the link closes itself; servers end sessions at 3,600
    closing: float = 10.0  #: between our close and the connection's end


@implementer(IHandshakeListener)
class Link(Protocol):
    """One connection to one server; made by :func:`connect`.

    After :attr:`room` frames the window is full until answers come.
    """

    def __init__(
        self,
        clock: Clock,
        packet_length: int,
        user: LinkUser,
        counters: Counters | None,
        times: ClientTimes,
    ) -> None:
        self._clock = clock
        self._user = user
        self._counters = counters
        self._times = times
        self._machine = SendingSession(packet_length)
        self._error: PeerError | None = None
        self._ordinary = False  # the end that comes is one
        self._opening: Deferred[Link] | None = Deferred(self._cancelled)
        self._attempt: Deferred[Any] | None = None
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
        if self._opening is not None:
            self._failed(self._error or translate(reason, self.transport))
            return
        error = self._error
        if error is None and not self._ordinary:
            broken = reason.check(SSL.Error) is not None
            error = translate(reason, self.transport) if broken else NotClosed()
        if error is not None:
            self._count(Name.LINK_BROKEN)
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
        opening, self._opening = self._opening, None
        self._cancel_timers()
        self._end_of_session = self._clock.callLater(self._times.session, self._session_over)
        if opening is not None:
            self._user.opened(self)
            opening.callback(self)

    def _end(self, ended: Ended) -> None:
        self._ordinary = ended.error is None
        self._error = self._error or ended.error
        if self._opening is not None and self._error is None:
            self._error = ClosedByPeer(reason="not accepting")
        self._cancel_timers()
        self._timer = self._clock.callLater(self._times.closing, self._abort, None)
        self._transport.loseConnection()

    # -- ways to end

    def _session_over(self) -> None:
        self._perform(self._machine.finish())

    def _abort(self, error: PeerError | None) -> None:
        self._error = self._error or error
        self._transport.abortConnection()

    def _failed(self, error: PeerError) -> None:
        """There was never a link."""
        opening, self._opening = self._opening, None
        self._gone = True
        self._cancel_timers()
        if isinstance(error, LinkRefused):
            report(error, "dialling", self._counters)
        else:
            self._count(Name.DIAL_FAILED)
            log.info("dialling failed: {code}", code=error.code, side="dialling")
        self._tell_closed()
        if opening is not None:
            opening.errback(error)

    def _cancelled(self, opening: Deferred[Link]) -> None:
        self._opening = None
        self._give_up()

    # -- dialling

    def dial(self, endpoint: IStreamClientEndpoint, tls: ClientTLS) -> Deferred[Link]:
        """The first step, once: for :func:`connect`."""
        opening = self._opening
        assert opening is not None
        self._timer = self._clock.callLater(self._times.dial, self._dial_too_slow)
        factory = LinkClientFactory(tls, _Single(self), self._clock)
        self._attempt = endpoint.connect(factory)
        _ = self._attempt.addErrback(self._no_connection)
        return opening

    def _no_connection(self, failure: Failure) -> None:
        if self._opening is not None:
            self._failed(DialFailed(problem=_problem(failure)))

    def _dial_too_slow(self) -> None:
        error = DialTooSlow(seconds=round(self._times.dial))
        self._failed(error)
        self._give_up()

    def _give_up(self) -> None:
        """Leave nothing behind of a dial that is of no use any more."""
        self._gone = True
        self._cancel_timers()
        if self.transport is not None:
            self._transport.abortConnection()
        elif self._attempt is not None:
            self._attempt.cancel()

    # -- small things

    @property
    def _transport(self) -> Any:
        return self.transport

    def _sent(self) -> None:
        if self._timer is None:
            self._wait_for_answer()

    def _wait_for_answer(self) -> None:
        if self._opening is not None:
            return
        if not self._machine.unanswered:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        elif self._timer is not None:
            self._timer.reset(self._times.answer)
        else:
            error = Stalled(seconds=round(self._times.answer))
            self._timer = self._clock.callLater(self._times.answer, self._abort, error)

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._end_of_session):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._end_of_session = None

    def _count(self, name: Name) -> None:
        if self._counters is not None:
            self._counters.add(name)

    def _tell_closed(self) -> None:
        closed, self._closed = self._closed, []
        for each in closed:
            each.callback(None)


class _Single(Factory):
    """Gives its one protocol away."""

    noisy = False

    def __init__(self, link: Link) -> None:
        self._link = link

    @override
    def buildProtocol(self, addr: IAddress | None) -> Link:
        return self._link


def connect(
    clock: Clock,
    endpoint: IStreamClientEndpoint,
    tls: ClientTLS,
    packet_length: int,
    user: LinkUser,
    *,
    counters: Counters | None = None,
    times: ClientTimes | None = None,
) -> Deferred[Link]:
    """Dial a server.  Fires with the link when the server has accepted it.

    Fails with a :class:`~mixminion.net.errors.LinkRefused` or a
    :class:`~mixminion.mmtp.errors.SessionError`, which is counted and logged here; *user*
    hears nothing then.  *tls* is :func:`~mixminion.net.tls.client_tls` with ``[ALPN]``.
    Cancelling gives the attempt up.
    """
    link = Link(clock, packet_length, user, counters, times or ClientTimes())
    return link.dial(endpoint, tls)


def _problem(failure: Failure) -> str:
    """The operating system's word for it, which names no host."""
    error = failure.value
    if isinstance(error, DNSLookupError):
        return "its name is not known"
    number = getattr(error, "osError", None)
    if isinstance(error, ConnectError) and isinstance(number, int):
        return os.strerror(number).lower()
    return "no connection"
