"""What the configuration says of exits to mail that the DNS has to know as well."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.names.client import Resolver

from mixminion.app.environment import host_name
from mixminion.config import Config
from mixminion.errors import UserError
from mixminion.exits import deliverability, dkim, records
from mixminion.exits.abuse import AbuseSection
from mixminion.exits.deliverability import Finding, Names, State
from mixminion.exits.records import Exit, wanted
from mixminion.exits.section import ExitSection, to_mail
from mixminion.exits.smtp_section import MX
from mixminion.mix.config import IncomingSection
from mixminion.util.hostport import HostPort

__all__ = ["Exit", "described", "look", "wanted"]

TIMEOUTS = (2, 5, 10)
"""Seconds for the answer to each of several questions to the DNS."""
CONNECT = 20.0
"""Seconds to reach a mail server."""


def described(config: Config, names: Sequence[str], addresses: Sequence[str]) -> list[Exit]:
    """The exits to mail of *config*, or those of *names*; mail leaves from *addresses*, or where
    none are given from the IP addresses that the server publishes.

    :raises UserError: there is no such exit, or an address is none.
    """
    sections = {name: each for name, each in config.named(ExitSection).items() if to_mail(each)}
    for name in names:
        if name not in sections:
            raise UserError(problem=f"There is no exit to mail called {name}.")
    try:
        sources = [ip_address(each) for each in addresses]
    except ValueError as error:
        raise UserError(problem=f"{error}.") from None
    published = [each.address for each in config[IncomingSection].addresses]
    sources = sources or [each for each in published if each is not None]
    return [
        Exit(
            name,
            section.domain,
            records.host_name(getattr(section, "hello", None) or host_name(config), section.domain),
            tuple(dict.fromkeys(sources)),
            tuple(dkim.load(section.domain, getattr(section, "dkim_keys", ()))),
            direct=getattr(section, "transport", None) == MX,
        )
        for name, section in sections.items()
        if name in names or not names
    ]


async def look(
    reactor: Any,
    config: Config,
    exits: Sequence[Exit],
    resolver: HostPort | None,
    servers: Sequence[HostPort],
) -> list[dict[str, Any]]:
    """What can be seen of *exits* from outside, asking the DNS server *resolver* or the system's;
    and whether the mail *servers* can be reached."""
    at = None if resolver is None else [(resolver.host, resolver.port)]
    system = "/etc/resolv.conf" if at is None else None
    names = Names(Resolver(resolv=system, servers=at, timeout=TIMEOUTS, reactor=reactor))
    found: list[tuple[str | None, Finding]] = []
    for exit in exits:
        async for finding in deliverability.look(exit, names, config[AbuseSection].block_lists):
            found.append((exit.name, finding))
        if exit.direct and not servers:
            said = "Mail leaves without a relay: name a mail server elsewhere with --port-25."
            found.append((exit.name, Finding("port 25", State.WARNING, said)))
    for server in servers:
        endpoint = HostnameEndpoint(reactor, server.host, server.port, timeout=CONNECT)
        found.append((None, await deliverability.port_25(str(server), endpoint, reactor)))
    return [
        {"exit": name, "what": each.what, "state": each.state.value, "said": each.said}
        for name, each in found
    ]
