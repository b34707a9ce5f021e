"""What descriptors and consensuses say of a server: its addresses, exits and links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta
from typing_extensions import override

from mixminion.directory import canonical
from mixminion.directory.documents import Count, Part, Word
from mixminion.util.hostport import HostPort

MOST_ADDRESSES = 8
POLICY_DEPTH = 3
"""Objects and arrays in each other, in what an exit publishes, the outermost counted."""
Addresses = Annotated[tuple[HostPort, ...], Meta(max_length=MOST_ADDRESSES)]
ExitName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]{0,31}\Z")]
Words = Annotated[tuple[Word, ...], Meta(max_length=32)]
Jurisdiction = Annotated[str, Meta(pattern=r"^([a-z]{2})?\Z")]
"""ISO 3166-1 alpha-2 in lower case; empty when unknown."""
Family = Annotated[str, Meta(pattern=r"^([A-Za-z][A-Za-z0-9_-]{0,19})?\Z")]
"""A name shared by all servers under one control; empty for a server on its own."""


class Exit(Part, frozen=True):
    """One delivery name of a server: its module, limits and policies."""

    name: ExitName
    module: Word
    max_message: Count  #: octets of a message's content
    policy: dict[str, Any] = msgspec.field(default_factory=dict)  #: what else the module publishes

    @classmethod
    def described(cls, name: str, description: Mapping[str, Any]) -> Self:
        """From :meth:`mixminion.interfaces.IExit.describe`."""
        rest = dict(description)
        return cls(
            name=name,
            module=rest.pop("module"),
            max_message=rest.pop("max-message"),
            policy=rest,
        )


class Rule(Part, frozen=True, omit_defaults=False):
    """Whether addresses of a network (``192.0.2.0/24``, ``2001:db8::/32``) are allowed."""

    allow: bool
    network: str

    def __post_init__(self) -> None:
        if str(ip_network(self.network)) != self.network:
            raise ValueError("a network is not written in its canonical form")

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ``allow NETWORK`` or ``deny NETWORK``; ValueError for anything else."""
        word, _, network = text.partition(" ")
        if word not in ("allow", "deny"):
            raise ValueError("a rule begins with allow or deny")
        return cls(allow=word == "allow", network=str(ip_network(network.strip())))

    @override
    def __str__(self) -> str:
        return f"{'allow' if self.allow else 'deny'} {self.network}"

    @property
    def everybody(self) -> int:
        """4 or 6 where it is about all addresses of that version, else 0."""
        network = _network(self.network)
        return 0 if network.prefixlen else network.version

    def covers(self, place: HostPort) -> bool:
        """Whether this rule is about *place*; one with a host name is in no network."""
        return place.address is not None and place.address in _network(self.network)


@lru_cache(4096)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


MOST_RULES = 256
Rules = Annotated[tuple[Rule, ...], Meta(max_length=MOST_RULES)]
"""The first rule that covers an address decides; one that none covers is allowed."""


def allowed(rules: Iterable[Rule], place: HostPort) -> bool:
    """What *rules* say of *place*."""
    return next((rule.allow for rule in rules if rule.covers(place)), True)


def check_addresses(places: Sequence[HostPort]) -> None:
    """ValueError unless each is as :meth:`HostPort.parse` reads it, with a port, and none twice.

    ``::ffff:192.0.2.1`` is the IPv4 address and nothing else (and Python's releases write it
    in two ways).
    """
    if _plain(places):
        return
    seen = set()
    for place in places:
        if place.port == 0 or place in seen or HostPort.parse(str(place)) != place:
            raise ValueError("an address is not written as it must be, or stands there twice")
        if isinstance(place.address, IPv6Address) and place.address.ipv4_mapped is not None:
            raise ValueError("an IPv4 address is written as one of IPv6")
        seen.add(place)


_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_GROUP = r"[1-9a-f][0-9a-f]{0,3}"
# Some of the canonical forms, not all: IPv4, and IPv6 with one "::" that stands for two groups or
# more, and no other zeros (any but the forms of IPv4 addresses, which begin with "::").
_PLAIN = re.compile(
    rf"{_OCTET}(?:\.{_OCTET}){{3}}"
    rf"|(?!(?:[^:]*:){{7}}){_GROUP}(?::{_GROUP})*::(?:{_GROUP}(?::{_GROUP})*)?"
)


def _plain(places: Sequence[HostPort]) -> bool:
    """Whether each is surely written as it must be, and no two are alike: a quick yes, and a no
    may be wrong.  A consensus has 20,000 addresses, and reading each takes 30 us."""
    written = _PLAIN.fullmatch
    for place in places:
        if not 0 < place.port < 65_536 or not written(place.host):
            return False
    if len(places) == 2:  # as most have, and a set takes as long as reading both
        one, other = places
        return one.port != other.port or one.host != other.host
    return len(places) < 2 or len({(place.host, place.port) for place in places}) == len(places)


# Written out, because everybody must choose among the same servers, and the standard
# library's notion of a global address differs from release to release.
_NOT_PUBLIC = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
            "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
        ),
    )
)  # fmt: skip
_PUBLIC = IPv6Network("2000::/3")


def is_public(place: HostPort) -> bool:
    """Whether everybody can reach *place*, as far as its address tells; a name may be anything."""
    match place.address:
        case None:
            return True
        case IPv4Address() as four:
            return not any(four in network for network in _NOT_PUBLIC)
        case six:
            return six in _PUBLIC


def check_exits(exits: Sequence[Exit]) -> None:
    """ValueError when two have one name, or a policy could stand in a descriptor and not in a
    consensus, where it is two levels deeper."""
    if len(exits) > 1 and len({each.name for each in exits}) != len(exits):
        raise ValueError("two exits have one name")
    for each in exits:
        if each.policy and not canonical.within(each.policy, POLICY_DEPTH):
            raise ValueError("an exit's policy is nested too deep")
