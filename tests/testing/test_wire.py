"""Connections in memory: what a socket does, on a virtual clock."""

from __future__ import annotations

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.endpoints import wrapClientTLS, wrapServerTLS
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IListeningPort,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IPushProducer,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import START, HeapClock, Stalled
from mixminion.testing.wire import MemoryNetwork

HOST, SOURCE = "127.1.0.1", "127.0.0.1"


class Recorder(Protocol):
    """Keeps what happens to it."""

    def __init__(self) -> None:
        self.octets = b""
        self.pieces: list[int] = []
        self.reason: Failure | None = None
        self.events: list[str] = []

    def connectionMade(self) -> None:
        self.events.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.octets += data
        self.pieces.append(len(data))
        self.events.append("data")

    def connectionLost(self, reason: Failure = error.ConnectionDone) -> None:  # type: ignore[assignment]
        self.reason = reason
        self.events.append("lost")


@implementer(IHalfCloseableProtocol)
class HalfRecorder(Recorder):
    def readConnectionLost(self) -> None:
        self.events.append("read lost")

    def writeConnectionLost(self) -> None:
        """Never called here."""


class Greedy(Recorder):
    """Writes 1 MiB when the connection is made, as a push producer of 16 KiB pieces."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self.left, self.paused, self.stopped = 64, False, False
        self.transport.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        self.paused = False
        while self.left and not self.paused:
            self.left -= 1
            self.transport.write(bytes([self.left]) * 16_384)
        if not self.left:
            self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.paused = True
        self.events.append("paused")

    def stopProducing(self) -> None:
        self.stopped = True
        self.left = 0


class Recorders(Factory):
    """Makes a recorder for each connection, and keeps it."""

    noisy = False
    protocol = Recorder

    def __init__(self, protocol: type[Recorder] = Recorder) -> None:
        self.made: list[Recorder] = []
        self.protocol = protocol
        self.running = 0

    def doStart(self) -> None:
        self.running += 1

    def doStop(self) -> None:
        self.running -= 1

    def buildProtocol(self, addr: object) -> Recorder:
        self.made.append(self.protocol())
        return self.made[-1]


class Refuser(Factory):
    def buildProtocol(self, addr: object) -> None:
        return None


class WireTestCase(SyncTestCase):
    """One network, one listening port, one client."""

    def build(
        self, client: type[Recorder] = Recorder, server: type[Recorder] = Recorder, **settings: Any
    ) -> tuple[Any, Any]:
        self.clock = HeapClock()
        self.network = MemoryNetwork(self.clock, **settings)
        self.servers, self.clients = Recorders(server), Recorders(client)
        self.port = self.clock.result_of(self.network.server(HOST, 48_099).listen(self.servers))
        connected = self.network.client(HOST, 48_099, SOURCE).connect(self.clients)
        made = self.clock.result_of(connected)
        self.assertEqual(self.servers.made, [])
        self.clock.run_until(lambda: bool(self.servers.made))
        return made, self.servers.made[0]


class EndpointTests(WireTestCase):
    def test_interfaces(self) -> None:
        """Endpoints, ports and transports are what Twisted's are."""
        client, _ = self.build()
        verifyObject(IStreamServerEndpoint, self.network.server(HOST))
        verifyObject(IStreamClientEndpoint, self.network.client(HOST, 1))
        verifyObject(IListeningPort, self.port)
        for interface in (ITCPTransport, IConsumer, IPushProducer):
            verifyObject(interface, client.transport)

    def test_addresses(self) -> None:
        """Both ends know both addresses, also those of IPv6."""
        client, server = self.build()
        self.assertEqual(client.transport.getPeer(), server.transport.getHost())
        self.assertEqual(client.transport.getHost(), server.transport.getPeer())
        self.assertEqual(client.transport.getPeer(), self.port.getHost())
        self.assertEqual(client.transport.getHost().host, SOURCE)
        port = self.clock.result_of(self.network.server("::1").listen(self.servers))
        self.assertEqual(type(port.getHost()).__name__, "IPv6Address")

    def test_one_and_a_half_round_trips(self) -> None:
        """The client is up after two latencies, the server after three."""
        self.build(latency=0.5)
        self.assertEqual(self.clock.seconds(), START + 1.5)

    def test_nobody_listens(self) -> None:
        """Refused after a round trip; the factory is started and stopped."""
        self.build()
        deferred = self.network.client(HOST, 9).connect(self.clients)
        self.assertRaises(error.ConnectionRefusedError, self.clock.result_of, deferred)
        self.assertEqual(self.clients.running, 1)

    def test_port_in_use(self) -> None:
        """Two cannot listen at one place, until the first stops; connections stay."""
        client, server = self.build()
        again = self.network.server(HOST, 48_099)
        self.failureResultOf(again.listen(Factory()), error.CannotListenError)
        self.port.stopListening()
        self.assertEqual(self.servers.running, 0)
        self.successResultOf(again.listen(Recorders()))
        client.transport.write(b"still there")
        self.clock.advance(1)
        self.assertEqual(server.octets, b"still there")

    def test_server_refuses_by_factory(self) -> None:
        """A server factory that builds nothing closes the connection in order."""
        self.build()
        self.successResultOf(self.network.server(HOST, 1).listen(Refuser()))
        protocol: Any = self.clock.result_of(self.network.client(HOST, 1).connect(self.clients))
        self.clock.advance(1)
        protocol.reason.trap(error.ConnectionDone)

    def test_client_refuses_by_factory(self) -> None:
        """A client factory that builds nothing is a failed connect."""
        self.build()
        deferred = self.network.client(HOST, 48_099).connect(Refuser())
        self.assertRaises(error.NoProtocol, self.clock.result_of, deferred)

    def test_cancel(self) -> None:
        """A cancelled attempt fails at once and leaves nothing behind."""
        self.build(latency=1)
        deferred = self.network.client(HOST, 48_099).connect(self.clients)
        deferred.cancel()
        self.failureResultOf(deferred, error.ConnectingCancelledError)
        self.clock.advance(100)
        self.assertEqual(len(self.servers.made), 1)
        self.assertEqual(self.clients.running, 1)


