"""Where documents come from, and how a connection there is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from typing_extensions import override

from mixminion.dirhttp.endpoints import TlsEndpoint
from mixminion.dirhttp.errors import BadSource
from mixminion.dirhttp.proxies import NO_PROXIES, Proxies, Proxy
from mixminion.dirhttp.tunnels import AbsoluteFormEndpoint, ConnectEndpoint
from mixminion.interfaces import Clock
from mixminion.util.hostport import HostPort


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


def dial(reactor: Any, clock: Clock, proxies: Proxies = NO_PROXIES) -> Dial:
    """Over TCP, with TLS for those sources that want it, through the proxy that *proxies* name
    for a source."""

    def endpoint(source: Source) -> IStreamClientEndpoint:
        proxy = proxies.of(source.place, tls=source.tls)
        place = source.place if proxy is None else proxy.place
        plain = HostnameEndpoint(reactor, place.host, place.port)
        if proxy is None:
            return over_tls(source, plain, clock)
        return through(proxy, source, plain, clock)

    return endpoint


def over_tls(
    source: Source, endpoint: IStreamClientEndpoint, clock: Clock
) -> IStreamClientEndpoint:
    """*endpoint* with TLS on it, if *source* wants it."""
    return TlsEndpoint(endpoint, clock) if source.tls else endpoint


def through(
    proxy: Proxy, source: Source, endpoint: IStreamClientEndpoint, clock: Clock
) -> IStreamClientEndpoint:
    """*source* by way of *proxy*, to which *endpoint* connects: a tunnel with TLS in it, or plain
    requests for the proxy to pass on."""
    if source.tls:
        return TlsEndpoint(ConnectEndpoint(endpoint, source.place, proxy), clock)
    return AbsoluteFormEndpoint(endpoint, proxy)
