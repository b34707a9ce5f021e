"""The transport under links, in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from mixminion.counters import Counters
from mixminion.net.admission import Admission
from mixminion.net.tls import client_tls, server_tls
from mixminion.net.transport import LinkClientFactory, LinkServerFactory
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.wire import MemoryNetwork
from tests.net.kit import Party, Recorder, Recorders


@implementer(IPushProducer)
class Producer:
    """Remembers whether it may produce."""

    paused = stopped = False

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.stopped = True


class TransportTests(SyncTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()
        self.network = MemoryNetwork(self.clock)
        party = Party(self.clock)
        self.servers = Recorders()
        tls = server_tls(party.credentials, [b"x"], self.clock)
        self.admission = Admission()
        factory = LinkServerFactory(tls, self.servers, self.clock, self.admission, Counters())
        self.clock.result_of(self.network.server("192.0.2.1", 1).listen(factory))
        dialling = LinkClientFactory(
            client_tls(party.public, None, [b"x"], self.clock), Recorders(), self.clock
        )
        wrapper: Any = self.clock.result_of(self.network.client("192.0.2.1", 1).connect(dialling))
        self.clock.advance(1)
        self.client: Recorder = wrapper.wrappedProtocol
        self.server = self.servers.made[0]

    def test_no_delay(self) -> None:
        """Both ends send small writes at once."""
        self.assertEqual([end.getTcpNoDelay() for end in self.network.connections()], [True] * 2)

    def test_one_segment_for_a_turn(self) -> None:
        """Many writes of one turn are one write below."""
        assert self.client.transport is not None
        before = self.network.connections()[0].written
        for _ in range(256):
            self.client.transport.write(bytes(16))
        self.clock.advance(1)
        # One TLS record: 5 octets of header, 1 of type, 16 of tag.
        self.assertEqual(self.network.connections()[0].written - before, 256 * 16 + 22)
        self.assertEqual(self.server.octets, bytes(256 * 16))

    def test_counted_while_open(self) -> None:
        """A connection leaves the count when it ends."""
        self.assertEqual(self.admission.count, 1)
        self.network.drop()
        self.clock.advance(1)
        self.assertEqual(self.admission.count, 0)

    def test_paused_producer(self) -> None:
        """A paused producer does not keep a connection open that the other side has closed."""
        transport: Any = self.server.transport
        producer = Producer()
        transport.registerProducer(producer, True)
        self.network.latency = 0.1
        transport.write(bytes(600_000))
        self.clock.advance(0)
        assert self.client.transport is not None
        self.client.transport.loseConnection()
        self.clock.advance(1)
        self.assertTrue(producer.paused)
        self.assertIsNotNone(self.server.end)
        self.assertEqual(self.network.connections(), [])
