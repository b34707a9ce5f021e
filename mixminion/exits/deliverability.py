"""Looking from outside at what keeps an exit's mail from being taken: DNS, block lists, port 25."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.names import dns, error
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.exits.records import Exit, IPAddress, reversed_in, tags
from mixminion.interfaces import Clock

MOST_LOOKUPS = 10
"""Of a SPF record, as RFC 7208, 4.6.4, says."""

GREETING = 30.0
"""Seconds for a mail server's first line."""

_LISTED = ip_network("127.0.0.0/16")


class State(enum.StrEnum):
    """What a look found."""

    OK = "ok"
    WARNING = "warning"  #: mail may arrive all the same
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; *said* is a sentence."""

    what: str
    state: State
    said: str


class Resolver(Protocol):
    """As much of :class:`twisted.names.client.Resolver` as is used."""

    def query(self, query: Any, timeout: Any = None) -> Deferred[Any]: ...


class Unanswered(Exception):
    """The DNS did not say anything about a name."""


class Names:
    """Answers of the DNS, as plain values."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def texts(self, name: str) -> list[str]:
        """TXT records."""
        found = await self._ask(name, dns.TXT)
        return [b"".join(each.data).decode("latin-1") for each in found]

    async def hosts(self, name: str) -> list[str]:
        """The names in MX records, the most preferred first."""
        found = sorted(await self._ask(name, dns.MX), key=lambda each: each.preference)
        return [_name(each.name) for each in found]

    async def pointers(self, address: IPAddress) -> list[str]:
        """The names in PTR records."""
        return [_name(each.name) for each in await self._ask(address.reverse_pointer, dns.PTR)]

    async def addresses(self, name: str, *, four_only: bool = False) -> list[IPAddress]:
        """A and AAAA records."""
        kinds = (dns.A,) if four_only else (dns.A, dns.AAAA)
        return [ip_address(each.address) for kind in kinds for each in await self._ask(name, kind)]

    async def _ask(self, name: str, kind: int) -> list[Any]:
        try:
            answers, _, _ = await self._resolver.query(dns.Query(name.encode("ascii"), kind))
        except (error.DNSNameError, error.AuthoritativeDomainError):
            return []
        except Exception:  # it raises what has no common base
            raise Unanswered from None
        return [each.payload for each in answers if each.type == kind]


async def look(exit: Exit, names: Names, block_lists: Sequence[str]) -> AsyncIterator[Finding]:
    """Everything that can be looked up about *exit*."""
    steps = [
        ("SPF", _spf(exit, names)),
        *((f"DKIM {key.selector}", _dkim(key, names)) for key in exit.keys),
        ("DMARC", _dmarc(exit, names)),
        ("MX", _mx(exit, names)),
        *((f"EHLO {each}", _hello(exit, each, names)) for each in exit.addresses),
        *((f"PTR {each}", _pointer(exit, each, names)) for each in exit.addresses),
        *(
            (f"{zone} {each}", _listed(zone, each, names))
            for each in exit.addresses
            for zone in block_lists
        ),
    ]
    if not exit.keys:
        said = "No dkim-keys here: the relay has to sign, or much of the mail will not arrive."
        yield Finding("DKIM", State.WARNING, said)
    if not exit.addresses:
        said = "Nobody knows from which address mail leaves: name it with --address."
        yield Finding("addresses", State.WARNING, said)
    for what, step in steps:
        try:
            state, said = await step
        except Unanswered:
            state, said = State.WARNING, "The DNS did not answer; look again later."
        yield Finding(what, state, said)


# -- the looks -----------------------------------------------------------------------------------


async def _spf(exit: Exit, names: Names) -> tuple[State, str]:
    found = [text for text in await names.texts(exit.domain) if _is_spf(text)]
    if len(found) != 1:
        return State.WRONG, f"{exit.domain} has {len(found)} SPF records; it needs one."
    spf = _Spf(names)
    out = [
        str(each) for each in exit.addresses if not await spf.allows(found[0], exit.domain, each)
    ]
    if out:
        return State.WRONG, f"The SPF record does not allow {', '.join(out)}."
    if not found[0].rstrip().endswith(("-all", "~all")) and "redirect=" not in found[0]:
        return State.WARNING, "The SPF record does not end in -all: anybody may use the domain."
    return State.OK, "The SPF record allows the addresses that mail leaves from."


