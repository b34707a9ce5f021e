"""Documents served."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mixminion.dirhttp.cache import Documents
from tests.directory.network import published
from tests.dirhttp.kit import Reader, ServingCase, directory, documents

HOST = "192.0.2.1"


class ResourceTests(ServingCase):
    """A server with two mixes in its cache."""

    def setUp(self) -> None:
        super().setUp()
        self.held: Documents = documents(directory("alice", "bob"))
        self.clock.result_of(Deferred.fromCoroutine(self.cache.accept(self.held)))
        self.cache.descriptor = published("alice")
        self.serve(self.cache, HOST)

    def ask(
        self, path: str, method: str = "GET", *headers: str
    ) -> tuple[str, dict[str, str], bytes]:
        """Status line, header fields and body of an answer."""
        reader = self.connect(HOST)
        lines = [f"{method} {path} HTTP/1.1", "Connection: close", *headers, "", ""]
        assert reader.transport is not None
        reader.transport.write("\r\n".join(lines).encode("latin-1"))
        self.clock.run_until(lambda: reader.ended, 60)
        head, _, body = reader.received.partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        return status, dict(line.split(": ", 1) for line in fields), body

    def test_documents(self):
        """The three kinds of document, to the octet."""
        digest, keys = next(iter(self.held.keys.items()))
        for path, octets in (
            ("consensus", self.held.signed.octets),
            (f"keys/{digest.hex()}", keys),
            ("descriptor", self.cache.descriptor),
        ):
            status, fields, body = self.ask(f"/mixminion/2/{path}")
            self.assertEqual(status, "HTTP/1.1 200 OK")
            self.assertEqual(body, octets)
            self.assertEqual(fields["Content-Type"], "application/json")
            self.assertEqual(fields["Content-Length"], str(len(body)))

    def test_says_little(self):
        """No name of the software; the date is the server's own clock."""
        _, fields, _ = self.ask("/mixminion/2/consensus")
        self.assertNotIn("Server", fields)
        self.assertEqual(fields["Date"], "Fri, 15 Jan 2027 08:00:00 GMT")

    def test_unchanged(self):
        """Who has the octets already is told so without them."""
        _, fields, _ = self.ask("/mixminion/2/consensus")
        tag = fields["ETag"]
        status, _, body = self.ask("/mixminion/2/consensus", "GET", f"If-None-Match: {tag}")
        self.assertEqual((status, body), ("HTTP/1.1 304 Not Modified", b""))
        status, _, _ = self.ask("/mixminion/2/consensus", "GET", 'If-None-Match: "other"')
        self.assertEqual(status, "HTTP/1.1 200 OK")

    def test_head(self):
        """The header alone."""
        _, fields, body = self.ask("/mixminion/2/consensus", "HEAD")
        self.assertEqual(fields["Content-Length"], str(len(self.held.signed.octets)))
        self.assertEqual(body, b"")

    def test_not_found(self):
        """Everything else, whatever it looks like."""
        digest = next(iter(self.held.keys)).hex()
        for path in (
            "/",
            "/mixminion/2",
            "/mixminion/2/",
            "/mixminion/1/consensus",
            "/mixminion/2/consensus/",
            "/mixminion/2/keys/",
            "/mixminion/2/keys/" + "0" * 64,
            "/mixminion/2/keys/" + digest.upper(),
            "/mixminion/2/keys/../consensus",
            "/mixminion/2/keys/" + digest + "0",
            "//mixminion/2/consensus",
            "/%6dixminion/2/consensus",
        ):
            for method in ("GET", "HEAD"):
                status, _, _ = self.ask(path, method)
                self.assertEqual(status, "HTTP/1.1 404 Not Found", path)

    def test_query(self):
        """A query does not matter."""
        self.assertEqual(self.ask("/mixminion/2/consensus?a=b")[0], "HTTP/1.1 200 OK")

    def test_methods(self):
        """Only GET and HEAD."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"):
            status, fields, _ = self.ask("/mixminion/2/consensus", method)
            self.assertEqual(status, "HTTP/1.1 405 Method Not Allowed")
            self.assertEqual(fields["Allow"], "GET, HEAD")

    def test_nothing_held(self):
        """A server that knows nothing yet."""
        self.cache.descriptor = None
        self.assertIn("404", self.ask("/mixminion/2/descriptor")[0])


class SlowReaderTests(ServingCase):
    """Clients that do not read."""

    def setUp(self) -> None:
        super().setUp()
        self.cache.descriptor = b"x" * 5_000_000
        self.serve(self.cache, HOST)

    def ask(self) -> Reader:
        reader = self.connect(HOST)
        assert reader.transport is not None
        reader.transport.write(b"GET /mixminion/2/descriptor HTTP/1.1\r\n\r\n")
        return reader

    def test_whole(self):
        """Five megabytes arrive whole at a client that reads now and then."""
        reader = self.ask()
        for _ in range(20):
            self.clock.advance(0.02)
            reader.transport.pauseProducing()
            self.clock.advance(1)
            reader.transport.resumeProducing()
        self.clock.advance(60)
        self.assertTrue(reader.received.endswith(b"\r\n\r\n" + b"x" * 5_000_000))

    def test_memory(self):
        """A client that stops costs the server some slices, and is cut off in the end."""
        reader = self.ask()
        reader.transport.pauseProducing()
        self.clock.advance(600)
        self.assertLess(len(reader.received), 500_000)
        self.assertFalse(reader.ended)
        reader.transport.resumeProducing()
        reader.transport.pauseProducing()
        self.clock.advance(400)
        reader.transport.resumeProducing()
        self.clock.advance(10)
        self.assertTrue(reader.ended)
        self.assertLess(len(reader.received), 2_000_000)
        self.clock.advance(3600)
        self.assertEqual(self.clock.getDelayedCalls(), [])
