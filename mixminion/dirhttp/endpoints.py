"""Endpoints for requests: with TLS as links speak it, and bounded in what they deliver."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from typing_extensions import override
from zope.interface import implementer

from mixminion.interfaces import Clock
from mixminion.net.tls import client_tls
from mixminion.net.transport import LinkClientFactory

ALPN = b"http/1.1"


@implementer(IStreamClientEndpoint)
class TlsEndpoint:
    """TLS as links speak it, for ``http/1.1``, from a client that shows no certificate to a
    server whose identity does not matter; nor do its certificate's dates, or a machine whose
    clock is wrong could not learn that from signed documents."""

    def __init__(self, endpoint: IStreamClientEndpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with *protocolFactory*'s protocol."""
        tls = client_tls(None, None, [ALPN], self._clock, dated=False)
        return _unwrapped(
            self._endpoint.connect(LinkClientFactory(tls, protocolFactory, self._clock))
        )


@implementer(IStreamClientEndpoint)
class BoundedEndpoint:
    """Cuts connections that deliver more than *limit* octets: header, body and all."""

    def __init__(self, endpoint: IStreamClientEndpoint, limit: int) -> None:
        self._endpoint = endpoint
        self._limit = limit
        self._made: list[_Bounding] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with *protocolFactory*'s protocol."""
        bounding = _Bounding(protocolFactory, self._limit)
        self._made.append(bounding)
        return _unwrapped(self._endpoint.connect(bounding))

    def abort(self) -> None:
        """Cut the connections that were made and are still there."""
        for bounding in self._made:
            for protocol in list(bounding.protocols):
                protocol.abortConnection()


class _BoundedProtocol(ProtocolWrapper):
    transport: Any

    def __init__(self, factory: _Bounding, wrappedProtocol: IProtocol) -> None:
        super().__init__(factory, wrappedProtocol)
        self._left = factory.limit

    @override
    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.transport.abortConnection()
        else:
            super().dataReceived(data)  # type: ignore[no-untyped-call]


class _Bounding(WrappingFactory[Any]):
    protocol = _BoundedProtocol
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, limit: int) -> None:
        super().__init__(wrapped)  # type: ignore[no-untyped-call]
        self.limit = limit
        factory: Any = wrapped
        factory.noisy = False  # twisted.web's own would log the begin and end of each request


def _unwrapped(connecting: Deferred[Any]) -> Deferred[IProtocol]:
    return connecting.addCallback(lambda wrapper: wrapper.wrappedProtocol)
