"""Several protocols on one TLS port: the handshake says which one a connection speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IProtocolFactory,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from mixminion.counters import Counters
from mixminion.interfaces import Clock
from mixminion.net.admission import Admission
from mixminion.net.errors import HandshakeTooSlow, LinkRefused, WrongProtocol
from mixminion.net.refusals import report, translate
from mixminion.net.tls import ServerTLS
from mixminion.net.transport import LinkServerFactory

HANDSHAKE = 20.0  #: seconds for a handshake; a quarter of it while the server is crowded


@implementer(IHandshakeListener)
class AlpnProtocol(Protocol):
    """Waits for the handshake, then gives its place to the protocol that was negotiated.

    A connection that does not get so far ends here, counted and logged once."""

    def __init__(self, factory: AlpnFactory, address: Any) -> None:
        self._alpn = factory
        self._address = address
        self._deadline: IDelayedCall | None = None
        self._refusal: LinkRefused | None = None

    @override
    def connectionMade(self) -> None:
        seconds = self._alpn.handshake_seconds()
        self._deadline = self._alpn.clock.callLater(
            seconds, self._refuse, HandshakeTooSlow(seconds=round(seconds))
        )

    def handshakeCompleted(self) -> None:
        """The TLS transport calls this before it delivers any octet."""
        self._cancel()
        tls = cast(TLSMemoryBIOProtocol, self.transport)
        factory = self._alpn.protocols.get(tls.negotiatedProtocol)
        protocol = None if factory is None else factory.buildProtocol(self._address)
        if protocol is None:
            self._refuse(WrongProtocol())
            return
        tls.wrappedProtocol = protocol
        protocol.makeConnection(tls)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancel()
        report(self._refusal or translate(reason, self.transport), "listening", self._alpn.counters)

    def _refuse(self, refusal: LinkRefused) -> None:
        self._refusal = refusal
        cast(TLSMemoryBIOProtocol, self.transport).abortConnection()

    def _cancel(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()


class AlpnFactory(Factory):
    """Goes under a TLS factory; *protocols* maps ALPN names to the factories they mean."""

    noisy = False

    def __init__(
        self,
        protocols: Mapping[bytes, IProtocolFactory],
        clock: Clock,
        counters: Counters,
        admission: Admission,
        handshake: float = HANDSHAKE,
    ) -> None:
        self.protocols: Mapping[Any, IProtocolFactory] = protocols
        self.clock = clock
        self.counters = counters
        self._admission = admission
        self._handshake = handshake

    def handshake_seconds(self) -> float:
        """The deadline for a handshake that begins now."""
        return self._handshake / 4 if self._admission.crowded else self._handshake

    @override
    def doStart(self) -> None:
        for factory in self.protocols.values():
            factory.doStart()

    @override
    def doStop(self) -> None:
        for factory in self.protocols.values():
            factory.doStop()

    @override
    def buildProtocol(self, addr: IAddress | None) -> AlpnProtocol:
        return AlpnProtocol(self, addr)


def link_factory(
    tls: ServerTLS,
    protocols: Mapping[bytes, IProtocolFactory],
    clock: Clock,
    counters: Counters,
    admission: Admission | None = None,
    handshake: float = HANDSHAKE,
) -> LinkServerFactory:
    """All of a link port: limits, TLS, its deadline, and the protocols behind it."""
    admission = admission or Admission()
    alpn = AlpnFactory(protocols, clock, counters, admission, handshake)
    return LinkServerFactory(tls, alpn, clock, admission, counters)
