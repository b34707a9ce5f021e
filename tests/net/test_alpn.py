"""One port, several protocols, over TLS in memory on a virtual clock."""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.net.admission import Admission
from mixminion.net.alpn import link_factory
from mixminion.net.tls import CLASSICAL, client_tls, server_tls
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.wire import MemoryNetwork
from tests.net.kit import NOW, Events, Party, Recorder, Recorders

HOST, PORT = "192.0.2.1", 48099


class Greeting(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"documents"


@implementer(IOpenSSLClientConnectionCreator)
class NoAlpn:
    """A TLS client that verifies nothing and offers no protocols."""

    def clientConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:
        return SSL.Connection(SSL.Context(SSL.TLS_METHOD))


class PortCase(SyncTestCase):
    """A link port with two protocols, in a network in memory."""

    def setUp(self) -> None:
        self.clock = HeapClock()
        self.network = MemoryNetwork(self.clock)
        self.party = Party(self.clock)
        self.counters = Counters()
        self.admission = Admission(per_prefix=3, total=100)
        self.mmtp = Recorders()
        protocols: dict[bytes, Any] = {b"mmtp/2": self.mmtp, b"http/1.1": self.site()}
        tls = server_tls(self.party.credentials, list(protocols), self.clock)
        factory = link_factory(tls, protocols, self.clock, self.counters, self.admission)
        self.clock.result_of(self.network.server(HOST, PORT).listen(factory))
        self.events = Events().watch(self.addCleanup)

    def site(self) -> Site:
        clock: Any = self.clock
        site = Site(Greeting(), reactor=clock)
        site.noisy = False
        return site

    def dial(self, alpn: list[bytes] | None, **changes: Any) -> Recorder:
        arguments: dict[str, Any] = {
            "expected_identity": self.party.public,
            "credentials": None,
            "alpn": alpn,
            "clock": self.clock,
        } | changes
        endpoint = wrapClientTLS(
            client_tls(**arguments), self.network.client(HOST, PORT), clock=self.clock
        )
        recorder = self.clock.result_of(endpoint.connect(Recorders()))
        self.clock.advance(1)
        assert isinstance(recorder, Recorder)
        return recorder

    def plain(self) -> Recorder:
        """A connection without TLS."""
        recorder = self.clock.result_of(self.network.client(HOST, PORT).connect(Recorders()))
        assert isinstance(recorder, Recorder)
        return recorder

    def assert_refused(self, *codes: str) -> None:
        """So many refusals were counted, each logged once, with no address; nothing stays."""
        self.clock.advance(1)
        self.assertEqual(self.events.codes, [*codes])
        for event in self.events.seen:
            self.assertNotIn("127.0.0.1", repr(sorted(event.items())))
        self.assertEqual(self.counters[Name.LINK_REFUSED], len(codes))
        self.assertEqual(self.mmtp.made, [])
        self.assertEqual(self.admission.count, 0)
        self.assertEqual(self.flushLoggedErrors(), [])


class DemultiplexTests(PortCase):
    def test_mmtp(self) -> None:
        """A client that asks for mmtp/2 reaches that factory, both ways."""
        client = self.dial([b"mmtp/2"])
        (server,) = self.mmtp.made
        assert client.transport is not None and server.transport is not None
        client.transport.write(b"up")
        server.transport.write(b"down")
        self.clock.advance(1)
        self.assertEqual((server.octets, client.octets), (b"up", b"down"))
        client.transport.loseConnection()
        self.clock.advance(1)
        self.assertIsNotNone(server.end)
        self.assertEqual(self.admission.count, 0)

    def test_http(self) -> None:
        """A client that asks for http/1.1 reaches a Site on the same port."""
        client = self.dial([b"http/1.1"])
        assert client.transport is not None
        client.transport.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.clock.advance(1)
        self.assertTrue(client.octets.startswith(b"HTTP/1.1 200 OK"), client.octets)
        self.assertTrue(client.octets.endswith(b"documents"), client.octets)
        self.assertEqual(self.mmtp.made, [])
        self.assertEqual(self.admission.count, 0)


class RefusedTests(PortCase):
    def test_junk(self) -> None:
        """What is not TLS ends at once."""
        client = self.plain()
        assert client.transport is not None
        client.transport.write(b"GET / HTTP/1.0\r\n\r\n")
        self.clock.advance(1)
        self.assertIsNotNone(client.end)
        self.assert_refused("not-tls")

    def test_other_protocol(self) -> None:
        """A client with another ALPN is refused in the handshake."""
        client = self.dial([b"h2"])
        self.assertIsNotNone(client.end)
        self.assert_refused("wrong-protocol")

    def test_other_group(self) -> None:
        """A client without the hybrid group is refused."""
        client = self.dial([b"mmtp/2"], groups=CLASSICAL)
        self.assertIsNotNone(client.end)
        self.assert_refused("wrong-group")

    def test_client_refuses(self) -> None:
        """A client whose clock is wrong refuses us, and we know why."""
        self.dial([b"mmtp/2"], clock=HeapClock(NOW + 3600))
        self.assert_refused("refused-as-expired")

    def test_hung_up(self) -> None:
        """A port scan is counted and no more."""
        client = self.plain()
        assert client.transport is not None
        client.transport.loseConnection()
        self.assert_refused("handshake-cut")

    def test_silence(self) -> None:
        """Who says nothing is cut off after 20 seconds."""
        client = self.plain()
        self.clock.advance(19)
        self.assertIsNone(client.end)
        self.clock.advance(2)
        self.assertIsNotNone(client.end)
        self.assert_refused("handshake-too-slow")

    def test_silence_in_a_crowd(self) -> None:
        """And after 5 when the server is crowded."""
        for _ in range(51):
            self.admission.enter(None)
        client = self.plain()
        self.clock.advance(6)
        self.assertIsNotNone(client.end)
        for _ in range(51):
            self.admission.leave(None)
        self.assert_refused("handshake-too-slow")

    def test_too_many(self) -> None:
        """The fourth connection of a prefix is closed before TLS; the three are not touched."""
        clients = [self.dial([b"mmtp/2"]) for _ in range(3)]
        fourth = self.plain()
        self.clock.advance(1)
        self.assertIsNotNone(fourth.end)
        self.assertEqual([client.end for client in clients], [None] * 3)
        self.assertEqual(self.events.codes, ["too-many-connections"])
        self.assertEqual(self.admission.count, 3)

    def test_no_alpn(self) -> None:
        """A TLS client that names no protocol at all is cut off after its handshake."""

        endpoint = wrapClientTLS(NoAlpn(), self.network.client(HOST, PORT), clock=self.clock)
        recorder: Any = self.clock.result_of(endpoint.connect(Recorders()))
        self.clock.advance(1)
        self.assertIsNotNone(recorder.end)
        self.assert_refused("wrong-protocol")
