"""Documents through a proxy."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory, Protocol

from mixminion.counters import Counters
from mixminion.crypto.rng import SeededRandom
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.endpoints import ALPN
from mixminion.dirhttp.errors import FetchFailed
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.proxies import Proxies, Proxy
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.dirhttp.sources import Source, dial, through
from mixminion.net.alpn import link_factory
from mixminion.net.listeners import bind
from mixminion.net.tls import server_tls
from mixminion.testing.cases import AsyncTestCase
from mixminion.util.hostport import HostPort
from tests.dirhttp.kit import PUBLIC, ServingCase, directory, documents
from tests.dirhttp.proxy import HttpProxy
from tests.net.kit import DAY, Party

GOOD, PROXY = "192.0.2.1", "192.0.2.99"
PLAIN = Source.parse(f"http://{GOOD}/")
TLS = Source.parse(f"https://{GOOD}:48099/")


class ProxyCase(ServingCase):
    """A source that speaks both ways, and a proxy before it."""

    def setUp(self) -> None:
        super().setUp()
        self.signed = directory("alice", "bob")
        self.run_(self.cache.accept(documents(self.signed)))
        site = self.serve(self.cache, GOOD)
        protocols: dict[bytes, Any] = {b"mmtp/2": Factory.forProtocol(Protocol), ALPN: site}
        tls = server_tls(Party(self.clock).credentials, list(protocols), self.clock)
        port = link_factory(tls, protocols, self.clock, Counters())
        self.clock.result_of(self.network.server(GOOD, 48099).listen(port))
        self.proxy = HttpProxy(lambda host, port: self.network.client(host, port, PROXY))
        self.clock.result_of(self.network.server(PROXY, 3128).listen(self.proxy))
        self.settings = Proxy.parse(f"http://{PROXY}:3128/", "here")
        # Nothing gets to the source but through the proxy.
        self.network.part(["127.0.0.1"], [GOOD])
        self.fetcher = Fetcher(self.clock, self.dial, SeededRandom(bytes(32)), timeout=20)

    def dial(self, source: Source) -> Any:
        endpoint = self.network.client(self.settings.place.host, self.settings.place.port)
        return through(self.settings, source, endpoint, self.clock)

    def get(self, source: Source) -> bytes:
        return self.run_(self.fetcher.get(source, "consensus", 100_000, "consensus"))

    def refused(self, source: Source) -> str:
        error = self.assertRaises(FetchFailed, self.get, source)
        why: str = error.fields["why"]
        return why

    def test_plain(self):
        """A request in absolute form, which the proxy passes on."""
        self.assertEqual(self.get(PLAIN), self.signed.consensus)
        line = f"GET http://{GOOD}:80/mixminion/2/consensus HTTP/1.1".encode()
        self.assertEqual(self.proxy.requests, [line])

    def test_tunnel(self):
        """CONNECT, and TLS inside; the proxy learns no more than where to."""
        self.assertEqual(self.get(TLS), self.signed.consensus)
        line = f"CONNECT {GOOD}:48099 HTTP/1.1".encode()
        self.assertEqual(self.proxy.requests, [line])

    def test_everything(self):
        """A whole directory, either way."""
        for source in (PLAIN, TLS):
            mine = DocumentCache(PUBLIC)
            found = self.run_(self.fetcher.fetch([source], mine))
            self.run_(mine.accept(found.documents))
            self.assertEqual(mine.signed, self.cache.signed)

    def test_authorization(self):
        """Who is not known to the proxy is told so; credentials go to the proxy alone."""
        self.proxy.authorization = b"Basic bWU6c2VjcmV0"
        for source in (PLAIN, TLS):
            self.assertIn("407", self.refused(source))
        self.settings = Proxy.parse(f"http://me:secret@{PROXY}:3128/", "here")
        for source in (PLAIN, TLS):
            self.assertEqual(self.get(source), self.signed.consensus)

    def test_refused(self):
        """What a proxy may say instead of making a tunnel."""
        for answer, why in (
            (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "the proxy answered 403"),
            (b"HTTP/1.0 503\r\n\r\n", "the proxy answered 503"),
            (b"HTTP/1.1 302 Go\r\nLocation: http://192.0.2.9/\r\n\r\n", "the proxy answered 302"),
            (b"SSH-2.0-x\r\n\r\n", "the proxy did not answer"),
            (b"", "the proxy did not answer"),
            (b"x" * 20_000, "the proxy did not answer"),
        ):
            self.proxy.answer = answer
            self.assertEqual(self.refused(TLS), why)
        self.clock.advance(5)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_proxy_there(self):
        """Nobody listens where the proxy should be; the source is not asked directly."""
        self.settings = Proxy.parse("http://192.0.2.98:3128/", "here")
        for source in (PLAIN, TLS):
            self.assertEqual(self.refused(source), "no connection")
        self.network.heal()
        self.assertEqual(self.asked, [])

    def test_source_unreachable(self):
        """The proxy reaches nobody."""
        self.network.part([PROXY], [GOOD])
        self.proxy.reach = lambda host, port: self.network.client("192.0.2.97", port, PROXY)
        self.assertEqual(self.refused(TLS), "the proxy answered 502")
        self.assertEqual(self.refused(PLAIN), "it answered 502")

    def test_silent(self):
        """A proxy that takes the connection and says nothing, until the time is over."""
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        self.clock.result_of(self.network.server("192.0.2.96", 3128).listen(factory))
        self.settings = Proxy.parse("http://192.0.2.96:3128/", "here")
        for source in (PLAIN, TLS):
            before = self.clock.seconds()
            self.assertEqual(self.refused(source), "no answer in time")
            self.assertLess(self.clock.seconds() - before, 21)
        self.clock.advance(5)
        self.assertEqual(self.network.connections("192.0.2.96"), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_octets_in_one(self):
        """What comes right behind the proxy's answer is the source's."""
        self.proxy.answer = b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\nhello"
        seen: list[bytes] = []

        class Hearing(Protocol):
            def dataReceived(self, data: bytes) -> None:
                seen.append(data)

        factory = Factory.forProtocol(Hearing)
        factory.noisy = False
        tls_free: Any = self.dial(TLS)._endpoint
        self.clock.result_of(tls_free.connect(factory))
        self.clock.advance(1)
        self.assertEqual(seen, [b"hello"])


class SocketTests(AsyncTestCase):
    """Real sockets, as a program makes them from its environment."""

    async def test_environment(self) -> None:
        """Both kinds of source through a proxy on 127.0.0.1, found by ``http_proxy``."""
        from twisted.internet import reactor

        clock: Any = reactor
        now = int(clock.seconds())
        cache = DocumentCache(PUBLIC)
        signed = directory("alice", "bob")
        await cache.accept(documents(signed))
        site = QuietSite(resource(cache, clock), clock)
        tls = server_tls(Party(clock, now - 5 * DAY, now + 55 * DAY).credentials, [ALPN], clock)
        proxy = HttpProxy(lambda host, port: HostnameEndpoint(clock, host, port))
        ports = [
            self.listen(clock, factory)
            for factory in (site, link_factory(tls, {ALPN: site}, clock, Counters()), proxy)
        ]
        place = f"127.0.0.1:{ports[2]}"
        settings = Proxies.from_environment({"http_proxy": place, "https_proxy": place})
        fetcher = Fetcher(clock, dial(clock, clock, settings), SeededRandom(bytes(32)), timeout=10)
        for source in (
            Source(HostPort("127.0.0.1", ports[0]), tls=False),
            Source(HostPort("127.0.0.1", ports[1])),
        ):
            found = await fetcher.get(source, "consensus", 100_000, "consensus")
            self.assertEqual(found, signed.consensus)
        self.assertEqual(len(proxy.requests), 2)

    def listen(self, clock: Any, factory: Any) -> int:
        listening = bind(HostPort("127.0.0.1", 0))
        number: int = listening.getsockname()[1]
        port = clock.adoptStreamPort(listening.fileno(), listening.family, factory)
        listening.close()
        self.addCleanup(port.stopListening)
        return number