class OctetsTests(WireTestCase):
    def test_both_ways_with_latency(self) -> None:
        """Octets take the latency, and arrive in order."""
        client, server = self.build(latency=0.25)
        client.transport.write(b"one ")
        client.transport.writeSequence([b"two ", b"three"])
        self.clock.advance(0.24)
        self.assertEqual(server.octets, b"")
        self.clock.advance(0.01)
        self.assertEqual((server.octets, server.pieces), (b"one two three", [13]))
        server.transport.write(b"back")
        self.clock.advance(0.25)
        self.assertEqual(client.octets, b"back")

    def test_segments_of_one_octet(self) -> None:
        """``segment=1`` shows a parser every border there is."""
        client, server = self.build(segment=1)
        client.transport.write(b"abc")
        self.clock.advance(1)
        self.assertEqual((server.octets, server.pieces), (b"abc", [1, 1, 1]))

    def test_jitter_keeps_the_order(self) -> None:
        """A slower segment holds up those behind it, as in TCP."""
        delays = iter([0, 0, 0, 5, 1, 1, 1, 1])
        client, server = self.build(latency=lambda sender, receiver: next(delays))
        client.transport.write(b"slow")
        self.clock.advance()
        client.transport.write(b"fast")
        self.clock.advance(4.9)
        self.assertEqual(server.octets, b"")
        self.clock.advance(0.1)
        self.assertEqual(server.octets, b"slowfast")

    def test_octets_only(self) -> None:
        """Text is refused where it is written."""
        client, _ = self.build()
        self.assertRaises(TypeError, client.transport.write, "text")

    def test_written_before_the_server_is_up(self) -> None:
        """What a client writes in connectionMade arrives after the server's connectionMade."""

        class Eager(Recorder):
            def connectionMade(self) -> None:
                self.transport.write(b"hello")

        _, server = self.build(client=Eager, latency=0.1)
        self.clock.advance(1)
        self.assertEqual(server.events, ["made", "data"])


