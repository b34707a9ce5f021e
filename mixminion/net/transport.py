"""The TLS transport under every link, and the factory a listening port runs."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, IProtocolFactory, ITCPTransport, ITransport
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.counters import Counters
from mixminion.interfaces import Clock
from mixminion.net.admission import Admission, Prefix, prefix_of
from mixminion.net.errors import LinkRefused
from mixminion.net.refusals import report
from mixminion.net.tls import ClientTLS, ServerTLS


class LinkTransport(BufferingTLSTransport):
    """TLS over a byte transport: writes of one reactor turn leave together.

    Twisted's own path, with its 16 KiB a call, costs 36 to 42 us for a frame of 32 KiB and
    passes 22,000 of them a second one way between two processes; larger calls into OpenSSL
    saved a tenth of that and were not worth the private methods.
    """

    prefix: Prefix | None = None  #: what the connection is counted under, where it listens

    @override
    def makeConnection(self, transport: ITransport) -> None:
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]

    @override
    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        """TLS has ended.  A producer that is still registered would never be asked to stop,
        and one that is paused keeps the connection open until it writes."""
        self.unregisterProducer()  # type: ignore[no-untyped-call]
        super()._tlsShutdownFinished(reason)  # type: ignore[no-untyped-call]


class LinkClientFactory(TLSMemoryBIOFactory):
    """Runs *wrapped*'s protocols over TLS as the dialling side."""

    protocol = LinkTransport

    def __init__(self, tls: ClientTLS, wrapped: IProtocolFactory, clock: Clock) -> None:
        super().__init__(tls, True, wrapped, clock=clock)


class LinkServerFactory(TLSMemoryBIOFactory):
    """Runs *wrapped*'s protocols over TLS as the listening side, within *admission*.

    A connection that it turns away is closed before TLS begins."""

    protocol = LinkTransport

    def __init__(
        self,
        tls: ServerTLS,
        wrapped: IProtocolFactory,
        clock: Clock,
        admission: Admission,
        counters: Counters,
    ) -> None:
        super().__init__(tls, False, wrapped, clock=clock)
        self._admission = admission
        self._counters = counters

    @override
    def buildProtocol(self, addr: IAddress | None) -> Any:
        host = getattr(addr, "host", None)
        prefix = prefix_of(host)
        try:
            self._admission.check(host)
            self._admission.enter(prefix)
        except LinkRefused as error:
            report(error, "listening", self._counters)
            return None
        protocol: Any = super().buildProtocol(addr)
        protocol.prefix = prefix
        return protocol

    @override
    def unregisterProtocol(self, p: Any) -> None:
        super().unregisterProtocol(p)  # type: ignore[no-untyped-call]
        self._admission.leave(p.prefix)
