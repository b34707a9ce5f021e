"""Senders that keep servers busy: links whose windows are full, over which each packet goes
until it is acknowledged, and now and then once more."""

from __future__ import annotations

import random
from collections import deque
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mixminion.client import addresses, compose, packets
from mixminion.client.packets import Letter
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.interfaces import Refusal
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import Link, connect
from mixminion.net.tls import client_tls

PAUSE = 0.2
REMEMBERED = 200  #: acknowledged packets of a server that may come again
CHUNK = 16


class Feed:
    """The packets for one server, and the link to it.  Each packet has its text with it."""

    def __init__(self, reactor: Any, view: View, server: Server) -> None:
        self._reactor = reactor
        self._view = view
        self._server = server
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._flying: dict[int, tuple[bytes, bytes]] = {}
        self._keys = count()
        self._link: Link | None = None
        self._dialling: Deferred[Link] | None = None
        self._pause: IDelayedCall | None = None
        self._closed = False
        self._done: deque[tuple[bytes, bytes]] = deque(maxlen=REMEMBERED)
        self.acknowledged: set[bytes] = set()
        self.again = 0  #: packets that were sent once more

    def __len__(self) -> int:
        return len(self._waiting) + len(self._flying)

    def add(self, text: bytes, packet: bytes) -> None:
        """One more."""
        self._waiting.append((text, packet))
        self._go_on()

    def repeat(self, dice: random.Random) -> None:
        """Send some again that were acknowledged, as a server does that was not told."""
        for each in dice.sample(list(self._done), len(self._done) // 4):
            self._waiting.append(each)
            self.again += 1
        self._go_on()

    # -- the link's user ---------------------------------------------------------------------

    def opened(self, link: Link) -> None:
        """The server has accepted."""
        self._link = link
        self._go_on()

    def received(self, keys: list[int]) -> None:
        """On its disk."""
        for key in keys:
            each = self._flying.pop(key)
            self.acknowledged.add(each[0])
            self._done.append(each)
        self._go_on()

    def refused(self, key: int, refusal: Refusal) -> None:
        """Not now."""
        self._waiting.append(self._flying.pop(key))
        self._later()

    def lost(self, unacknowledged: list[int], error: object) -> None:
        """All over again."""
        self._link = None
        self._waiting.extendleft(self._flying.pop(key) for key in reversed(unacknowledged))
        self._later()

    # -- inside ------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._link is None:
            idle = self._dialling is None and self._pause is None and not self._closed
            if self._waiting and idle:
                self._dial()
            return
        while self._waiting and self._link.room:
            key = next(self._keys)
            self._flying[key] = self._waiting.popleft()
            self._link.send(key, self._flying[key][1])

    def _dial(self) -> None:
        place = self._server.addresses[0]
        self._dialling = connect(
            self._reactor,
            HostnameEndpoint(self._reactor, place.host, place.port),
            client_tls(self._server.identity, None, [ALPN], self._reactor),
            self._view.geometry.packet,
            self,
        )
        _ = self._dialling.addBoth(self._dialled)

    def _dialled(self, result: object) -> None:
        self._dialling = None
        if isinstance(result, Failure):
            self._later()

    def _later(self) -> None:
        if not self._closed and self._pause is None:
            self._pause = self._reactor.callLater(PAUSE, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._go_on()

    def close(self) -> Deferred[None]:
        """End the link, and dial no more."""
        self._closed = True
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._dialling is not None:
            self._dialling.cancel()
        return succeed(None) if self._link is None else self._link.close()


class Load:
    """Mails, numbered, each into the network at a server of choice."""

    def __init__(self, reactor: Any, view: View) -> None:
        self._reactor = reactor
        self._view = view
        self._random = SystemRandom()
        self.built = 0
        self.feeds = {server.nickname: Feed(reactor, view, server) for server in view.servers}

    async def top_up(self, nickname: str, wanted: int, path: str | None = None) -> None:
        """Have at least so many packets for a server that it has not acknowledged, over *path*
        or over three others."""
        feed = self.feeds[nickname]
        while len(feed) < wanted:
            for _ in range(CHUNK):
                self._add(nickname, path or f"{nickname},*3")
            await deferLater(self._reactor, 0)

    def _add(self, nickname: str, path: str) -> None:
        text = b"load-%d" % self.built
        self.built += 1
        to = addresses.parse("bob@example.test")
        content = compose.from_text(to, text).content
        letter = Letter(to.exit, to.recipients, (content,), path)
        made = packets.make(self._view, letter, self._reactor.seconds(), self._random)
        self.feeds[nickname].add(text, made.packet.octets)

    async def close(self) -> None:
        """End all links."""
        for feed in self.feeds.values():
            await feed.close()

    @property
    def acknowledged(self) -> set[bytes]:
        """The mails that some server has acknowledged."""
        return set().union(*(feed.acknowledged for feed in self.feeds.values()))

    @property
    def waiting(self) -> int:
        """Packets that no server has acknowledged yet."""
        return sum(map(len, self.feeds.values()))
