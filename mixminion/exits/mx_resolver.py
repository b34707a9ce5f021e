"""The resolver behind :mod:`mixminion.exits.mx_names`: Twisted's, which asks whether answers were
validated (the AD flag of RFC 4035, asked for as in RFC 6840, 5.7), by UDP and by TCP."""

# mypy: allow-untyped-calls
# (twisted.names has few annotations)

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.names import client, dns
from typing_extensions import override

MOST_PORTS = 10
"""Ports to try for one question."""


def resolver(reactor: Any, servers: Iterable[tuple[str, int]], timeouts: tuple[int, ...]) -> Any:
    """A resolver that asks *servers* in turn."""
    return _Resolver(servers=list(servers), timeout=timeouts, reactor=reactor)


class _Resolver(client.Resolver):
    """Marks every record of an answer with ``validated``."""

    def __init__(self, **words: Any) -> None:
        super().__init__(**words)
        self.factory = _Factory(self, self.timeout)
        self.factory.noisy = False

    @override
    def query(self, query: dns.Query, timeout: Any = None) -> Any:
        # Twisted's way for types that it does not know logs the name.
        return self._lookup(query.name.name, query.cls, query.type, timeout)

    @override
    def filterAnswers(self, message: dns.Message) -> Any:
        for record in message.answers:
            record.validated = bool(message.authenticData)  # type: ignore[attr-defined]
        return super().filterAnswers(message)

    @override
    def _connectedProtocol(self, interface: str = "") -> _Datagrams:
        protocol = _Datagrams(self, reactor=self._reactor)
        protocol.noisy = False
        for attempt in range(MOST_PORTS):
            try:
                self._reactor.listenUDP(dns.randomSource(), protocol, interface=interface)
                break
            except CannotListenError:
                if attempt + 1 == MOST_PORTS:
                    raise
        return protocol


class _Datagrams(dns.DNSDatagramProtocol):
    @override
    def writeMessage(self, message: dns.Message, address: tuple[str, int]) -> None:
        message.authenticData = 1
        super().writeMessage(message, address)


class _Stream(dns.DNSProtocol):
    """Closed with its last answer, where Twisted waits for the other side to do so."""

    transport: Any

    @override
    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if not self.liveMessages:
            self.controller.connectionLost(self)
            self.transport.loseConnection()

    @override
    def writeMessage(self, message: dns.Message) -> None:
        message.authenticData = 1
        super().writeMessage(message)


class _Factory(client.DNSClientFactory):
    @override
    def buildProtocol(self, addr: IAddress | None) -> _Stream:
        protocol = _Stream(self.controller)
        protocol.factory = self
        return protocol
