"""What the tests of sessions stand on: an intake and a user that keep what they hear."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from zope.interface import implementer

from mixminion.counters import Counters
from mixminion.errors import PeerError
from mixminion.interfaces import IIntake, Refusal
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import Link, connect
from mixminion.mmtp.server import MMTPServerFactory
from mixminion.net.alpn import link_factory
from mixminion.net.links import LinkCredentials
from mixminion.net.tls import client_tls, server_tls
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.wire import MemoryNetwork
from tests.net.kit import Events, Party, Recorder, Recorders

LENGTH = 1000
"""Octets of a packet in these tests."""


def packet(number: int) -> bytes:
    """A packet that can be told from others."""
    return number.to_bytes(4, "big") * (LENGTH // 4)


@implementer(IIntake)
class Intake:
    """Keeps frames until :meth:`commit`, as a store's group commit does."""

    def __init__(self) -> None:
        self.packets: list[bytes | None] = []  #: None for padding
        self.waiting: list[Deferred[Refusal | None]] = []
        self.at_once = False
        self.refusal: Refusal | None = None

    def receive(self, packet: bytes) -> Awaitable[Refusal | None]:
        return self._take(packet)

    def padding(self) -> Awaitable[Refusal | None]:
        return self._take(None)

    def commit(self) -> None:
        """Everything that waits is on disk now."""
        waiting, self.waiting = self.waiting, []
        for deferred in waiting:
            deferred.callback(self.refusal)

    def _take(self, packet: bytes | None) -> Deferred[Refusal | None]:
        self.packets.append(packet)
        deferred: Deferred[Refusal | None] = Deferred()
        if self.at_once:
            deferred.callback(self.refusal)
        else:
            self.waiting.append(deferred)
        return deferred


class User:
    """Keeps what a link says."""

    def __init__(self) -> None:
        self.link: Link | None = None
        self.keys: list[list[int]] = []
        self.refusals: list[tuple[int, Refusal]] = []
        self.ends: list[tuple[list[int], PeerError | None]] = []

    def opened(self, link: Link) -> None:
        self.link = link

    def received(self, keys: list[int]) -> None:
        self.keys.append(keys)

    def refused(self, key: int, refusal: Refusal) -> None:
        self.refusals.append((key, refusal))

    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None:
        self.ends.append((unacknowledged, error))


HOST, PORT = "192.0.2.1", 48099


class NetworkCase(SyncTestCase):
    """A virtual clock, a network in memory, a listening party, and a dialling one."""

    def setUp(self) -> None:
        self.clock = HeapClock()
        self.network = MemoryNetwork(self.clock)
        self.party = Party(self.clock)
        self.other = Party(self.clock)
        self.counters = Counters()
        self.intake = Intake()
        self.events = Events().watch(self.addCleanup)

    def listen(self, factory: Any) -> None:
        """*factory* listens for mmtp/2, over TLS, as the party."""
        tls = server_tls(self.party.credentials, [ALPN], self.clock)
        port = link_factory(tls, {ALPN: factory}, self.clock, self.counters)
        self.clock.result_of(self.network.server(HOST, PORT).listen(port))

    def serve(self, window: int = 4) -> MMTPServerFactory:
        """A real server listens."""
        server = MMTPServerFactory(self.intake, self.clock, LENGTH, window, self.counters)
        self.listen(server)
        return server

    def raw(self, credentials: LinkCredentials | None = None) -> Recorder:
        """A TLS client that speaks whatever the test writes."""
        tls = client_tls(self.party.public, credentials, [ALPN], self.clock)
        endpoint = wrapClientTLS(tls, self.network.client(HOST, PORT), clock=self.clock)
        recorder = self.clock.result_of(endpoint.connect(Recorders()))
        self.clock.advance(1)
        assert isinstance(recorder, Recorder)
        return recorder

    def dial(self, user: User, counters: Counters | None = None, **changes: Any) -> Deferred[Link]:
        """A real client dials."""
        arguments: dict[str, Any] = {
            "expected_identity": self.party.public,
            "credentials": self.other.credentials,
            "alpn": [ALPN],
            "clock": self.clock,
        } | changes
        return connect(
            self.clock,
            self.network.client(HOST, PORT),
            client_tls(**arguments),
            LENGTH,
            user,
            counters=counters,
        )

    def link(self, user: User) -> Link:
        """A real client has dialled."""
        return self.clock.result_of(self.dial(user))

    def assert_idle(self) -> None:
        """Nothing is left: no connection, no timer."""
        self.clock.advance(1)
        self.assertEqual(self.network.connections(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
