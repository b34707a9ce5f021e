"""A name server on loopback that says what it is told, and remembers what it was asked."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
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
        self.asked: list[tuple[str, int]] = []

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
        """Answer on a free UDP port, which is returned."""
        factory = server.DNSServerFactory(clients=[self])
        factory.noisy = False
        protocol = dns.DNSDatagramProtocol(factory)
        protocol.noisy = False
        return reactor.listenUDP(0, protocol, interface="127.0.0.1")


def mx(preference: int, host: str) -> dns.Record_MX:
    return dns.Record_MX(preference, host)


def a(address: str) -> dns.Record_A:
    return dns.Record_A(address)


def aaaa(address: str) -> dns.Record_AAAA:
    return dns.Record_AAAA(address)


def txt(*texts: str) -> dns.Record_TXT:
    return dns.Record_TXT(*(text.encode() for text in texts))