class BackPressureTests(WireTestCase):
    def test_a_producer_is_paused_and_gets_everything_through(self) -> None:
        """A fast writer is paused at 64 KiB and resumed; nothing is lost or reordered."""
        client, server = self.build(client=Greedy, latency=0.01, window=50_000)
        self.assertTrue(client.paused)
        self.clock.advance(60)
        self.assertEqual(client.left, 0)
        self.assertGreater(client.events.count("paused"), 3)
        expected = b"".join(bytes([n]) * 16_384 for n in reversed(range(64)))
        self.assertEqual(server.octets, expected)

    def test_a_reader_that_stops_holds_up_the_writer(self) -> None:
        """A paused reader stops the writer after window and buffer, for as long as it likes."""
        client, server = self.build(client=Greedy, window=50_000)
        server.transport.pauseProducing()
        before = len(server.octets)
        self.clock.advance(3600)
        self.assertEqual(len(server.octets), before)
        self.assertTrue(client.paused)
        self.assertLess(client.transport.written, before + 50_000 + 65_536 + 2 * 16_384)
        server.transport.resumeProducing()
        self.clock.advance(60)
        self.assertEqual(len(server.octets), 64 * 16_384)

    def test_close_waits_for_the_producer(self) -> None:
        """loseConnection lets a registered producer finish."""
        client, server = self.build(client=Greedy, window=50_000)
        client.transport.loseConnection()
        self.clock.advance(60)
        self.assertEqual(len(server.octets), 64 * 16_384)
        client.reason.trap(error.ConnectionDone)
        server.reason.trap(error.ConnectionDone)

    def test_a_lost_connection_stops_the_producer(self) -> None:
        """A producer is told when nobody listens any more, and one that comes late too."""
        client, _ = self.build(client=Greedy, window=50_000)
        self.network.drop(SOURCE, HOST)
        self.assertTrue(client.stopped)
        client.stopped = False
        client.transport.registerProducer(client, True)
        self.assertTrue(client.stopped)

    def test_a_pull_producer(self) -> None:
        """A producer that is not streaming is asked whenever there is room."""
        client, server = self.build()

        class Pull:
            left = 5

            def resumeProducing(self) -> None:
                self.left -= 1
                client.transport.write(b"x")
                if not self.left:
                    client.transport.unregisterProducer()

        client.transport.registerProducer(Pull(), False)
        self.assertRaises(RuntimeError, client.transport.registerProducer, Pull(), False)
        self.clock.advance(1)
        self.assertEqual(server.octets, b"xxxxx")


