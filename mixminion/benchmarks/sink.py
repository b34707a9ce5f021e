"""``python -m mixminion.benchmarks.sink HOME ADDRESS COUNT``: a server that acknowledges every
frame at once and keeps none, with the identity that was made in HOME.

Prints ``listening`` when it does and ``complete TIME`` at the last of COUNT packets.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from mixminion.app.init import ServerKeys
from mixminion.counters import Counters
from mixminion.disk import private
from mixminion.interfaces import IIntake, Refusal
from mixminion.mmtp import ALPN
from mixminion.mmtp.server import MMTPServerFactory
from mixminion.net.alpn import link_factory
from mixminion.net.links import LinkCredentials
from mixminion.net.listeners import Listener
from mixminion.net.tls import server_tls
from mixminion.util.hostport import HostPort

PACKET = 32_768
WINDOW = 256


@implementer(IIntake)
class Drain:
    """Counts packets."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.complete: Deferred[None] = Deferred()

    def receive(self, packet: bytes) -> Deferred[Refusal | None]:
        """One more."""
        self._left -= 1
        if not self._left:
            print("complete", time.monotonic(), flush=True)
            self.complete.callback(None)
        return succeed(None)

    def padding(self) -> Deferred[Refusal | None]:
        """No packet."""
        return succeed(None)


def listen(reactor: Any, home: str, address: str, intake: IIntake) -> Callable[[], Awaitable[None]]:
    """Be the server whose keys are in *home*; what ends it again."""
    keys = ServerKeys(Path(home))
    credentials = LinkCredentials(
        keys.read_identity(), keys.read_signing(), private.read(keys.link_certificate), reactor
    )
    counters = Counters()
    sessions = MMTPServerFactory(intake, reactor, PACKET, WINDOW, counters)
    factory = link_factory(
        server_tls(credentials, [ALPN], reactor), {ALPN: sessions}, reactor, counters
    )
    listener = Listener(reactor, [HostPort.parse(address)], factory)
    listener.startService()

    async def stop() -> None:
        await listener.stopService()
        await sessions.stop()

    return stop


async def sink(reactor: Any, home: str, address: str, count: str) -> None:
    """Listen until all have come, and a moment longer for the last answers to arrive."""
    drain = Drain(int(count))
    stop = listen(reactor, home, address, drain)
    print("listening", flush=True)
    await drain.complete
    await task.deferLater(reactor, 1.0)
    await stop()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(sink(reactor, *sys.argv[1:])))
