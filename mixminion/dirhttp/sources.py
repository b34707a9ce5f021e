"""Where documents come from, and how a connection there is made and bounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from typing_extensions import override
from zope.interface import implementer

from mixminion.dirhttp.errors import BadSource
from mixminion.interfaces import Clock
from mixminion.net.tls import client_tls
from mixminion.net.transport import LinkClientFactory
from mixminion.util.hostport import HostPort

ALPN = b"http/1.1"


@dataclass(frozen=True, slots=True)
class Source:
    """A place that serves documents: a server's own port by TLS and ALPN, or plain HTTP.

    What it serves is signed, so that it need not prove who it is.
    """

    place: HostPort
    tls: bool = True

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``https://HOST:PORT/`` or ``http://HOST:PORT/``.

        :raises BadSource: it is something else.
        """
        scheme, _, rest = text.partition("://")
        if scheme not in ("http", "https"):
            raise BadSource(text=text)
        try:
            place = HostPort.parse(
                rest.removesuffix("/"), default_port=80 if scheme == "http" else 443
            )
        except ValueError:
            raise BadSource(text=text) from None
        return cls(place, scheme == "https")

    def url(self, path: bytes) -> bytes:
        """What a request for *path* is sent to; the endpoint adds TLS, not the agent."""
        return b"http://%b%b" % (str(self.place).encode("ascii"), path)

    @override
    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.place}/"


Dial = Callable[[Source], IStreamClientEndpoint]
"""How a source is reached."""


def dial(reactor: Any, clock: Clock) -> Dial:
    """Over TCP, with TLS for those sources that want it."""

    def endpoint(source: Source) -> IStreamClientEndpoint:
        return over_tls(
            source, HostnameEndpoint(reactor, source.place.host, source.place.port), clock
        )

    return endpoint


def over_tls(
    source: Source, endpoint: IStreamClientEndpoint, clock: Clock
) -> IStreamClientEndpoint:
    """*endpoint* with TLS on it, if *source* wants it."""
    return TlsEndpoint(endpoint, clock) if source.tls else endpoint


@implementer(IStreamClientEndpoint)
class TlsEndpoint:
    """TLS as links speak it, for ``http/1.1``, from a client that shows no certificate to a
    server whose identity does not matter."""

    def __init__(self, endpoint: IStreamClientEndpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with *protocolFactory*'s protocol."""
        tls = client_tls(None, None, [ALPN], self._clock)
        return _unwrapped(
            self._endpoint.connect(LinkClientFactory(tls, protocolFactory, self._clock))
        )


@implementer(IStreamClientEndpoint)
class BoundedEndpoint:
    """Cuts connections that deliver more than *limit* octets: header, body and all."""

    def __init__(self, endpoint: IStreamClientEndpoint, limit: int) -> None:
        self._endpoint = endpoint
        self._limit = limit

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with *protocolFactory*'s protocol."""
        return _unwrapped(self._endpoint.connect(_Bounding(protocolFactory, self._limit)))


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


def _unwrapped(connecting: Deferred[Any]) -> Deferred[IProtocol]:
    return connecting.addCallback(lambda wrapper: wrapper.wrappedProtocol)
