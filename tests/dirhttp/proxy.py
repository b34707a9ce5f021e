"""An HTTP proxy, small and strict: tunnels, and requests in absolute form passed on."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from typing_extensions import override

Reach = Callable[[str, int], IStreamClientEndpoint]
_CONNECT = re.compile(rb"CONNECT ([^ ]+):([0-9]+) HTTP/1\.1\r\n")
_ABSOLUTE = re.compile(rb"(GET|POST|HEAD) http://([^ /]+?)(?::([0-9]+))?(/[^ ]*) HTTP/1\.1\r\n")


class HttpProxy(Factory):
    """Takes connections; *reach* makes those to the sources.

    ``requests`` has the first lines that came.  Who does not show ``authorization`` gets 407;
    ``answer`` is what everybody gets instead of all this.
    """

    noisy = False

    def __init__(self, reach: Reach, authorization: bytes | None = None) -> None:
        self.reach = reach
        self.authorization = authorization
        self.answer: bytes | None = None
        self.requests: list[bytes] = []

    @override
    def buildProtocol(self, addr: object) -> _Client:
        return _Client(self)


class _Client(Protocol):
    """Who uses the proxy."""

    transport: Any

    def __init__(self, proxy: HttpProxy) -> None:
        self._proxy = proxy
        self._received = b""
        self._far: Any = None
        self._begun = False

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._far is not None:
            self._far.transport.write(data)
            return
        self._received += data
        if not self._begun and b"\r\n\r\n" in self._received:
            self._begun = True
            self._begin()

    @override
    def connectionLost(self, reason: object = None) -> None:
        if self._far is not None:
            self._far.transport.loseConnection()

    def _begin(self) -> None:
        proxy, received = self._proxy, self._received
        proxy.requests.append(received.partition(b"\r\n")[0])
        head = received.partition(b"\r\n\r\n")[0].lower()
        shown = re.search(rb"\r\nproxy-authorization: ([^\r]*)", head)
        wanted = proxy.authorization
        if proxy.answer is not None:
            self._say(proxy.answer)
        elif wanted is not None and (shown is None or shown[1] != wanted.lower()):
            self._say(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n")
        elif match := _CONNECT.match(received):
            self._reach(match[1], match[2], b"HTTP/1.1 200 Connected\r\n\r\n", b"")
        elif match := _ABSOLUTE.match(received):
            line = match[1] + b" " + match[4] + b" HTTP/1.1\r\n"
            self._reach(match[2], match[3] or b"80", b"", line + received[match.end() :])
        else:
            self._say(b"HTTP/1.1 400 What?\r\nContent-Length: 0\r\n\r\n")

    def _say(self, octets: bytes) -> None:
        self.transport.write(octets)
        self.transport.loseConnection()

    def _reach(self, host: bytes, port: bytes, near: bytes, far: bytes) -> None:
        """Connect to the source; then *near* goes to the client and *far* to the source."""

        def reached(protocol: Any) -> None:
            self._far = protocol
            self.transport.write(near)
            protocol.transport.write(far)

        factory = Factory.forProtocol(lambda: _Far(self))
        factory.noisy = False
        endpoint = self._proxy.reach(host.decode().strip("[]"), int(port))
        connecting = endpoint.connect(factory)
        _ = connecting.addCallbacks(
            reached, lambda _: self._say(b"HTTP/1.1 502 Gone\r\nContent-Length: 0\r\n\r\n")
        )


class _Far(Protocol):
    """The source's end."""

    transport: Any

    def __init__(self, client: _Client) -> None:
        self._client = client

    @override
    def dataReceived(self, data: bytes) -> None:
        self._client.transport.write(data)

    @override
    def connectionLost(self, reason: object = None) -> None:
        self._client.transport.loseConnection()