class EndTests(WireTestCase):
    def test_orderly_close(self) -> None:
        """What was written arrives before the end does; both ends are told ConnectionDone."""
        client, server = self.build()
        client.transport.write(b"last words")
        client.transport.loseConnection()
        self.clock.advance(1)
        self.assertEqual(server.octets, b"last words")
        client.reason.trap(error.ConnectionDone)
        server.reason.trap(error.ConnectionDone)
        self.assertEqual(self.clients.running, 0)
        self.assertEqual(self.network.connections(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_abort(self) -> None:
        """An abort is ConnectionAborted here and ConnectionLost there."""
        client, server = self.build()
        client.transport.abortConnection()
        self.assertIsNone(client.reason)
        self.clock.advance(1)
        client.reason.trap(error.ConnectionAborted)
        server.reason.trap(error.ConnectionLost)

    def test_half_close(self) -> None:
        """A protocol that can be half closed still answers after the end of its input."""
        client, server = self.build(server=HalfRecorder)
        client.transport.write(b"question")
        client.transport.loseWriteConnection()
        self.clock.advance(1)
        self.assertEqual(server.events, ["made", "data", "read lost"])
        server.transport.write(b"answer")
        server.transport.loseConnection()
        self.clock.advance(1)
        self.assertEqual(client.octets, b"answer")

    def test_drop(self) -> None:
        """A dropped connection is lost for both ends at once, and only that one."""
        client, server = self.build()
        other, _ = self.network.join(Recorder(), Recorder(), "127.9.0.1", HOST)
        self.assertEqual(self.network.drop(SOURCE, HOST), 2)
        client.reason.trap(error.ConnectionLost)
        server.reason.trap(error.ConnectionLost)
        self.assertTrue(other.connected)
        self.assertEqual(self.network.drop(), 2)

    def test_a_protocol_that_raises(self) -> None:
        """What a protocol raises is logged and ends its connection, and no other."""

        class Broken(Recorder):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        client, server = self.build(server=Broken)
        client.transport.write(b"x")
        self.clock.advance(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        server.reason.trap(ZeroDivisionError)
        client.reason.trap(error.ConnectionLost)


class PartitionTests(WireTestCase):
    def test_a_short_partition_delays(self) -> None:
        """What is sent while the way is cut arrives, in order, when it heals."""
        client, server = self.build(patience=30)
        self.network.part([SOURCE], [HOST])
        client.transport.write(b"one")
        self.clock.advance(10)
        client.transport.write(b"two")
        self.clock.advance(10)
        self.assertEqual(server.octets, b"")
        self.network.heal()
        self.clock.advance(0.1)
        self.assertEqual(server.octets, b"onetwo")
        self.clock.advance(100)
        self.assertIsNone(client.reason)

    def test_a_long_partition_loses_the_one_who_spoke(self) -> None:
        """The sender gives up; the other end finds out when it speaks itself."""
        client, server = self.build(patience=30)
        self.network.part([SOURCE], [HOST])
        client.transport.write(b"lost")
        self.clock.advance(31)
        client.reason.trap(error.TimeoutError)
        self.network.heal()
        self.clock.advance(100)
        self.assertIsNone(server.reason)
        self.assertEqual(server.octets, b"")
        server.transport.write(b"anybody there?")
        self.clock.advance(1)
        server.reason.trap(error.ConnectionLost)

    def test_connecting_into_a_partition(self) -> None:
        """Nobody answers: the attempt times out."""
        self.build(patience=30)
        self.network.part([SOURCE], [HOST])
        deferred = self.network.client(HOST, 48_099, SOURCE).connect(self.clients)
        self.assertRaises(Stalled, self.clock.result_of, deferred, 29)
        self.clock.advance(2)
        deferred = self.network.client(HOST, 48_099, SOURCE).connect(self.clients)
        self.assertRaises(error.TimeoutError, self.clock.result_of, deferred)

    def test_others_are_not_parted(self) -> None:
        """A partition is between those it names."""
        self.build()
        self.network.part([SOURCE], [HOST])
        far, near = Recorder(), Recorder()
        end, _ = self.network.join(far, near, "127.9.0.1", HOST)
        end.write(b"hello")
        self.clock.advance(1)
        self.assertEqual(near.octets, b"hello")


def tls_context(clock: HeapClock) -> SSL.Context:
    """TLS 1.3 with a self-signed certificate for a day of the virtual clock; takes any peer's."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([])
    now = datetime.datetime.fromtimestamp(clock.seconds(), datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, None)
    )
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.use_privatekey(key)
    context.use_certificate(certificate)
    required = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
    context.set_verify(required, lambda *arguments: True)
    return context


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class Creator:
    def __init__(self, clock: HeapClock) -> None:
        self.context = tls_context(clock)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self.context, None)
        connection.set_connect_state()
        return connection

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(self.context, None)
        connection.set_accept_state()
        return connection


class TLSTests(SyncTestCase):
    def test_mutual_tls(self) -> None:
        """TLS 1.3 with certificates both ways, 1 MiB through a small window, and its close."""
        clock = HeapClock()
        network = MemoryNetwork(clock, latency=0.01, window=50_000, segment=1_000)
        creator = Creator(clock)
        servers = Recorders()
        listening = wrapServerTLS(creator, network.server(HOST, 1), clock=clock).listen(servers)
        clock.result_of(listening)
        endpoint = wrapClientTLS(creator, network.client(HOST, 1), clock=clock)
        client: Any = clock.result_of(endpoint.connect(Recorders(Greedy)))
        clock.run_until(lambda: bool(servers.made))
        server: Any = servers.made[0]
        clock.run_until(lambda: len(server.octets) == 64 * 16_384)
        self.assertGreater(client.events.count("paused"), 3)
        self.assertEqual(client.transport.getHandle().get_protocol_version_name(), "TLSv1.3")
        self.assertIsNotNone(server.transport.getHandle().get_peer_certificate())
        client.transport.loseConnection()
        clock.advance(10)
        client.reason.trap(error.ConnectionDone)
        server.reason.trap(error.ConnectionDone)
        self.assertEqual(network.connections(), [])
        self.assertEqual(clock.getDelayedCalls(), [])
