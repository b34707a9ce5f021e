"""Pages of the web, from this machine."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed
from twisted.internet import ssl
from twisted.internet.endpoints import HostnameEndpoint
from twisted.web.resource import Resource
from twisted.web.server import Site

from mixminion.client import pages
from mixminion.client.errors import BadPage, PageNotRead
from mixminion.client.pages import Page
from mixminion.dirhttp.proxies import NO_PROXIES, Proxies, Proxy
from mixminion.errors import render
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.certificates import Authority
from mixminion.util.hostport import HostPort
from tests.dirhttp.proxy import HttpProxy

reactor: Any = installed


class PageTests(SyncTestCase):
    """Addresses."""

    def test_parse(self):
        """With and without port, path and query."""
        for url, page, request in (
            ("http://a.example", Page(HostPort("a.example", 80), False, "/"), "a.example:80/"),
            (
                "https://A.example/x/net.conf?y=1#z",
                Page(HostPort("a.example", 443), True, "/x/net.conf?y=1"),
                "a.example:443/x/net.conf?y=1",
            ),
            ("http://[::1]:8080/", Page(HostPort("::1", 8080), False, "/"), "[::1]:8080/"),
        ):
            self.assertEqual(Page.parse(url), page)
            self.assertEqual(page.request, b"http://" + request.encode())

    def test_wrong(self):
        """What is none, and passwords, which would be shown."""
        for url in (
            "ftp://a/",
            "a.example",
            "http://",
            "http://u:p@a/",
            "http://a/ x",
            "http://a/\xe4",
        ):
            self.assertRaises(BadPage, Page.parse, url)


class Answer(Resource):
    """One page, and where it is when it is not here."""

    isLeaf = True
    octets = b"[Network]\n"

    def render_GET(self, request: Any) -> bytes:
        if request.path == b"/moved":
            request.redirect(b"/net.conf")
            return b""
        if request.path != b"/net.conf":
            request.setResponseCode(404)
            return b"not here"
        return self.octets


class ReadTests(AsyncTestCase):
    """Over sockets of this machine."""

    timeout = 30

    def listen(self, options: Any = None) -> int:
        site = Site(Answer())
        if options is None:
            port = reactor.listenTCP(0, site, interface="127.0.0.1")
        else:
            port = reactor.listenSSL(0, site, options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    def listen_tls(self) -> tuple[int, Any]:
        """A port with TLS for localhost, and whom to trust."""
        authority = Authority(reactor.seconds())
        certificate, key = authority.issue(["localhost"])
        port = self.listen(ssl.PrivateCertificate.loadPEM(certificate + key).options())
        return port, ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(authority.pem)])

    async def read(self, url: str, limit: int = 100, **options: Any) -> bytes:
        return await pages.read(
            url,
            limit,
            clock=reactor,
            connect=lambda place: HostnameEndpoint(reactor, place.host, place.port),
            **({"proxies": NO_PROXIES} | options),
        )

    async def refused(self, url: str, *parts: str, **options: Any) -> None:
        with self.assertRaises(PageNotRead) as caught:
            await self.read(url, **options)
        for part in (url, *parts):
            self.assertIn(part, render(caught.exception))
        self.assertEqual(caught.exception.exit_code, 69)

    async def test_plain(self):
        """The page, and each way in which there is none."""
        port = self.listen()
        self.assertEqual(await self.read(f"http://127.0.0.1:{port}/net.conf"), Answer.octets)
        for path, part in (
            ("/", "it answered 404"),
            ("/moved", "it answered 302: it is elsewhere"),
        ):
            await self.refused(f"http://127.0.0.1:{port}{path}", part)
        await self.refused(f"http://127.0.0.1:{port}/net.conf", "too long", limit=4)
        await self.refused("http://127.0.0.1:1/", "no connection")

    async def test_tls(self):
        """The page, when its certificate is one that is trusted, for its name."""
        port, trust = self.listen_tls()
        found = await self.read(f"https://localhost:{port}/net.conf", trust=trust)
        self.assertEqual(found, Answer.octets)
        await self.refused(f"https://127.0.0.1:{port}/net.conf", trust=trust)
        await self.refused(f"https://localhost:{port}/net.conf")

    async def test_proxied(self):
        """By way of a proxy, plain and in a tunnel."""
        proxy = HttpProxy(lambda host, port: HostnameEndpoint(reactor, host, port))
        listening = reactor.listenTCP(0, proxy, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        proxies = Proxies.every(Proxy(HostPort("127.0.0.1", listening.getHost().port)))
        plain, (tls, trust) = self.listen(), self.listen_tls()
        url = f"http://127.0.0.1:{plain}/net.conf"
        self.assertEqual(await self.read(url, proxies=proxies), Answer.octets)
        url = f"https://localhost:{tls}/net.conf"
        self.assertEqual(await self.read(url, proxies=proxies, trust=trust), Answer.octets)
        self.assertEqual(
            proxy.requests,
            [
                b"GET http://127.0.0.1:%d/net.conf HTTP/1.1" % plain,
                b"CONNECT localhost:%d HTTP/1.1" % tls,
            ],
        )
        proxy.answer = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
        await self.refused(url, "the proxy answered 403", proxies=proxies, trust=trust)
