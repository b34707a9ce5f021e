"""Requests: resumed, unpacked, bounded, and documents sent."""

from __future__ import annotations

import gzip
import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from typing_extensions import override

from mixminion.crypto.rng import SeededRandom
from mixminion.dirhttp import requester
from mixminion.dirhttp.errors import FetchFailed
from mixminion.dirhttp.requester import Answer, Requester
from mixminion.dirhttp.sources import Source
from tests.dirhttp.kit import ServingCase

HOST = "192.0.2.1"
LIMIT = 2_000_000
TEXT = b"".join(b"%d " % n for n in range(200_000))


class Scripted(Protocol):
    """Answers each connection with the next of a list of scripts: octets, and whether the
    connection ends after them."""

    scripts: list[tuple[bytes, bool]]
    requests: list[bytes]
    _received = b""

    @override
    def dataReceived(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: ([0-9]+)", head)
        if not end or len(body) < int(length[1] if length else 0):
            return
        self.requests.append(self._received)
        octets, ends = self.scripts.pop(0)
        transport: Any = self.transport
        transport.write(octets)
        if ends:
            transport.loseConnection()


def answer(octets: bytes, *fields: str, code: int = 200, length: int | None = None) -> bytes:
    """An answer of these octets, which says that it is *length* long."""
    size = len(octets) if length is None else length
    lines = [f"HTTP/1.1 {code} x", f"Content-Length: {size}", *fields, "", ""]
    return "\r\n".join(lines).encode() + octets


class RequesterCase(ServingCase):
    """One source that does as it is told."""

    def setUp(self) -> None:
        super().setUp()
        self.requests: list[bytes] = []
        self.scripts: list[tuple[bytes, bool]] = []
        script = {"scripts": self.scripts, "requests": self.requests}
        factory = Factory.forProtocol(type("Script", (Scripted,), script))
        factory.noisy = False
        self.clock.result_of(self.network.server(HOST, 80).listen(factory))
        self.requester = Requester(
            self.clock, lambda source: self.network.client(source.place.host, source.place.port)
        )
        self.source = Source.parse(f"http://{HOST}/")

    def get(self, *scripts: bytes | tuple[bytes, bool], limit: int = LIMIT) -> bytes:
        """What comes of these answers, one a connection."""
        self.scripts[:] = [each if isinstance(each, tuple) else (each, True) for each in scripts]
        return self.run_(self.requester.get(self.source, "consensus", limit, "consensus"))

    def refused(self, *scripts: bytes | tuple[bytes, bool], **options: Any) -> str:
        error = self.assertRaises(FetchFailed, lambda: self.get(*scripts, **options))
        self.assertEqual(self.scripts, [])
        why: str = error.fields["why"]
        return why

    def parts(self) -> list[tuple[str | None, str | None]]:
        """Range and If-Range of each request."""
        found = []
        for request in self.requests:
            fields = [re.search(rb"\r\n%b: ([^\r]*)" % n, request) for n in (b"Range", b"If-Range")]
            one, other = (None if field is None else field[1].decode() for field in fields)
            found.append((one, other))
        return found


class UnpackedTests(RequesterCase):
    """Compressed answers."""

    def test_unpacked(self):
        """gzip, and what is not compressed."""
        packed = gzip.compress(TEXT)
        self.assertEqual(self.get(answer(packed, "Content-Encoding: gzip")), TEXT)
        self.assertEqual(self.get(answer(packed, "Content-Encoding: GZIP")), TEXT)
        self.assertEqual(self.get(answer(TEXT)), TEXT)
        self.assertEqual(self.get(answer(TEXT, "Content-Encoding: identity")), TEXT)
        self.assertIn(b"\r\nAccept-Encoding: gzip\r\n", self.requests[0])

    def test_bomb(self):
        """What becomes too long when it is unpacked is refused before it does."""
        for octets in (b"x" * (LIMIT + 1), bytes(400 * LIMIT)):
            packed = answer(gzip.compress(octets, 9), "Content-Encoding: gzip")
            self.assertEqual(self.refused(packed), "the answer is not whole, or too long")
        self.assertEqual(
            len(self.get(answer(gzip.compress(bytes(LIMIT)), "Content-Encoding: gzip"))), LIMIT
        )

    def test_not_as_it_says(self):
        """Broken, cut, followed by more, or packed in another way; nothing is asked twice."""
        packed = gzip.compress(TEXT)
        for octets, coding in (
            (packed[:-9], "gzip"),
            (packed + b"x", "gzip"),
            (packed + packed, "gzip"),
            (b"x" + packed, "gzip"),
            (b"", "gzip"),
            (TEXT, "br"),
            (packed, "gzip, gzip"),
        ):
            said = answer(octets, f"Content-Encoding: {coding}", 'ETag: "a"')
            self.assertEqual(self.refused(said), "the answer is not whole, or too long", coding)


class ResumedTests(RequesterCase):
    """Downloads that break."""

    TAG = 'ETag: "tag"'

    def part(self, first: int, end: int | None = None, *fields: str, tag: str = TAG) -> bytes:
        """An answer that begins at *first* and breaks before *end*."""
        place = f"Content-Range: bytes {first}-{len(TEXT) - 1}/{len(TEXT)}"
        rest = TEXT[first:]
        return answer(TEXT[first:end], place, tag, *fields, code=206, length=len(rest))

    def test_resumed(self):
        """From where it broke, as often as something comes."""
        found = self.get(
            answer(TEXT[:1000], self.TAG, length=len(TEXT)),
            self.part(1000, 1001),
            self.part(1001, 500_000),
            self.part(500_000),
        )
        self.assertEqual(found, TEXT)
        ranges = [(f"bytes={n}-", '"tag"') for n in (1000, 1001, 500_000)]
        self.assertEqual(self.parts(), [(None, None), *ranges])

    def test_compressed(self):
        """What was compressed is put together before it is unpacked."""
        packed = gzip.compress(TEXT)
        coding = "Content-Encoding: gzip"
        place = f"Content-Range: bytes 999-{len(packed) - 1}/*"
        found = self.get(
            answer(packed[:999], self.TAG, coding, length=len(packed)),
            answer(packed[999:], self.TAG, coding, place, code=206),
        )
        self.assertEqual(found, TEXT)

    def test_changed(self):
        """Another document meanwhile: all of that one."""
        found = self.get(answer(b"old", self.TAG, length=99), answer(TEXT, 'ETag: "new"'))
        self.assertEqual(found, TEXT)

    def test_slow(self):
        """Time that was over goes on, as long as enough came in it."""
        first = answer(TEXT[: requester.PROGRESS], self.TAG, length=len(TEXT))
        found = self.get((first, False), self.part(requester.PROGRESS))
        self.assertEqual(found, TEXT)
        first = answer(TEXT[: requester.PROGRESS - 1], self.TAG, length=len(TEXT))
        self.assertEqual(self.refused((first, False)), "no answer in time")

    def test_not_resumed(self):
        """Nothing to go on with: no tag, or a weak one, or nothing came."""
        for fields in ((), ('ETag: W/"tag"',), ("ETag: tag",), ('ETag: "a"', 'ETag: "b"')):
            cut = answer(b"half", *fields, length=99)
            self.assertEqual(self.refused(cut), "the connection broke")
        self.assertEqual(self.refused(b""), "the connection broke")
        first = answer(TEXT[:9], self.TAG, length=len(TEXT))
        self.assertEqual(self.refused(first, b""), "the connection broke")

    def test_wrong_part(self):
        """A part that was not asked for."""
        first = answer(TEXT[:9], self.TAG, length=len(TEXT))
        whole = "the answer is not whole, or too long"
        for wrong, why in (
            (self.part(8), whole),
            (self.part(9, None, tag='ETag: "other"'), whole),
            (self.part(9, None, tag="X: y"), whole),
            (answer(TEXT[9:], self.TAG, code=206), whole),
            (answer(b"", "Content-Range: bytes */9", code=416), "it answered 416"),
            (answer(b"", code=503), "it answered 503"),
        ):
            self.assertEqual(self.refused(first, wrong), why)
        self.assertEqual(self.refused(self.part(0)), "it answered 206")

    def test_over_and_over(self):
        """A real server, and a line that is cut again and again."""
        noise = SeededRandom(b"noise").octets(3_500_000)
        self.cache.descriptor = noise
        self.network.latency = 0.05
        self.serve(self.cache, "192.0.2.2")
        getting = Deferred.fromCoroutine(
            self.requester.get(Source.parse("http://192.0.2.2/"), "descriptor", 4_000_000, "x")
        )
        cuts = 0
        while not getting.called:
            self.clock.advance(0.3)
            cuts += bool(self.network.drop("192.0.2.2"))
        self.assertEqual(self.successResultOf(getting), noise)
        self.assertGreater(cuts, 2)

    def test_bounded(self):
        """Neither many connections nor many parts make more than may come."""
        first = answer(TEXT[:9], self.TAG, length=len(TEXT))
        ones = [self.part(9 + n, 10 + n) for n in range(requester.TRIES - 1)]
        self.assertEqual(self.refused(first, *ones), "it breaks off every time")
        long = self.refused(answer(TEXT[:90], self.TAG, length=100), self.part(90), limit=100)
        self.assertEqual(long, "the answer is not whole, or too long")


class PostTests(RequesterCase):
    """Documents sent."""

    def post(self, octets: bytes, *scripts: bytes | tuple[bytes, bool]) -> Answer:
        self.scripts[:] = [each if isinstance(each, tuple) else (each, True) for each in scripts]
        return self.run_(self.requester.post(self.source, "descriptor", octets, 100, "receipt"))

    def refused(self, *scripts: Any, **options: Any) -> str:
        error = self.assertRaises(FetchFailed, lambda: self.post(b"{}", *scripts))
        self.assertEqual(error.fields["document"], "receipt")
        why: str = error.fields["why"]
        return why

    def test_answers(self):
        """Whatever it says, with its status; what was sent arrives whole."""
        for octets in (b"", b"{}", TEXT):
            self.requests.clear()
            self.assertEqual(self.post(octets, answer(b"thanks")), Answer(200, b"thanks"))
            head, _, body = self.requests[0].partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"POST /mixminion/2/descriptor HTTP/1.1\r\n"))
            self.assertIn(b"Content-Length: %d" % len(octets), head)
            self.assertIn(b"Content-Type: application/json", head)
            self.assertEqual(body, octets)
        self.assertEqual(self.post(b"{}", answer(b"no", code=429)), Answer(429, b"no"))

    def test_bounded(self):
        """An answer that is too long, cut, late or not there; it is not asked again."""
        self.assertIn("too long", self.refused(answer(b"x" * 101)))
        self.assertEqual(self.refused(answer(b"x", 'ETag: "a"', length=9)), "the connection broke")
        self.assertEqual(self.refused((answer(b"x", length=9), False)), "no answer in time")
        self.assertEqual(len(self.requests), 3)
        self.source = Source.parse("http://192.0.2.2/")
        self.assertEqual(self.refused(b""), "no connection")
        self.clock.advance(5)
        self.assertEqual(self.network.connections(HOST), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
