"""The HTTP server, octet by octet."""

from __future__ import annotations

from typing import Any

from twisted.logger import globalLogPublisher
from twisted.web.resource import Resource

from mixminion.dirhttp.site import REQUEST, QuietSite
from tests.dirhttp.kit import Reader, ServingCase

HOST = "192.0.2.1"


class Echo(Resource):
    """Answers a request with its body."""

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"hello"

    def render_HEAD(self, request: Any) -> bytes:
        return b""

    def render_POST(self, request: Any) -> bytes:
        body: bytes = request.content.read()
        return body


class SiteCase(ServingCase):
    """A site that takes uploads of ten octets."""

    def setUp(self) -> None:
        super().setUp()
        self.site = QuietSite(Echo(), self.clock, longest_upload=10)
        self.clock.result_of(self.network.server(HOST, 80).listen(self.site))
        self.logged: list[Any] = []
        observer: Any = self.logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def tell(self, *parts: bytes, wait: float = 1.0) -> Reader:
        """Send *parts* a little apart; the reader of what came back."""
        reader = self.connect(HOST)
        for part in parts:
            assert reader.transport is not None
            reader.transport.write(part)
            self.clock.advance(0.1)
        self.clock.advance(wait)
        return reader

    def status(self, *parts: bytes) -> bytes:
        return self.tell(*parts).received.partition(b"\r\n")[0]


class BoundsTests(SiteCase):
    """What a client may send."""

    def test_get(self):
        """An ordinary request, and another on the same connection."""
        reader = self.tell(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(reader.received.count(b"HTTP/1.1 200 OK\r\n"), 2)
        self.assertFalse(reader.ended)

    def test_upload(self):
        """A body as long as it may be, in pieces."""
        reader = self.tell(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n01234", b"56789")
        self.assertTrue(reader.received.endswith(b"\r\n\r\n0123456789"))

    def test_upload_too_long(self):
        """One octet more is refused before it is read, and the connection ends."""
        reader = self.tell(b"POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n", b"01234567890")
        self.assertTrue(reader.received.startswith(b"HTTP/1.1 413 "))
        self.assertEqual(reader.received.count(b"HTTP/1.1"), 1)
        self.assertTrue(reader.ended)

    def test_upload_at_once(self):
        """The same with the body in the same segment as the header."""
        reader = self.tell(b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n" + b"x" * 9000)
        self.assertTrue(reader.received.startswith(b"HTTP/1.1 413 "))
        self.assertTrue(reader.ended)

    def test_length_without_end(self):
        """A length of thousands of digits, which the standard library refuses to read."""
        length = b"Content-Length: " + b"1" * 5000
        for rest in (b"\r\n\r\n", b"\r\nHost: x\r\n\r\n"):
            reader = self.tell(b"POST / HTTP/1.1\r\n" + length + rest)
            self.assertTrue(reader.received.startswith(b"HTTP/1.1 400 "))
            self.assertEqual(reader.received.count(b"HTTP/1.1"), 1)
            self.assertTrue(reader.ended)
        self.assertEqual(self.logged, [])

    def test_upload_of_unknown_length(self):
        """A chunked body could be any length."""
        reader = self.tell(
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"
        )
        self.assertTrue(reader.received.startswith(b"HTTP/1.1 411 "))
        self.assertTrue(reader.ended)

    def test_expect(self):
        """Nobody is told to go on with an upload that is refused."""
        reader = self.tell(b"POST / HTTP/1.1\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
        self.assertNotIn(b"100", reader.received)

    def test_headers(self):
        """Long and many header fields, and what is not HTTP."""
        for sent in (
            b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 33 + b"\r\n",
            b"GET / HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
            b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n",
            b"hello\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        ):
            with self.subTest(sent[:30]):
                reader = self.tell(sent)
                self.assertIn(reader.received[:12], (b"HTTP/1.1 400", b""))
                self.assertTrue(reader.ended)

    def test_never_ending_line(self):
        """A line without an end is not kept for ever."""
        reader = self.tell(*[b"a" * 10_000] * 4)
        self.assertTrue(reader.ended)

    def test_idle(self):
        """A connection that says nothing, or half a header, ends."""
        for sent in (b"", b"GET / HT"):
            reader = self.tell(sent)
            self.assertFalse(reader.ended)
            self.clock.advance(REQUEST + 20)
            self.assertTrue(reader.ended)

    def test_slow(self):
        """So does one that sends an octet every ten seconds, and not one that asks anew."""
        reader, busy = self.connect(HOST), self.connect(HOST)
        for octet in b"GET / HT":
            for each, sent in ((reader, bytes([octet])), (busy, b"GET / HTTP/1.1\r\n\r\n")):
                assert each.transport is not None
                each.transport.write(sent)
            self.clock.advance(10)
        self.assertTrue(reader.ended)
        self.assertFalse(busy.ended)
        self.assertEqual(busy.received.count(b"200 OK"), 8)


class QuietTests(SiteCase):
    """What is said about clients."""

    def test_no_log(self):
        """Neither a request, nor a bad one, nor a time-out leaves anything in the log."""
        self.tell(b"GET /secret HTTP/1.1\r\nUser-Agent: me\r\n\r\n")
        self.tell(b"POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n")
        self.tell(b"junk\r\n\r\n")
        self.tell(b"HEAD / HTTP/1.1\r\n\r\n")
        self.tell(b"GET", wait=2 * REQUEST)
        self.assertEqual(self.logged, [])

    def test_no_ticking(self):
        """A site at rest has no calls pending, started or not."""
        self.site.doStart()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.site.doStop()
