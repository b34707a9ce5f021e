"""``python -m mixminion.benchmarks.hops NETWORK HOME ADDRESS FILE...``: send what the files hold to
mix1, one packet at a time, and be the next server, with the identity that was made in HOME.

Prints ``milliseconds`` and how long each took from here to here.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint
from zope.interface import implementer

from mixminion.benchmarks.parts import geometry_of, view_of
from mixminion.benchmarks.sink import listen
from mixminion.errors import PeerError
from mixminion.interfaces import IIntake, Refusal
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import Link, connect
from mixminion.net.tls import client_tls

PAUSE = 0.005
"""Seconds between two packets: the server is idle again."""


@implementer(IIntake)
class Arrivals:
    """Says when the packet that is awaited has come."""

    def __init__(self) -> None:
        self.arrived: Deferred[None] = Deferred()

    def receive(self, packet: bytes) -> Deferred[Refusal | None]:
        """Here it is."""
        arrived, self.arrived = self.arrived, Deferred()
        arrived.callback(None)
        return succeed(None)

    def padding(self) -> Deferred[Refusal | None]:
        """Not a packet."""
        return succeed(None)


class User:
    """Sends, and does not care for answers."""

    def opened(self, link: Link) -> None:
        """See :class:`LinkUser`."""

    def received(self, keys: list[int]) -> None:
        """See :class:`LinkUser`."""

    def refused(self, key: int, refusal: Refusal) -> None:
        """See :class:`LinkUser`."""
        raise AssertionError(refusal)

    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None:
        """See :class:`LinkUser`."""


async def measure(reactor: Any, folder: str, home: str, address: str, *files: str) -> None:
    """Send, wait, send."""
    view = view_of(Path(folder))
    length = geometry_of(view).packet
    stored = b"".join(Path(file).read_bytes() for file in files)
    packets = [stored[at : at + length] for at in range(0, len(stored), length)]
    server = view.by_name("mix1")
    assert server is not None
    place = server.addresses[0]
    arrivals = Arrivals()
    stop = listen(reactor, home, address, arrivals)
    link = await connect(
        reactor,
        HostnameEndpoint(reactor, place.host, place.port),
        client_tls(server.identity, None, [ALPN], reactor),
        length,
        User(),
    )
    times = []
    for key, packet in enumerate(packets):
        arrived = arrivals.arrived
        start = time.perf_counter()
        link.send(key, packet)
        await arrived
        times.append((time.perf_counter() - start) * 1e3)
        await task.deferLater(reactor, PAUSE)
    await link.close()
    await stop()
    print("milliseconds", *(f"{each:.3f}" for each in times), flush=True)


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(measure(reactor, *sys.argv[1:])))