class _Spf:
    """Whether a record lets an address pass (RFC 7208), without macros and ``exists``."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._left = MOST_LOOKUPS

    async def allows(self, record: str, domain: str, address: IPAddress) -> bool:
        for term in record.lower().split()[1:]:
            mechanism = term.lstrip("+-~?")
            if await self._matches(mechanism, domain, address):
                return term == mechanism or term[0] == "+"
        redirect = [term[9:] for term in record.lower().split() if term.startswith("redirect=")]
        return bool(redirect) and await self._included(redirect[0], address)

    async def _matches(self, mechanism: str, domain: str, address: IPAddress) -> bool:
        name, _, value = mechanism.partition(":")
        prefix = ""
        if name.split("/")[0] in {"a", "mx"}:
            name, value, prefix = _three(mechanism)
        if name == "all":
            return True
        if name in {"ip4", "ip6"}:
            return _inside(address, value)
        if name == "include":
            return await self._included(value, address)
        if name in {"a", "mx"} and self._spend():
            hosts = [value or domain] if name == "a" else await self._names.hosts(value or domain)
            for host in hosts[:MOST_LOOKUPS]:
                for each in await self._names.addresses(host):
                    if _inside(address, f"{each}/{prefix}" if prefix else str(each)):
                        return True
        return False

    async def _included(self, domain: str, address: IPAddress) -> bool:
        if not self._spend():
            return False
        found = [text for text in await self._names.texts(domain) if _is_spf(text)]
        return len(found) == 1 and await self.allows(found[0], domain, address)

    def _spend(self) -> bool:
        self._left -= 1
        return self._left >= 0


def _three(mechanism: str) -> tuple[str, str, str]:
    """``a:host/24`` in parts, of which only the first has to be there; of ``/24//64`` the first."""
    whole, _, prefix = mechanism.partition("/")
    name, _, value = whole.partition(":")
    return name, value, prefix.partition("/")[0]


def _is_spf(text: str) -> bool:
    return text.lower().split(" ")[0] == "v=spf1"


def _inside(address: IPAddress, network: str) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False


async def _dkim(key: Any, names: Names) -> tuple[State, str]:
    found = [tags(text) for text in await names.texts(key.name)]
    if not found:
        return State.WRONG, f"There is no record {key.name}."
    if not any(each.get("p") == tags(key.record)["p"] for each in found):
        return State.WRONG, f"The record {key.name} is of another key."
    return State.OK, f"The record {key.name} is of the key that signs."


async def _dmarc(exit: Exit, names: Names) -> tuple[State, str]:
    found = [tags(text) for text in await names.texts(f"_dmarc.{exit.domain}")]
    policies = [each.get("p", "") for each in found if each.get("v") == "DMARC1"]
    if len(policies) != 1:
        return State.WRONG, f"_dmarc.{exit.domain} has {len(policies)} DMARC records; it needs one."
    if policies[0] not in {"quarantine", "reject"}:
        return State.WARNING, "The DMARC record lets forgeries pass: say p=reject."
    return State.OK, f"The DMARC record says {policies[0]}."


async def _mx(exit: Exit, names: Names) -> tuple[State, str]:
    hosts = await names.hosts(exit.domain)
    if not hosts:
        return State.WRONG, f"{exit.domain} has no MX: bounces and complaints reach nobody."
    if not any([await names.addresses(host) for host in hosts]):
        return State.WRONG, f"The MX of {exit.domain} has no address."
    return State.OK, f"Mail for {exit.domain} goes to {', '.join(hosts)}."


async def _hello(exit: Exit, address: IPAddress, names: Names) -> tuple[State, str]:
    if address not in await names.addresses(exit.host):
        return State.WRONG, f"{exit.host}, which EHLO says, is not {address}."
    return State.OK, f"{exit.host}, which EHLO says, is {address}."


async def _pointer(exit: Exit, address: IPAddress, names: Names) -> tuple[State, str]:
    found = await names.pointers(address)
    if not found:
        return State.WRONG, f"{address} has no name (PTR); many servers refuse its mail."
    if exit.host not in found:
        return State.WARNING, f"{address} is called {found[0]}, and EHLO says {exit.host}."
    return State.OK, f"{address} is called {exit.host}."


async def _listed(zone: str, address: IPAddress, names: Names) -> tuple[State, str]:
    found = await names.addresses(reversed_in(address, zone), four_only=True)
    if not found:
        return State.OK, f"{zone} does not list {address}."
    if all(each in _LISTED for each in found):
        return State.WRONG, f"{zone} lists {address}: look there why, and how to get off."
    return State.WARNING, f"{zone} does not answer this resolver; ask it by another one."


def _name(found: Any) -> str:
    text: str = found.name.decode("ascii", "replace")
    return text.lower().rstrip(".")


# -- port 25 -------------------------------------------------------------------------------------


class _Greeted(LineReceiver):
    """Waits for the first line of a mail server, and takes leave."""

    MAX_LENGTH = 1000
    transport: Any

    def __init__(self, answered: Deferred[bytes]) -> None:
        self._answered = answered

    @override
    def lineReceived(self, line: bytes) -> None:
        if not self._answered.called:
            self.transport.write(b"QUIT\r\n")
            self.transport.loseConnection()
            self._answered.callback(line)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._answered.called:
            self._answered.callback(b"")


async def port_25(host: str, endpoint: IStreamClientEndpoint, clock: Clock) -> Finding:
    """Whether a mail server elsewhere can be reached from here."""
    what = f"port 25 of {host}"
    answered: Deferred[bytes] = Deferred()
    try:
        protocol: Any = await endpoint.connect(Factory.forProtocol(lambda: _Greeted(answered)))
    except Exception:
        said = "It cannot be reached: whoever runs this network closes port 25; use a relay."
        return Finding(what, State.WRONG, said)
    timer = clock.callLater(GREETING, protocol.transport.abortConnection)
    line = await answered
    if timer.active():
        timer.cancel()
    if line.startswith(b"220"):
        return Finding(what, State.OK, "It answers.")
    return Finding(what, State.WRONG, "It can be reached and does not greet as a mail server.")
