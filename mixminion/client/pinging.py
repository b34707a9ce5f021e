"""Whether a server's ports answer: with its identity, and as MMTP.

That is not anonymous: the server sees from where it was asked, and whoever watches the line sees
who was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IStreamClientEndpoint
from typing_extensions import override

from mixminion.directory.consensus import Server
from mixminion.errors import MixminionError, PeerError
from mixminion.interfaces import Clock, Refusal
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import Link, LinkUser, connect
from mixminion.net.tls import client_tls
from mixminion.util.hostport import HostPort


@dataclass(frozen=True, slots=True)
class Ping:
    """What one address of a server answered: it takes links after so many ``seconds``, or the
    ``error`` that says why not."""

    place: HostPort
    seconds: float | None = None
    error: MixminionError | None = None


class _Nobody(LinkUser):
    """Sends nothing."""

    @override
    def opened(self, link: Link) -> None: ...

    @override
    def received(self, keys: list[int]) -> None: ...

    @override
    def refused(self, key: int, refusal: Refusal) -> None: ...

    @override
    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None: ...


async def ping(
    server: Server,
    packet_length: int,
    clock: Clock,
    dial: Callable[[HostPort], IStreamClientEndpoint],
) -> list[Ping]:
    """Dial each address of *server* in turn, and end each link when the server has accepted it."""
    tls = client_tls(server.identity, None, [ALPN], clock)
    found = []
    for place in server.addresses:
        began = clock.seconds()
        try:
            link = await connect(clock, dial(place), tls, packet_length, _Nobody())
        except PeerError as error:
            found.append(Ping(place, error=error))
        else:
            found.append(Ping(place, clock.seconds() - began))
            await link.close()
    return found
