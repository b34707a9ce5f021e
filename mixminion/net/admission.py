"""Who may connect, and how many connections are open, in all and from one address prefix.

IPv4 is counted by single address, for neighbours in a /24 have nothing to do with each other
and share no fate; IPv6 by /64, the least that one subscriber gets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

from mixminion.net.errors import NotWanted, TooManyConnections

Prefix = int | IPv4Address


def prefix_of(host: str | None) -> Prefix | None:
    """What connections from *host* are counted under: the IPv4 address, the upper 64 bits
    of an IPv6 one, ``::ffff:a.b.c.d`` as the IPv4 address it is.  None for a peer without
    an IP address (an onion service, a memory transport): it counts in the total only."""
    try:
        address = ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or int(address) >> 64
    return address


class Admission:
    """Counts open connections against a cap per prefix and one for all; *wanted* says of an
    address whether anything is taken from it."""

    def __init__(
        self,
        per_prefix: int = 64,
        total: int = 1024,
        wanted: Callable[[str], bool] = lambda host: True,
    ) -> None:
        self._per_prefix = per_prefix
        self._total = total
        self._wanted = wanted
        self._open: Counter[Prefix] = Counter()
        self.count = 0  #: connections open now

    @property
    def crowded(self) -> bool:
        """Whether more than half of all connections are taken: deadlines become shorter."""
        return 2 * self.count > self._total

    def check(self, host: str | None) -> None:
        """:class:`NotWanted` where no connection from *host* is to be taken."""
        if host is not None and not self._wanted(host):
            raise NotWanted

    def enter(self, prefix: Prefix | None) -> None:
        """One connection more; :class:`TooManyConnections` leaves the counts as they were."""
        if self.count >= self._total:
            raise TooManyConnections(limit="total")
        if prefix is not None:
            if self._open[prefix] >= self._per_prefix:
                raise TooManyConnections(limit="prefix")
            self._open[prefix] += 1
        self.count += 1

    def leave(self, prefix: Prefix | None) -> None:
        """That connection is gone."""
        self.count -= 1
        if prefix is not None:
            self._open[prefix] -= 1
            if not self._open[prefix]:
                del self._open[prefix]
