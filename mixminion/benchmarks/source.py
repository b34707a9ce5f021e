"""``python -m mixminion.benchmarks.source NETWORK NICKNAME PADDING FILE...``: send what the files
hold over one link, with a padding frame after every PADDING packets.

Prints ``started TIME`` at the first frame and ``acknowledged TIME`` after the last answer,
by the system's monotonic clock.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint

from mixminion.benchmarks.parts import geometry_of, view_of
from mixminion.errors import PeerError
from mixminion.interfaces import Refusal
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import Link, connect
from mixminion.net.tls import client_tls


class Source:
    """The link's user: as many frames as the window takes, until all are received."""

    def __init__(self, packets: Sequence[bytes], padding: int) -> None:
        self._packets = packets
        self._padding = padding
        self._next = self._received = 0
        self._link: Link | None = None
        self.done: Deferred[None] = Deferred()

    def opened(self, link: Link) -> None:
        """Begin."""
        self._link = link
        print("started", time.monotonic(), flush=True)
        self._feed(link)

    def received(self, keys: list[int]) -> None:
        """Go on."""
        self._received += len(keys)
        if self._received == len(self._packets):
            self.done.callback(None)
        elif self._link is not None:
            self._feed(self._link)

    def refused(self, key: int, refusal: Refusal) -> None:
        """No benchmark fills a store."""
        raise AssertionError(refusal)

    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None:
        """The end, if nothing is missing."""
        if not self.done.called:
            self.done.errback(error or ConnectionError())

    def _feed(self, link: Link) -> None:
        while self._next < len(self._packets) and link.room > 1:
            link.send(self._next, self._packets[self._next])
            self._next += 1
            if self._next % self._padding == 0:
                link.pad()


async def send(reactor: Any, folder: str, nickname: str, padding: str, *files: str) -> None:
    """Send them all."""
    view = view_of(Path(folder))
    length = geometry_of(view).packet
    stored = b"".join(Path(file).read_bytes() for file in files)
    packets = [stored[at : at + length] for at in range(0, len(stored), length)]
    server = view.by_name(nickname)
    assert server is not None
    address = server.addresses[0]
    source = Source(packets, int(padding))
    link = await connect(
        reactor,
        HostnameEndpoint(reactor, address.host, address.port),
        client_tls(server.identity, None, [ALPN], reactor),
        length,
        source,
    )
    await source.done
    print("acknowledged", time.monotonic(), flush=True)
    await link.close()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(send(reactor, *sys.argv[1:])))
