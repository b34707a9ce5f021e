"""A DNS server on loopback that says what a test wants."""

from __future__ import annotations

# mypy: allow-untyped-calls
# (twisted.names has no annotations)
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.error import DNSNameError, DNSServerError
from twisted.names.server import DNSServerFactory
from twisted.python.failure import Failure
from typing_extensions import override

_MAKE: dict[str, Callable[[str], Any]] = {
    "A": lambda text: dns.Record_A(text, 60),
    "AAAA": lambda text: dns.Record_AAAA(text, 60),
    "MX": lambda text: dns.Record_MX(int(text.split()[0]), text.split()[1], 60),
    "PTR": lambda text: dns.Record_PTR(text, 60),
    "TXT": lambda text: dns.Record_TXT(
        *(text.encode()[at : at + 255] for at in range(0, len(text), 255)), ttl=60
    ),
}


@dataclass
class Zone:
    """What is known: texts by name and type; names in *broken* are answered by an error."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def add(self, name: str, kind: str, text: str) -> None:
        """One more record."""
        self.records.setdefault((name, kind), []).append(text)


class _Answers(ResolverBase):
    def __init__(self, zone: Zone) -> None:
        super().__init__()
        self._zone = zone

    @override
    def _lookup(self, name: bytes, cls: int, type: int, timeout: Any) -> Deferred[Any]:
        asked = name.decode("ascii").lower()
        if asked in self._zone.broken:
            return fail(DNSServerError())
        known = {kind: texts for (each, kind), texts in self._zone.records.items() if each == asked}
        if not known:
            return fail(DNSNameError())
        kind = dns.QUERY_TYPES.get(type, "")
        made = [_MAKE[kind](text) for text in known.get(kind, [])]
        return succeed(([dns.RRHeader(name, type, cls, 60, each) for each in made], [], []))


class _Factory(DNSServerFactory):
    noisy = False

    @override
    def gotResolverError(self, failure: Failure, protocol: Any, message: Any, address: Any) -> None:
        if failure.check(DNSServerError) is None:
            super().gotResolverError(failure, protocol, message, address)
        else:
            answer = self._responseFromMessage(message=message, rCode=dns.ESERVER)
            self.sendReply(protocol, answer, address)


class NameServer:
    """The server of *zone*, over UDP and TCP on one port of 127.0.0.1."""

    def __init__(self, reactor: Any, zone: Zone) -> None:
        factory = _Factory(clients=[_Answers(zone)])
        self._tcp = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.port: int = self._tcp.getHost().port
        protocol = dns.DNSDatagramProtocol(factory)
        protocol.noisy = False
        self._udp = reactor.listenUDP(self.port, protocol, interface="127.0.0.1")

    def stop(self) -> Deferred[Any]:
        """Returns when both ports are closed."""
        return DeferredList([self._tcp.stopListening(), self._udp.stopListening()])
