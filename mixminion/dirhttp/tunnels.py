"""The ways through an HTTP proxy.

``https`` sources go through a tunnel (CONNECT, RFC 9110 9.3.6), with TLS inside it to the source
itself; requests for ``http`` sources are sent to the proxy in absolute form (RFC 9112 3.2.2).
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from mixminion.dirhttp.proxies import Proxy
from mixminion.util.hostport import HostPort

_LONGEST = 16_384
"""Octets of a proxy's answer to CONNECT."""
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r?\n", re.ASCII)
_END = re.compile(rb"\r?\n\r?\n")


class ProxyRefused(ConnectError):
    """A proxy did not make a tunnel: it answered ``status``, or something else than HTTP."""

    def __init__(self, status: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.status = status


@implementer(IStreamClientEndpoint)
class AbsoluteFormEndpoint:
    """Leads to a proxy that passes plain requests on: they name their source in full."""

    def __init__(self, endpoint: IStreamClientEndpoint, proxy: Proxy) -> None:
        self._endpoint = endpoint
        self.fields = proxy.fields  #: header fields that requests need besides

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with *protocolFactory*'s protocol."""
        return self._endpoint.connect(protocolFactory)


@implementer(IStreamClientEndpoint)
class ConnectEndpoint:
    """Leads to *place* through a tunnel that a proxy makes; *endpoint* leads to the proxy."""

    def __init__(self, endpoint: IStreamClientEndpoint, place: HostPort, proxy: Proxy) -> None:
        self._endpoint = endpoint
        target = str(place).encode("ascii")
        lines = [b"CONNECT %b HTTP/1.1" % target, b"Host: " + target]
        lines += [b"%b: %b" % each for each in proxy.fields.items()]
        self._request = b"\r\n".join([*lines, b"", b""])

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with *protocolFactory*'s protocol; fails with :class:`ProxyRefused`, too."""

        def cancel(opened: Deferred[IProtocol]) -> None:
            connecting.cancel()
            tunnel.abort()

        opened: Deferred[IProtocol] = Deferred(cancel)
        tunnel = _Tunnels(self._request, protocolFactory, opened)
        connecting = self._endpoint.connect(tunnel)
        _ = connecting.addErrback(tunnel.failed)
        return opened


class _Tunnels(Factory):
    """Makes the one connection to the proxy."""

    noisy = False

    def __init__(
        self, request: bytes, wrapped: IProtocolFactory, opened: Deferred[IProtocol]
    ) -> None:
        self.request = request
        self.wrapped = wrapped
        self._opened: Deferred[IProtocol] | None = opened
        self._tunnel: _Tunnel | None = None

    @override
    def buildProtocol(self, addr: IAddress | None) -> _Tunnel:
        self._tunnel = _Tunnel(self)
        return self._tunnel

    def abort(self) -> None:
        """Nobody wants the tunnel any more."""
        if self._tunnel is not None and self._tunnel.connected:
            self._tunnel.transport.abortConnection()

    def succeeded(self, protocol: IProtocol) -> None:
        """The tunnel is there."""
        opened, self._opened = self._opened, None
        if opened is not None and not opened.called:
            opened.callback(protocol)

    def failed(self, failure: Failure) -> None:
        """There is no tunnel."""
        opened, self._opened = self._opened, None
        if opened is not None and not opened.called:
            opened.errback(failure)


class _Tunnel(Protocol):
    """Asks the proxy for a tunnel, and then is not there any more."""

    transport: Any

    def __init__(self, factory: _Tunnels) -> None:
        self._tunnels = factory
        self._answer = b""
        self._inner: IProtocol | None = None

    @override
    def connectionMade(self) -> None:
        self.transport.write(self._tunnels.request)

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        self._answer += data
        end = _END.search(self._answer)
        if end is None and len(self._answer) <= _LONGEST:
            return
        status = _STATUS.match(self._answer)
        code = None if status is None else int(status[1])
        if end is None or code is None or not 200 <= code < 300:
            self._tunnels.failed(Failure(ProxyRefused(code)))
            self.transport.abortConnection()
            return
        self._open(self._answer[end.end() :])

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is not None:
            self._inner.connectionLost(reason)
        else:
            self._tunnels.failed(Failure(ProxyRefused(None)))

    def _open(self, rest: bytes) -> None:
        inner = self._tunnels.wrapped.buildProtocol(self.transport.getPeer())
        if inner is None:
            self._tunnels.failed(Failure(ProxyRefused(None)))
            self.transport.abortConnection()
            return
        self._inner = inner
        inner.makeConnection(self.transport)
        self._tunnels.succeeded(inner)
        if rest:
            inner.dataReceived(rest)
