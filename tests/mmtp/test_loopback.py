"""Both ends in the running reactor, over real sockets on 127.0.0.1."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from typing_extensions import override

from mixminion.counters import Counters, Name
from mixminion.errors import PeerError
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import Link, connect
from mixminion.mmtp.errors import DialFailed
from mixminion.mmtp.server import MMTPServerFactory
from mixminion.net.alpn import link_factory
from mixminion.net.errors import WrongIdentity
from mixminion.net.links import LinkCredentials
from mixminion.net.listeners import Listener, bind
from mixminion.net.tls import client_tls, server_tls
from mixminion.testing.cases import AsyncTestCase
from mixminion.util.hostport import HostPort
from tests.mmtp.kit import Intake, User
from tests.net.kit import DAY, Events, Party

LENGTH = 32_768
LOOP: Any = reactor


class Counting(User):
    """Sends *count* packets as the window allows."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.left = list(range(count))[::-1]
        self.done: Deferred[list[int]] = Deferred()
        self.ended: Deferred[PeerError | None] = Deferred()

    @override
    def opened(self, link: Link) -> None:
        super().opened(link)
        self._fill(link)

    @override
    def received(self, keys: list[int]) -> None:
        super().received(keys)
        assert self.link is not None
        self._fill(self.link)
        if not self.left and not self.link.unanswered:
            self.done.callback([key for some in self.keys for key in some])

    @override
    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None:
        super().lost(unacknowledged, error)
        self.ended.callback(error)

    def _fill(self, link: Link) -> None:
        while self.left and link.room:
            key = self.left.pop()
            link.send(key, key.to_bytes(4, "big") * (LENGTH // 4))


class LoopbackTests(AsyncTestCase):
    @override
    def setUp(self) -> None:
        now = int(LOOP.seconds())
        self.party = Party(LOOP, now - DAY, now + 59 * DAY)
        self.other = Party(LOOP, now - DAY, now + 59 * DAY)
        self.counters = Counters()
        self.intake = Intake()
        self.intake.at_once = True
        self.events = Events().watch(self.addCleanup)
        self.server = MMTPServerFactory(self.intake, LOOP, LENGTH, 16, self.counters)
        tls = server_tls(self.party.credentials, [ALPN], LOOP)
        port = link_factory(tls, {ALPN: self.server}, LOOP, self.counters)
        self.listener = Listener(LOOP, [HostPort("127.0.0.1", 0)], port)
        self.listener.startService()
        (self.address,) = self.listener.addresses
        self.addCleanup(self.server.stop)
        self.addCleanup(self.listener.stopService)

    def dial(
        self, user: User, identity: bytes | None = None, credentials: LinkCredentials | None = None
    ) -> Deferred[Link]:
        endpoint = TCP4ClientEndpoint(LOOP, self.address.host, self.address.port)
        tls = client_tls(identity or self.party.public, credentials, [ALPN], LOOP)
        return connect(LOOP, endpoint, tls, LENGTH, user)

    async def test_packets(self) -> None:
        """Two hundred packets of 32 KiB through a window of 16, all whole, in order."""
        user = Counting(200)
        link = await self.dial(user, credentials=self.other.credentials)
        self.assertEqual(await user.done, list(range(200)))
        wanted = [key.to_bytes(4, "big") * (LENGTH // 4) for key in range(200)]
        self.assertEqual(self.intake.packets, wanted)
        await link.close()
        self.assertEqual(user.ends, [([], None)])
        self.assertEqual(self.counters[Name.RECEIVED], 200)

    async def test_many_senders(self) -> None:
        """Ten clients at once."""
        users = [Counting(20) for _ in range(10)]
        links = [await self.dial(user) for user in users]
        for user in users:
            self.assertEqual(await user.done, list(range(20)))
        for link in links:
            await link.close()
        self.assertEqual(self.counters[Name.RECEIVED], 200)

    async def test_wrong_identity(self) -> None:
        """The dialler refuses; the listener hears of it; nothing else is logged."""
        await self.assertFailure(self.dial(User(), self.other.public), WrongIdentity)
        await self.turns(lambda: len(self.events.codes) == 2)
        self.assertEqual(sorted(self.events.codes), ["refused-as-stranger", "wrong-identity"])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_nobody_listens(self) -> None:
        """A closed port."""
        free = bind(HostPort("127.0.0.1", 0))
        self.address = HostPort("127.0.0.1", free.getsockname()[1])
        free.close()
        error: Any = await self.assertFailure(self.dial(User()), DialFailed)
        self.assertEqual(error.fields, {"problem": "connection refused"})

    async def test_junk(self) -> None:
        """What is not TLS is closed, and counted."""
        raw = socket.create_connection((self.address.host, self.address.port))
        self.addCleanup(raw.close)
        raw.sendall(b"GET / HTTP/1.0\r\n\r\n")
        await self.turns(lambda: self.counters[Name.LINK_REFUSED] == 1)
        self.assertEqual(self.events.codes, ["not-tls"])

    async def test_server_dies(self) -> None:
        """A reset hands back what was not acknowledged, as it is, in order."""
        self.intake.at_once = False
        user = Counting(3)
        await self.dial(user)
        await self.turns(lambda: len(self.intake.packets) == 3)
        (session,) = self.server.sessions
        transport: Any = session.transport
        transport.abortConnection()
        error = await user.ended
        self.assertIsNotNone(error)
        self.assertEqual(user.ends[0][0], [0, 1, 2])

    async def turns(self, happened: Any) -> None:
        """Let the reactor turn until it has happened."""
        for _ in range(500):
            if happened():
                return
            pause: Deferred[None] = Deferred()
            LOOP.callLater(0.01, pause.callback, None)
            await pause
        self.fail("it has not happened")
