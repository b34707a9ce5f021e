"""Dialling a server: from an endpoint to a link that it has accepted, or to the reason why not."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.counters import Counters, Name
from mixminion.errors import PeerError
from mixminion.interfaces import Clock
from mixminion.mmtp.errors import DialFailed, DialTooSlow
from mixminion.mmtp.link import ClientTimes, Link, LinkUser
from mixminion.net.errors import LinkRefused
from mixminion.net.refusals import report
from mixminion.net.tls import ClientTLS
from mixminion.net.transport import LinkClientFactory

__all__ = ["ClientTimes", "Link", "LinkUser", "connect"]

log = Logger()


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
    dial = _Dial(clock, counters, times or ClientTimes())
    return dial.start(endpoint, tls, packet_length, user)


class _Dial:
    """One attempt: TCP, TLS and the ``accepted`` frame within one deadline."""

    def __init__(self, clock: Clock, counters: Counters | None, times: ClientTimes) -> None:
        self._clock = clock
        self._counters = counters
        self._times = times
        self._opening: Deferred[Link] | None = Deferred(self._cancelled)

    def start(
        self,
        endpoint: IStreamClientEndpoint,
        tls: ClientTLS,
        packet_length: int,
        user: LinkUser,
    ) -> Deferred[Link]:
        opening = self._opening
        assert opening is not None
        self._link = Link(self._clock, packet_length, user, self._counters, self._times, self)
        self._deadline = self._clock.callLater(self._times.dial, self._too_slow)
        factory = LinkClientFactory(tls, _Single(self._link), self._clock)
        self._attempt: Deferred[Any] = endpoint.connect(factory)
        _ = self._attempt.addErrback(self._no_connection)
        return opening

    # -- from the link

    def opened(self, link: Link) -> None:
        """The server has accepted."""
        opening = self._over()
        if opening is not None:
            opening.callback(link)

    def failed(self, error: PeerError) -> None:
        """There is no link, and will be none: count it, log it, say it."""
        opening = self._over()
        if opening is None:
            return
        if isinstance(error, LinkRefused):
            report(error, "dialling", self._counters)
        else:
            if self._counters is not None:
                self._counters.add(Name.DIAL_FAILED)
            log.info("dialling failed: {code}", code=error.code, side="dialling")
        opening.errback(error)

    # -- other ends

    def _no_connection(self, failure: Failure) -> None:
        self.failed(DialFailed(problem=_problem(failure)))

    def _too_slow(self) -> None:
        self.failed(DialTooSlow(seconds=round(self._times.dial)))
        self._give_up()

    def _cancelled(self, opening: Deferred[Link]) -> None:
        self._over()
        self._give_up()

    def _give_up(self) -> None:
        self._link.give_up()
        self._attempt.cancel()  # nothing, if TCP is up

    def _over(self) -> Deferred[Link] | None:
        """The Deferred to fire; None when that has been done."""
        opening, self._opening = self._opening, None
        if self._deadline.active():
            self._deadline.cancel()
        return opening


class _Single(Factory):
    """Gives its one protocol away."""

    noisy = False

    def __init__(self, link: Link) -> None:
        self._link = link

    @override
    def buildProtocol(self, addr: IAddress | None) -> Link:
        return self._link


def _problem(failure: Failure) -> str:
    """The operating system's word for it, which names no host."""
    error = failure.value
    if isinstance(error, DNSLookupError):
        return "its name is not known"
    number = getattr(error, "osError", None)
    if isinstance(error, ConnectError) and isinstance(number, int):
        return os.strerror(number).lower()
    return "no connection"
