"""A name server on loopback that says what it is told, and remembers what it was asked."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, gatherResults, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.names import common, dns, server
from twisted.names.error import DomainError


class Zone(common.ResolverBase):
    """*records* by name; a name that is not there does not exist; ``broken`` ones fail, and
    ``silent`` ones are never answered."""

    def __init__(self, **records: list[Any]) -> None:
        super().__init__()
        self.records: dict[str, list[Any]] = dict(records)
        self.broken: set[str] = set()
        self.silent: set[str] = set()
        self.validated: set[str] = set()  #: names whose answers are said to be
        self.large: set[str] = set()  #: names whose answers do not fit into a datagram
        self.asked: list[tuple[str, int]] = []

    def query(self, query: dns.Query, timeout: object = None) -> Deferred[Any]:
        return self._lookup(query.name.name, query.cls, query.type, timeout)

    def _lookup(self, name: bytes, cls: int, type: int, timeout: object) -> Deferred[Any]:
        wanted = name.decode().lower()
        self.asked.append((wanted, type))
        if wanted in self.broken:
            return fail(RuntimeError("told to fail"))
        if wanted in self.silent:
            return Deferred()
        if wanted not in self.records:
            return fail(DomainError(name))
        answers = [
            dns.RRHeader(name, each.TYPE, dns.IN, 60, each)
            for each in self.records[wanted]
            if each.TYPE in (type, dns.CNAME)
        ]
        return succeed((answers, [], []))

    def listen(self, reactor: Any) -> Any:
        """Answer on a free UDP port, which is returned; streams are answered there too while
        it is open."""
        factory = _Factory(self)
        protocol = dns.DNSDatagramProtocol(factory)
        protocol.noisy = False
        udp, stream = _both(reactor, protocol, factory)
        stop = udp.stopListening
        udp.stopListening = lambda: gatherResults(
            [maybeDeferred(stop), maybeDeferred(stream.stopListening)]
        )
        return udp


def _both(reactor: Any, protocol: Any, factory: Any) -> tuple[Any, Any]:
    """A datagram and a stream port of one number: one that is free here may be taken there."""
    for _ in range(20):
        stream = reactor.listenTCP(0, factory, interface="127.0.0.1")
        try:
            number = stream.getHost().port
            return reactor.listenUDP(number, protocol, interface="127.0.0.1"), stream
        except CannotListenError:
            stream.stopListening()
    raise RuntimeError("there is no port of which both kinds are free")


class _Factory(server.DNSServerFactory):
    noisy = False

    def __init__(self, zone: Zone) -> None:
        super().__init__(clients=[zone])
        self._zone = zone

    def sendReply(self, protocol: Any, message: dns.Message, address: Any) -> None:
        name = message.queries[0].name.name.decode().lower()
        message.authenticData = name in self._zone.validated
        if address is not None and name in self._zone.large:
            message.trunc = 1
            message.answers = []
        super().sendReply(protocol, message, address)

    def messageReceived(self, message: dns.Message, protocol: Any, address: Any = None) -> None:
        # A resolver says whether it validated to those alone who ask for it.
        if message.authenticData:
            super().messageReceived(message, protocol, address)


def mx(preference: int, host: str) -> dns.Record_MX:
    return dns.Record_MX(preference, host)


def a(address: str) -> dns.Record_A:
    return dns.Record_A(address)


def aaaa(address: str) -> dns.Record_AAAA:
    return dns.Record_AAAA(address)


def txt(*texts: str) -> dns.Record_TXT:
    return dns.Record_TXT(*(text.encode() for text in texts))


def tlsa(*octets: int, data: bytes) -> dns.UnknownRecord:
    record = dns.UnknownRecord(bytes(octets) + data)
    record.TYPE = 52  # type: ignore[assignment]
    return record
