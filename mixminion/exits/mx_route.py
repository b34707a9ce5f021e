"""Which hosts and addresses mail for a domain may go to, in the order to try them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from mixminion.exits.mta_sts import Policy
from mixminion.exits.mx_names import Names, NoAnswer, NoMail
from mixminion.exits.smtp_session import LOOP
from mixminion.interfaces import Clock, Random

MOST_TRIED = 5
"""Addresses of one domain that one attempt goes through."""

CONFIRMED_FOR = 3600.0
"""Seconds after which the name of our IPv6 address is looked up again."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to reach the world.  *source* and *source6* are addresses of ours; without the
    latter IPv6 is not used.  *internal* lets mail go to addresses that are not public."""

    port: int
    connect_timeout: float
    sessions: int  #: for one domain at once
    source: str | None = None
    source6: str | None = None
    internal: bool = False
    dane: bool = False  #: believe what a validating resolver says of certificates


@dataclass(frozen=True, slots=True)
class Route:
    """Hosts with their addresses, in the order to try them; none for now.  *validated* says
    whether it is certain that these are the domain's hosts."""

    places: tuple[tuple[str, str], ...]
    validated: bool


class Routes:
    """Routes from a server whose name is *hello*."""

    def __init__(
        self, clock: Clock, random: Random, names: Names, terms: Terms, hello: str
    ) -> None:
        self._clock = clock
        self._random = random
        self._names = names
        self._terms = terms
        self._hello = hello.lower()
        self._confirmed: tuple[float, bool] | None = None

    async def to(self, domain: str, policy: Policy | None) -> Route:
        """The route, as far as *policy* allows it.  Among equals the order is drawn (RFC 5321,
        5.1).

        :raises NoMail: there are none for good, also because we are the best of them
            ourselves (``loop``) or none is in public (``not-public``).
        :raises mixminion.exits.mx_names.NoAnswer: for now.
        """
        hosts, validated = await self._names.hosts(domain)
        hosts.sort(key=lambda host: (host[0], self._random.uniform()))
        ours = [preference for preference, name in hosts if name == self._hello]
        before = [name for preference, name in hosts if not ours or preference < min(ours)]
        if not before:
            raise NoMail(LOOP)
        found: list[tuple[str, str]] = []
        hidden = unanswered = False
        for host in before:
            if policy is not None and not policy.takes(host):
                continue
            try:
                addresses = await self._addresses(host)
            except NoAnswer:  # another may do
                unanswered = True
                continue
            for address in addresses:
                if self._terms.internal or ip_address(address).is_global:
                    found.append((host, address))
                else:
                    hidden = True
            if len(found) >= MOST_TRIED:
                break
        if not found and unanswered:
            raise NoAnswer
        if not found and hidden:
            raise NoMail("not-public")
        return Route(tuple(found[:MOST_TRIED]), validated)

    async def _addresses(self, host: str) -> list[str]:
        """IPv4 first; but IPv6 first from an address of ours that has a name."""
        four = await self._names.addresses(host, six=False)
        source6 = self._terms.source6
        if source6 is None:
            return four
        try:
            six = await self._names.addresses(host, six=True)
            confirmed = await self._is_confirmed(source6)
        except NoAnswer:
            return four
        return [*six, *four] if confirmed else [*four, *six]

    async def _is_confirmed(self, source6: str) -> bool:
        now = self._clock.seconds()
        if self._confirmed is None or self._confirmed[0] + CONFIRMED_FOR < now:
            self._confirmed = now, await self._names.confirmed(source6)
        return self._confirmed[1]
