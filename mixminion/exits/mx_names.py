"""Which hosts take a domain's mail (RFC 5321, 5.1; RFC 7505), by a resolver that is given.

Whoever runs the resolver learns to which domains mail goes, and when: let it be this machine's
own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

from twisted.names import dns
from twisted.names.error import DNSNameError

from mixminion.errors import PeerError
from mixminion.exits import dane, mx_resolver

MOST_HOSTS = 10
MOST_ADDRESSES = 4
"""Of one host."""

MOST_CERTIFICATES = 20
TLSA = 52

TIMEOUTS = (2, 5, 10)
"""Seconds for each try of a question."""

RESOLV_CONF = Path("/etc/resolv.conf")
LOCAL = "127.0.0.1"


class NoMail(PeerError):
    """A domain takes no mail, for good.  Field: ``reason``, a word."""

    code = "no-mail-domain"
    sentence = "The domain takes no mail ({reason})."

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)
        self.reason: str = reason


class NoAnswer(PeerError):
    """The names cannot be resolved now."""

    code = "no-name-answer"
    sentence = "The names cannot be resolved now."


class Names:
    """Questions about mail; *resolver* is called once, when there is one to ask, for an
    :class:`twisted.internet.interfaces.IResolver`."""

    def __init__(self, resolver: Callable[[], Any]) -> None:
        self._make = resolver
        self._resolver: Any = None

    async def hosts(self, domain: str) -> tuple[list[tuple[int, str]], bool]:
        """The hosts that take mail for *domain*, with their preferences, the best first; the
        domain itself where it names none.  And whether the answer that names them was validated.

        :raises NoMail: ``no-domain``, or ``null-mx`` where it says that it takes none.
        :raises NoAnswer: for now.
        """
        found = await self._records(domain, dns.MX)
        if found is None:
            raise NoMail("no-domain")
        hosts = sorted((each.payload.preference, _text(each.payload.name)) for each in found)
        if not hosts:
            return [(0, domain)], False
        if all(name == "" for _, name in hosts):
            raise NoMail("null-mx")
        named = [(preference, name) for preference, name in hosts if name]
        return named[:MOST_HOSTS], _validated(found)

    async def certificates(self, host: str, port: int) -> tuple[dane.Record, ...] | None:
        """What the DNS vouches for at *host*; None where it vouches for nothing.

        :raises NoAnswer: for now; mail may not be sent there meanwhile.
        """
        found = await self._records(f"_{port}._tcp.{host}", TLSA)
        if not found or not _validated(found):
            return None
        return dane.parse(each.payload.data for each in found[:MOST_CERTIFICATES])

    async def addresses(self, host: str, *, six: bool) -> list[str]:
        """The IPv6 addresses of *host*, or those of IPv4; none where it has none.

        :raises NoAnswer: for now.
        """
        found = await self._ask(host, dns.AAAA if six else dns.A)
        return [each.dottedQuad() if not six else _six(each) for each in found or ()][
            :MOST_ADDRESSES
        ]

    async def texts(self, name: str) -> list[bytes]:
        """The texts of *name*, each put together; raises :class:`NoAnswer`."""
        return [b"".join(each.data) for each in await self._ask(name, dns.TXT) or ()]

    async def confirmed(self, address: str) -> bool:
        """Whether the name of an IPv6 *address* leads back to it; raises :class:`NoAnswer`."""
        pointers = await self._ask(IPv6Address(address).reverse_pointer, dns.PTR)
        for pointer in (pointers or ())[:MOST_ADDRESSES]:
            back = await self.addresses(_text(pointer.name), six=True)
            if ip_address(address) in map(ip_address, back):
                return True
        return False

    async def _ask(self, name: str, kind: int) -> list[Any] | None:
        """The payloads of type *kind* in the answer; None for a name that does not exist."""
        found = await self._records(name, kind)
        return None if found is None else [each.payload for each in found]

    async def _records(self, name: str, kind: int) -> list[Any] | None:
        """The same with their headers."""
        if self._resolver is None:
            self._resolver = self._make()
        try:
            answers, _, _ = await self._resolver.query(
                dns.Query(name.encode("ascii"), kind, dns.IN), timeout=TIMEOUTS
            )
        except DNSNameError:
            return None
        except Exception:  # of many kinds, all of which say the name
            raise NoAnswer from None
        return [each for each in answers if each.type == kind]


def _validated(found: Iterable[Any]) -> bool:
    return all(getattr(each, "validated", False) for each in found)


def _text(name: dns.Name) -> str:
    """A name from the world: what is not ASCII becomes none of ours."""
    return name.name.decode("ascii", "replace").lower().rstrip(".")


def _six(record: dns.Record_AAAA) -> str:
    return str(IPv6Address(record.address))


def resolver(reactor: Any, servers: Iterable[tuple[str, int]]) -> Any:
    """A resolver that asks *servers* in turn."""
    return mx_resolver.resolver(reactor, servers, TIMEOUTS)


def system_servers(path: Path = RESOLV_CONF) -> list[tuple[str, int]]:
    """The resolvers of this machine; the one on loopback where none is named."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except (OSError, UnicodeDecodeError):
        lines = []
    named = [line[1] for line in lines if len(line) > 1 and line[0] == "nameserver"]
    return [(name, dns.PORT) for name in named if _is_address(name)] or [(LOCAL, dns.PORT)]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
