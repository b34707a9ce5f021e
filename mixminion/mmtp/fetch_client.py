"""A visit to one's own mailbox: so many frames, each at its moment, whatever is in them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, DeferredList, FirstError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from mixminion.crypto import sign
from mixminion.interfaces import Clock
from mixminion.mmtp import FETCH_ALPN
from mixminion.mmtp.asking import Answered, AskingSession, Ended, Item
from mixminion.mmtp.errors import DialFailed, DialTooSlow, NotClosed, Stalled
from mixminion.mmtp.fetch_frames import EXPORTED, EXPORTER, to_sign
from mixminion.net.errors import WrongProtocol
from mixminion.net.refusals import translate
from mixminion.net.tls import ClientTLS, exported, negotiated
from mixminion.net.transport import LinkClientFactory

Keep = Callable[[Item], Awaitable[None]]
"""Makes an item safe; it is acknowledged, and deleted at the server, when that has been done."""


@dataclass(frozen=True, slots=True)
class FetchTimes:
    """Of a client, in seconds."""

    dial: float = 30.0  #: from the first step until the first frame
    answer: float = 60.0  #: for each of the others
    pause: float = 0.2  #: between a frame and the next request; items are made safe meanwhile
    closing: float = 10.0  #: between our close and the connection's end


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of it: how many items were made safe, and how many are still held."""

    items: int
    held: int


def fetch(
    clock: Clock,
    endpoint: IStreamClientEndpoint,
    tls: ClientTLS,
    identity: bytes,
    packet_length: int,
    private: bytes,
    frames: int,
    keep: Keep,
    times: FetchTimes | None = None,
) -> Deferred[Visit]:
    """Fetch from the mailbox of the private key *private* in *frames* frames.

    *tls* is :func:`~mixminion.net.tls.client_tls` for *identity*, without credentials, with
    ``[FETCH_ALPN]``.  Fails with a :class:`~mixminion.net.errors.LinkRefused`, a
    :class:`~mixminion.mmtp.errors.SessionError`, or what *keep* raises; what was not made safe
    by then is still held.  Cancelling gives it up.
    """
    visit = Fetching(clock, identity, packet_length, private, frames, keep, times or FetchTimes())
    return visit.start(endpoint, tls)


@implementer(IHandshakeListener)
class Fetching(Protocol):
    """One visit."""

    def __init__(
        self,
        clock: Clock,
        identity: bytes,
        packet_length: int,
        private: bytes,
        frames: int,
        keep: Keep,
        times: FetchTimes,
    ) -> None:
        self._clock = clock
        self._identity = identity
        self._private = private
        self._keep = keep
        self._times = times
        self._machine = AskingSession(packet_length, frames)
        self._items = 0
        self._opened = False
        self._end: Exception | Visit | None = None
        self._over: Deferred[Visit] | None = Deferred(self._cancelled)
        self._timer: IDelayedCall | None = None
        self._turn: Deferred[Any] | None = None

    def start(self, endpoint: IStreamClientEndpoint, tls: ClientTLS) -> Deferred[Visit]:
        """Dial."""
        over = self._over
        assert over is not None
        self._wait(self._times.dial, DialTooSlow(seconds=round(self._times.dial)))
        factory = LinkClientFactory(tls, _Single(self), self._clock)
        self._attempt: Deferred[Any] = endpoint.connect(factory)
        _ = self._attempt.addErrback(self._no_connection)
        return over

    # -- from the transport

    def handshakeCompleted(self) -> None:
        """TLS is up, and with it what binds the proof to this session."""
        settled = negotiated(self.transport)
        if settled is None or settled.protocol != FETCH_ALPN:
            self._fail(WrongProtocol())
            return
        bound = to_sign(self._identity, exported(self.transport, EXPORTER, EXPORTED))
        capability = sign.public(self._private)
        self._transport.write(self._machine.open(capability, sign.sign(self._private, bound)))

    @override
    def dataReceived(self, data: bytes) -> None:
        for event in self._machine.received(data):
            if isinstance(event, Answered):
                self._opened = True
                self._turn = Deferred.fromCoroutine(self._take(event.item))
                _ = self._turn.addErrback(self._failed)
            else:
                self._ended(event)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._machine.lost()
        if self._end is None:
            broken = not self._opened or reason.check(SSL.Error) is not None
            self._end = translate(reason, self.transport) if broken else NotClosed()
        self._finish(self._end)

    # -- the machine's events

    async def _take(self, item: Item | None) -> None:
        """Make the item safe, let the pause pass, which is as long without one, and go on."""
        self._wait(self._times.answer, Stalled(seconds=round(self._times.answer)))
        pause: Deferred[None] = deferLater(self._clock, self._times.pause)
        kept = Deferred.fromCoroutine(self._safe(item))
        await DeferredList([kept, pause], fireOnOneErrback=True, consumeErrors=True)
        if self._over is not None and self._end is None:
            self._wait(self._times.answer, Stalled(seconds=round(self._times.answer)))
            self._transport.write(self._machine.ask(0 if item is None else item.id))

    async def _safe(self, item: Item | None) -> None:
        if item is not None:
            await self._keep(item)
            self._items += 1

    def _ended(self, ended: Ended) -> None:
        self._end = ended.error or Visit(self._items, ended.held)
        self._wait(self._times.closing, self._end)
        self._transport.loseConnection()

    # -- other ends

    def _no_connection(self, failure: Failure) -> None:
        number = getattr(failure.value, "osError", None)
        problem = os.strerror(number).lower() if isinstance(number, int) else "no connection"
        self._finish(DialFailed(problem=problem))

    def _failed(self, failure: Failure) -> None:
        first = failure.value.subFailure if isinstance(failure.value, FirstError) else failure
        assert isinstance(first.value, Exception)
        self._fail(first.value)

    def _fail(self, error: Exception) -> None:
        self._end = self._end or error
        if self._over is not None:
            self._give_up()

    def _cancelled(self, over: Deferred[Visit]) -> None:
        self._over = None
        self._give_up()

    def _give_up(self) -> None:
        if self.transport is not None:
            self._transport.abortConnection()
        else:
            self._attempt.cancel()

    # -- small things

    @property
    def _transport(self) -> Any:
        return self.transport

    def _wait(self, seconds: float, end: Exception | Visit) -> None:
        """Give up after so many seconds, unless this is called again before."""
        self._unwait()
        self._timer = self._clock.callLater(seconds, self._late, end)

    def _late(self, end: Exception | Visit) -> None:
        self._end = self._end or end
        self._give_up()

    def _unwait(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _finish(self, end: Exception | Visit) -> None:
        self._unwait()
        over, self._over = self._over, None
        if over is None:
            return
        if isinstance(end, Visit):
            over.callback(end)
        else:
            over.errback(end)


class _Single(Factory):
    """Gives its one protocol away."""

    noisy = False

    def __init__(self, protocol: Fetching) -> None:
        self._protocol = protocol

    @override
    def buildProtocol(self, addr: IAddress | None) -> Fetching:
        return self._protocol
