"""What descriptors and consensuses say of a server: its addresses, exits and links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta

from mixminion.directory.documents import Count, Part, Word
from mixminion.util.hostport import HostPort

MOST_ADDRESSES = 8
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

    def covers(self, place: HostPort) -> bool:
        """Whether this rule is about *place*; one with a host name is in no network."""
        network: IPv4Network | IPv6Network = ip_network(self.network)
        return place.address is not None and place.address in network


Rules = Annotated[tuple[Rule, ...], Meta(max_length=256)]
"""The first rule that covers an address decides; one that none covers is allowed."""


def allowed(rules: Iterable[Rule], place: HostPort) -> bool:
    """What *rules* say of *place*."""
    return next((rule.allow for rule in rules if rule.covers(place)), True)


def check_addresses(addresses: Iterable[HostPort]) -> None:
    """ValueError unless each is as :meth:`HostPort.parse` reads it, with a port, and none twice."""
    seen = set()
    for place in addresses:
        if place.port == 0 or place in seen or HostPort.parse(str(place)) != place:
            raise ValueError("an address is not written as it must be, or stands there twice")
        seen.add(place)


def check_exits(exits: Iterable[Exit]) -> None:
    """ValueError when two have one name."""
    names = [each.name for each in exits]
    if len(set(names)) != len(names):
        raise ValueError("two exits have one name")
