"""Policies over HTTPS: the certificate checked, nothing followed, all bounded."""

# mypy: allow-untyped-calls
# (twisted.protocols has no annotations)

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from typing_extensions import override
from zope.interface import implementer

from mixminion.exits.mta_sts import NoPolicy
from mixminion.exits.mx_names import Names
from mixminion.exits.smtp_tls import TlsMaker

LONGEST = 1 << 16
"""Octets of a whole answer."""

TIMEOUT = 30.0
MOST_TRIED = 2  #: addresses
HTTPS = 443


class HttpsFetch:
    """A :class:`~mixminion.exits.mta_sts.Fetch`.  *tls* makes the client's side for a host;
    with *internal* the host may be at an address that is not public."""

    def __init__(
        self, reactor: Any, names: Names, tls: TlsMaker, *, internal: bool, port: int = HTTPS
    ) -> None:
        self._reactor = reactor
        self._names = names
        self._tls = tls
        self._internal = internal
        self._port = port

    def __call__(self, domain: str) -> Awaitable[bytes]:
        """See :class:`~mixminion.exits.mta_sts.Fetch`."""
        return self._checked(domain)

    async def _checked(self, domain: str) -> bytes:
        try:
            return await ensureDeferred(self._fetch(domain)).addTimeout(TIMEOUT, self._reactor)
        except Exception:  # of many kinds, most of which say the name
            raise NoPolicy from None

    async def _fetch(self, domain: str) -> bytes:
        host = f"mta-sts.{domain}"
        addresses = await self._names.addresses(host, six=False)
        usable = [each for each in addresses if self._internal or ip_address(each).is_global]
        for address in usable[:MOST_TRIED]:
            endpoint: Any = TCP4ClientEndpoint(self._reactor, address, self._port)
            tls = self._tls(host)
            if tls is None:
                break
            try:
                return await self._get(host, wrapClientTLS(tls, endpoint))
            except NoPolicy:
                raise
            except Exception:  # of many kinds; perhaps the next address
                continue
        raise NoPolicy

    async def _get(self, host: str, endpoint: IStreamClientEndpoint) -> bytes:
        agent: Any = Agent.usingEndpointFactory(self._reactor, _One(_Bounded(endpoint)))
        url = f"https://{host}/.well-known/mta-sts.txt".encode("ascii")
        response = await agent.request(b"GET", url, Headers({b"Accept": [b"text/plain"]}))
        kinds = response.headers.getRawHeaders(b"content-type", [b""])
        text: bytes = await readBody(response)
        if response.code != 200 or kinds[0].split(b";")[0].strip().lower() != b"text/plain":
            raise NoPolicy
        return text


@implementer(IAgentEndpointFactory)
class _One:
    """Whatever is asked for is behind one endpoint."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: object) -> IStreamClientEndpoint:
        return self._endpoint


@implementer(IStreamClientEndpoint)
class _Bounded:
    """An endpoint whose connections end after :data:`LONGEST` octets."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        factory = WrappingFactory(protocolFactory)
        factory.protocol = _Counted
        factory.noisy = False
        unwrap: Callable[[Any], Any] = lambda wrapper: wrapper.wrappedProtocol  # noqa: E731
        return self._endpoint.connect(factory).addCallback(unwrap)


class _Counted(ProtocolWrapper):
    transport: Any
    received = 0

    @override
    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)
        if self.received > LONGEST:
            self.transport.abortConnection()
        else:
            super().dataReceived(data)
