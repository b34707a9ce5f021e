"""Documents served."""

from __future__ import annotations

import gzip
from pathlib import Path

from twisted.internet.defer import Deferred

from mixminion.directory import diff
from mixminion.directory.digests import Digests
from mixminion.dirhttp.cache import DocumentCache, Documents, Known
from mixminion.dirhttp.files import FolderFiles, inline
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from tests.directory.network import NOW, published
from tests.dirhttp.kit import PRIVATE, PUBLIC, Reader, ServingCase, directory, documents

HOST = "192.0.2.1"


class AskingCase(ServingCase):
    """A server with a network in its cache, and somebody who asks it."""

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

    def accept(self, held: Documents) -> None:
        self.clock.result_of(Deferred.fromCoroutine(self.cache.accept(held)))


class ResourceTests(AskingCase):
    """Two mixes."""

    def setUp(self) -> None:
        super().setUp()
        self.held: Documents = documents(directory("alice", "bob"))
        self.accept(self.held)
        self.cache.descriptor = published("alice")
        self.serve(self.cache, HOST)

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


class PartTests(AskingCase):
    """Compressed documents, and parts of them."""

    def setUp(self) -> None:
        super().setUp()
        self.accept(documents(directory("alice", "bob")))
        self.serve(self.cache, HOST)
        assert self.cache.signed is not None
        self.whole = self.cache.signed.octets

    def get(self, *headers: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        status, fields, body = self.ask("/mixminion/2/consensus", method, *headers)
        return int(status.split()[1]), fields, body

    def test_compressed(self):
        """For those who say that they can read it; with another tag."""
        _, plain, body = self.get()
        self.assertEqual(body, self.whole)
        self.assertNotIn("Content-Encoding", plain)
        code, fields, body = self.get("Accept-Encoding: gzip")
        self.assertEqual((code, fields["Content-Encoding"]), (200, "gzip"))
        self.assertEqual(gzip.decompress(body), self.whole)
        self.assertLess(len(body), len(self.whole))
        self.assertEqual(fields["Content-Length"], str(len(body)))
        self.assertNotEqual(fields["ETag"], plain["ETag"])
        for each in (fields, plain):
            self.assertEqual(each["Vary"], "Accept-Encoding")
        _, head, nothing = self.get("Accept-Encoding: gzip", method="HEAD")
        self.assertEqual((head["Content-Length"], nothing), (str(len(body)), b""))
        tag = f"If-None-Match: {fields['ETag']}"
        self.assertEqual(self.get("Accept-Encoding: gzip", tag)[0], 304)
        self.assertEqual(self.get(tag)[0], 200)

    def test_resumed(self):
        """What is missing of a broken download, plain or compressed."""
        for coding in ("identity", "gzip"):
            accept = f"Accept-Encoding: {coding}"
            _, fields, body = self.get(accept)
            only = f"If-Range: {fields['ETag']}"
            for first in (0, 1, 500, len(body) - 1):
                code, part, rest = self.get(accept, only, f"Range: bytes={first}-")
                self.assertEqual((code, body[:first] + rest), (206, body))
                place = f"bytes {first}-{len(body) - 1}/{len(body)}"
                self.assertEqual(part["Content-Range"], place)
                self.assertEqual(part["Content-Length"], str(len(rest)))
                self.assertEqual(part["ETag"], fields["ETag"])
                self.assertEqual(part.get("Content-Encoding"), fields.get("Content-Encoding"))
            code, _, rest = self.get(accept, "Range: bytes=10-19")
            self.assertEqual((code, rest), (206, body[10:20]))

    def test_changed_meanwhile(self):
        """Of another document than the one begun, or in the other form, all is sent."""
        _, fields, body = self.get("Accept-Encoding: gzip")
        only = f"If-Range: {fields['ETag']}"
        self.assertEqual(self.get(only, "Range: bytes=9-")[2], self.whole)
        self.accept(documents(directory("alice", at=NOW + 60), NOW + 60))
        code, _, other = self.get("Accept-Encoding: gzip", only, "Range: bytes=9-")
        self.assertEqual(code, 200)
        self.assertNotEqual(other, body)
        date = "If-Range: Fri, 15 Jan 2027 08:00:00 GMT"
        self.assertEqual(self.get(date, "Range: bytes=9-")[0], 200)

    def test_beyond(self):
        """Nothing is left, as a client finds that has all of it."""
        code, fields, _ = self.get(f"Range: bytes={len(self.whole)}-")
        self.assertEqual(code, 416)
        self.assertEqual(fields["Content-Range"], f"bytes */{len(self.whole)}")

    def test_head(self):
        """A header is of the whole."""
        code, fields, _ = self.get("Range: bytes=9-", method="HEAD")
        self.assertEqual((code, fields["Content-Length"]), (200, str(len(self.whole))))


class PastTests(AskingCase):
    """What a server knows of earlier consensuses."""

    def setUp(self) -> None:
        super().setUp()
        names = [f"server{i}" for i in range(12)]
        self.held = [
            documents(directory(*names[: 10 + (i > 1)], at=NOW + 60 * i), NOW + 60 * i)
            for i in range(4)
        ]
        for each in self.held:
            self.accept(each)
        self.serve(self.cache, HOST)

    def get(self, name: str) -> tuple[int, bytes]:
        status, _, body = self.ask(f"/mixminion/2/{name}")
        return int(status.split()[1]), body

    def test_digests(self):
        """Which consensuses it holds, the newest first."""
        code, body = self.get("digests")
        found = [(each.digest, each.valid_after) for each in Digests.read(body).digests]
        expected = [
            (each.signed.digest, each.signed.consensus.valid_after) for each in self.held[:0:-1]
        ]
        self.assertEqual((code, found), (200, expected))

    def test_earlier_documents(self):
        """Held ones by their digests, and their key documents; none that went."""
        for each in self.held:
            gone = each is self.held[0]
            code, body = self.get(f"consensus/{each.signed.digest.hex()}")
            self.assertEqual(
                (code, body == each.signed.octets), (404, False) if gone else (200, True)
            )
        for each in self.held[1:]:
            for digest, octets in each.keys.items():
                self.assertEqual(self.get(f"keys/{digest.hex()}"), (200, octets))

    def test_consensus_differences(self):
        """From each one held to the newest, itself included; from others none."""
        newest = self.held[-1].signed
        for each in self.held[1:]:
            code, body = self.get(f"consensus-diff/{each.signed.digest.hex()}")
            self.assertEqual(code, 200)
            self.assertEqual(diff.apply_to_consensus(body, each.signed.octets), newest.octets)
        self.assertEqual(self.get(f"consensus-diff/{self.held[0].signed.digest.hex()}")[0], 404)
        self.assertEqual(self.get(f"consensus-diff/{newest.digest.hex()}/{'0' * 64}")[0], 404)

    def test_signatures_added(self):
        """A consensus that has gained signatures differs from itself in those."""
        names = [f"server{i}" for i in range(12)]
        few = documents(directory(*names, at=NOW + 240, signers=PRIVATE[:2]), NOW + 240)
        many = documents(directory(*names, at=NOW + 240), NOW + 240)
        path = f"consensus-diff/{few.signed.digest.hex()}"
        for each in (few, many):
            self.accept(each)
            code, body = self.get(path)
            self.assertEqual(code, 200)
            self.assertEqual(diff.apply_to_consensus(body, few.signed.octets), each.signed.octets)

    def test_keys_differences(self):
        """Between held key documents of one period, either way; between others none."""
        (before, after) = (dict(self.known(i).periods) for i in (2, 1))
        first, second, *_ = before
        code, body = self.get(f"keys-diff/{before[first].hex()}/{after[first].hex()}")
        self.assertEqual(code, 200)
        old, new = (self.held[i].keys for i in (1, 2))
        self.assertEqual(diff.apply_to_keys(body, old[before[first]]), new[after[first]])
        for one, other in (
            (before[first], after[second]),
            (before[first], bytes(32)),
            (bytes(32), after[first]),
        ):
            self.assertEqual(self.get(f"keys-diff/{one.hex()}/{other.hex()}")[0], 404)
        self.assertEqual(self.get(f"keys-diff/{before[first].hex()}")[0], 404)

    def known(self, number: int) -> Known:
        return self.cache.known[number]

    def test_not_worth_while(self):
        """A difference nearly as long as the whole is not offered, and not made twice."""
        self.accept(documents(directory("other", at=NOW + 240), NOW + 240))
        made = []

        def counting(work):
            made.append(work)
            return inline(work)

        site = QuietSite(resource(self.cache, self.clock, counting), self.clock)
        self.clock.result_of(self.network.server("192.0.2.9", 80).listen(site))
        path = f"consensus-diff/{self.held[-1].signed.digest.hex()}"
        for _ in range(3):
            self.assertEqual(self.ask_at("192.0.2.9", path), 404)
        self.assertEqual(len(made), 1)

    def test_a_file_lost(self):
        """What the disk has lost is not there."""
        cache = DocumentCache(PUBLIC, Path(self.mktemp()).absolute())
        for each in self.held:
            self.clock.result_of(Deferred.fromCoroutine(cache.accept(each)))
        assert isinstance(cache._files, FolderFiles)
        for name in cache._files.names():
            cache._files.remove(name)
        self.serve(cache, "192.0.2.9")
        self.cache = cache
        digest = self.held[1].signed.digest.hex()
        for path in (f"consensus/{digest}", f"consensus-diff/{digest}"):
            self.assertEqual(self.ask_at("192.0.2.9", path), 404)

    def ask_at(self, host: str, path: str) -> int:
        reader = self.connect(host)
        reader.transport.write(f"GET /mixminion/2/{path} HTTP/1.1\r\n\r\n".encode())
        self.clock.run_until(lambda: b"\r\n\r\n" in reader.received, 60)
        return int(reader.received.split()[1])


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
