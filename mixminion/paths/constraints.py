"""Which servers may stand together in a path.

Two hops must be of different families and different networks (/16, for IPv6 /32), so that
one operator or one provider does not see a packet twice; two that follow each other must
link with each other; the first takes links from everybody; and a path whose hops' jurisdictions
are all known is not all in one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import combinations, pairwise

from mixminion.directory.consensus import Server
from mixminion.directory.parts import allowed
from mixminion.util.hostport import HostPort


class Rule(StrEnum):
    """What a path should keep to."""

    FAMILY = "family"
    NETWORK = "network"
    LINK = "link"
    ENTRY = "entry"
    JURISDICTION = "jurisdiction"


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that a path does not keep, and the hops (from 0) that break it together."""

    rule: Rule
    hops: tuple[int, ...]


def breaches(path: Sequence[Server]) -> Iterator[Breach]:
    """Every rule that *path* breaks, and where."""
    networks = [frozenset(map(network, server.addresses)) for server in path]
    families = [server.family.lower() for server in path]
    for i, j in combinations(range(len(path)), 2):
        if families[i] and families[i] == families[j]:
            yield Breach(Rule.FAMILY, (i, j))
        if networks[i] & networks[j]:
            yield Breach(Rule.NETWORK, (i, j))
    for i, (a, b) in enumerate(pairwise(path)):
        if not links(a, b):
            yield Breach(Rule.LINK, (i, i + 1))
    if path and not open_to_all(path[0]):
        yield Breach(Rule.ENTRY, (0,))
    places = {server.jurisdiction for server in path}
    if len(path) > 1 and len(places) == 1 and "" not in places:
        yield Breach(Rule.JURISDICTION, tuple(range(len(path))))


@lru_cache(1 << 16)
def network(place: HostPort) -> str:
    """What counts as one network: the first two octets, for IPv6 four, or a name's own."""
    address = place.address
    if address is None:
        return place.host
    return f"{address.version}:{address.packed[: 2 if address.version == 4 else 4].hex()}"


def links(a: Server, b: Server) -> bool:
    """Whether *a* dials some address of *b*, and *b* takes links from some address of *a*."""
    dials = not b.addresses or any(allowed(a.dials, place) for place in b.addresses)
    takes = not a.addresses or any(allowed(b.accepts, place) for place in a.addresses)
    return dials and takes


def open_to_all(server: Server) -> bool:
    """Whether senders anywhere may link to it: over IPv4 or IPv6, where it has an address."""
    closed = {rule.everybody for rule in server.accepts if not rule.allow}
    versions = {4, 6} - closed
    return not server.addresses or any(
        bool(versions) if place.address is None else place.address.version in versions
        for place in server.addresses
    )
