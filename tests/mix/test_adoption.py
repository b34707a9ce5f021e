"""What a consensus changes in a mix that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from typing_extensions import override

from mixminion.directory.parameters import Parameters
from mixminion.mix.server import MixServer
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import Link, connect
from mixminion.net.tls import client_tls
from mixminion.sphinx import suites
from mixminion.sphinx.geometry import Geometry
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.handsigned import at_once
from mixminion.testing.process import Process
from mixminion.testing.sender import Sender
from mixminion.testing.virtual import VirtualNetwork
from mixminion.testing.virtualmix import PORT, VirtualMix

SMALL = Geometry(suites.X25519, hops=4, commands=80, packet=4096)
PARAMETERS = replace(Parameters.local_demo(), tick_ms=1_000)


class Idle(Sender):
    """Leaves its link open."""

    @override
    def opened(self, link: Link) -> None:
        pass


class AdoptionTests(SyncTestCase):
    """Two mixes, and a consensus with other parameters for the first."""

    def setUp(self) -> None:
        self.network = VirtualNetwork(Path(self.mktemp()), 2, parameters=PARAMETERS, geometry=SMALL)
        self.clock = self.network.clock
        self.addCleanup(self.network.stop)
        self.network.start()
        self.first, self.second = self.network.mixes

    def change(self, **parameters: Any) -> MixServer:
        """Another consensus, which the first mix has now."""
        self.clock.advance(10)
        self.network.signer.signings.parameters = replace(PARAMETERS, **parameters)
        server = self.first.server
        assert server is not None
        server.adopt(self.network.signer.sign())
        return server

    def send(self, path: list[VirtualMix], delay_ms: int) -> None:
        self.network.send(self.first, [self.network.packet(path, b"text", delay_ms)])

    def test_cap(self) -> None:
        """A higher one holds at once; the packet is held as long as it asks."""
        self.send([self.first], 6_000)
        self.clock.advance(20)
        self.assertEqual(self.first.counters["drop-delay"], 1)
        self.change(delay_cap_ms=9_000)
        self.send([self.first], 6_000)
        self.clock.advance(5.5)
        self.assertEqual(len(self.first.exit.messages), 0)
        self.clock.advance(2)
        self.assertEqual(len(self.first.exit.messages), 1)
        self.change(delay_cap_ms=1_000)  # with this one no packet was made yet
        self.send([self.first], 6_000)
        self.clock.advance(20)
        self.assertEqual(len(self.first.exit.messages), 2)

    def test_tick(self) -> None:
        """Packets leave at the new ticks."""
        self.change(tick_ms=60_000)
        self.send([self.first], 100)
        tick = (self.clock.seconds() // 60 + 1) * 60
        self.clock.run_until(tick - 0.01)
        self.assertEqual(len(self.first.exit.messages), 0)
        self.clock.advance(0.02)
        self.assertEqual(len(self.first.exit.messages), 1)

    def test_expiry(self) -> None:
        """Packets that wait already expire as the newer consensus says."""
        self.second.stop()
        self.send([self.first, self.second], 100)
        self.clock.advance(3_600)
        self.assertEqual(self.first.counters["expired"], 0)
        self.change(peer_queue_expiry=600)
        self.clock.advance(61)
        self.assertEqual(self.first.counters["expired"], 1)

    def test_window(self) -> None:
        """Links that begin from then on have the new window."""
        self.change(mmtp_window=7)
        endpoint = self.network.wire.client(self.first.host, PORT)
        tls = client_tls(self.first.identity, None, [ALPN], self.clock)
        linking = connect(self.clock, endpoint, tls, SMALL.packet, Idle([]))
        link = self.clock.result_of(linking)
        self.assertEqual(link.room, 7)
        self.clock.result_of(link.close())

    def test_key_period(self) -> None:
        """The storage period follows it; packet keys follow what is listed."""
        server = self.change(key_period=1_209_600)
        self.assertEqual(server._storagecare.length, 1_209_600)

    def test_strategy(self) -> None:
        """Status names it until the server is started again."""
        server = self.change(strategy="timed-dynamic-pool")
        status = self.clock.result_of(Deferred.fromCoroutine(server.status()))
        self.assertEqual(status["needs-restart"], ["strategy"])
        self.assertEqual(len(list(server.complaints())), 1)
        self.first.stop()
        at_once(self.first.cache.accept(self.network.signer.documents))
        self.first.start()
        assert self.first.server is not None
        status = self.clock.result_of(Deferred.fromCoroutine(self.first.server.status()))
        self.assertEqual(status["needs-restart"], [])
        self.assertEqual(list(self.first.server.complaints()), [])

    def test_before_it_is_ready(self) -> None:
        """A consensus that comes while the server still takes up what it had stored."""
        self.first.stop()
        starting: Deferred[None] = Deferred()
        self.patch(self.first.exit, "start", lambda: starting)
        ready = self.first.begin(Process(self.clock, self.network.wire, self.first.host))
        self.clock.advance(1)
        server = self.change(mmtp_window=7)
        self.assertFalse(server.ready)
        starting.callback(None)
        self.clock.result_of(ready)
        self.assertTrue(server.ready)
