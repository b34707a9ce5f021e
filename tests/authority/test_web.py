"""The HTTP resource, octet by octet: receipts, documents, floods, oversize, junk."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from mixminion.authority.receipts import Receipts
from mixminion.authority.site import Admitting, Allowances, AuthoritySite
from mixminion.authority.web import AuthorityResource
from mixminion.directory.receipt import Receipt
from mixminion.directory.vote import LIMIT
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.resource import resource
from mixminion.net.admission import Admission
from mixminion.testing.wire import MemoryNetwork
from tests.authority.kit import NOW, AuthorityCase, identity, published, settings, signer
from tests.dirhttp.kit import PUBLIC, Reader, directory, documents

HOST = "192.0.2.1"
ME = identity("authority 0")
OTHER = identity("authority 1")


class FakeExchange:
    """Keeps what is offered; has a little."""

    def __init__(self) -> None:
        self.votes: list[bytes] = []
        self.detached: list[bytes] = []
        self.word: str | None = None

    def offered(self, octets: bytes) -> str | None:
        self.votes.append(octets)
        return self.word

    def signatures_offered(self, octets: bytes) -> str | None:
        self.detached.append(octets)
        return self.word

    def vote(self, valid_after: int, identity: bytes) -> bytes | None:
        return b"the vote" if (valid_after, identity) == (NOW, OTHER) else None

    def signatures(self, valid_after: int) -> bytes | None:
        return b"the signatures" if valid_after == NOW else None

    def evidence(self, valid_after: int, identity: bytes) -> bytes | None:
        return b"[evidence]" if (valid_after, identity) == (NOW, OTHER) else None


class WebCase(AuthorityCase):
    def setUp(self) -> None:
        super().setUp()
        self.network = MemoryNetwork(self.clock, latency=0.01)
        self.cache = DocumentCache(PUBLIC)
        self.exchange: FakeExchange | None = FakeExchange()
        receipts = Receipts(
            clock=self.clock,
            identity=ME,
            signer=signer,
            intake=self.intake,
            listed=lambda identity: identity == self.in_consensus,
        )
        self.in_consensus = b""
        tree = AuthorityResource(
            clock=self.clock,
            documents=resource(self.cache, self.clock),
            intake=self.intake,
            receipts=receipts,
            descriptors=self.register.get,
            exchange=lambda: self.exchange,
        )
        self.site = AuthoritySite(tree, self.clock, Allowances.of(self.clock, 20, 3, 1000.0))
        admitting = Admitting(self.site, Admission(per_prefix=8, total=12))
        self.clock.result_of(self.network.server(HOST, 80).listen(admitting))

    def connect(self, source: str = "127.0.0.1") -> Reader:
        from twisted.internet.protocol import Factory

        factory = Factory.forProtocol(Reader)
        factory.noisy = False
        reader: Any = self.clock.result_of(self.network.client(HOST, 80, source).connect(factory))
        return reader  # type: ignore[no-any-return]

    def ask(
        self, method: str, path: str, body: bytes = b"", *, source: str = "127.0.0.1"
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, header fields and body of an answer."""
        reader = self.connect(source)
        head = f"{method} /mixminion/2/{path} HTTP/1.1\r\nConnection: close\r\n"
        length = f"Content-Length: {len(body)}\r\n" if body or method == "POST" else ""
        assert reader.transport is not None
        reader.transport.write((head + length + "\r\n").encode() + body)
        self.clock.run_until(lambda: reader.ended, 60)
        answer, _, octets = reader.received.partition(b"\r\n\r\n")
        status, *fields = answer.decode().split("\r\n")
        return int(status.split()[1]), dict(f.split(": ", 1) for f in fields), octets

    def receipt(self, octets: bytes) -> Receipt:
        """What a receipt says, its signature checked."""
        receipt = Receipt.verify(octets, ME, self.clock.seconds())
        self.assertEqual((receipt.authority, receipt.time), (ME, int(self.clock.seconds())))
        return receipt


class ReceiptTests(WebCase):
    def test_taken(self):
        """A server publishes, is answered in writing, and can ask again."""
        code, fields, octets = self.ask("POST", "descriptor", published("alice"))
        self.assertEqual((code, fields["Content-Type"]), (200, "application/json"))
        self.assertNotIn("Server", fields)
        receipt = self.receipt(octets)
        held = self.record("alice").described
        assert held is not None
        self.assertEqual((receipt.identity, receipt.digest), (identity("alice"), held.digest))
        self.assertEqual((str(receipt.state), receipt.listed), ("waiting", False))
        self.reached("alice")
        self.in_consensus = identity("alice")
        again = self.receipt(self.ask("GET", f"standing/{identity('alice').hex()}")[2])
        self.assertEqual((str(again.state), again.listed), ("listed", True))

    def test_refused(self):
        """A refusal is a receipt, too: with its reason, and what is held instead."""
        self.ask("POST", "descriptor", published("alice"))
        held = self.record("alice").described
        assert held is not None
        code, _, octets = self.ask("POST", "descriptor", published("alice", contact="x"))
        receipt = self.receipt(octets)
        self.assertEqual((code, str(receipt.state)), (200, "refused"))
        self.assertIn("There are two descriptors", receipt.reason)
        self.assertEqual(receipt.digest, held.digest)

    def test_banned(self):
        """A banned one is told so."""
        from mixminion.authority.records import Decision

        self.run_(self.register.decide(identity("alice"), Decision.BANNED, note="spam"))
        receipt = self.receipt(self.ask("POST", "descriptor", published("alice"))[2])
        self.assertEqual((str(receipt.state), receipt.digest), ("banned", None))
        self.assertIn("(spam)", receipt.reason)

    def test_unknown(self):
        """Of a stranger there is nothing to say but that."""
        receipt = self.receipt(self.ask("GET", f"standing/{'ab' * 32}")[2])
        self.assertEqual((str(receipt.state), receipt.digest), ("unknown", None))

    def test_not_kept(self):
        """When the disk fails the server is told to come again."""
        self.run_(self.register.close())
        self.register._database._closed = False
        self.register._database._connection = None
        self.path.unlink()
        self.path.mkdir()
        code, _, octets = self.ask("POST", "descriptor", published("alice"))
        self.assertEqual((code, octets), (503, b"not-kept\n"))


class DocumentTests(WebCase):
    def test_descriptor(self):
        """Descriptors by digest, as they were published."""
        self.offer("alice")
        held = self.record("alice").described
        assert held is not None
        code, _, octets = self.ask("GET", f"descriptors/{held.digest.hex()}")
        self.assertEqual((code, octets), (200, published("alice")))
        self.assertEqual(self.ask("GET", f"descriptors/{'0' * 64}")[0], 404)

    def test_consensus(self):
        """Consensus and keys as every server serves them."""
        held = documents(directory("alice"))
        self.clock.result_of(Deferred.fromCoroutine(self.cache.accept(held)))
        self.assertEqual(self.ask("GET", "consensus")[2], held.signed.octets)
        (digest, keys), *_ = held.keys.items()
        self.assertEqual(self.ask("GET", f"keys/{digest.hex()}")[2], keys)

    def test_exchange(self):
        """What authorities ask each other for."""
        for path, octets in [
            (f"votes/{NOW}/{OTHER.hex()}", b"the vote"),
            (f"evidence/{NOW}/{OTHER.hex()}", b"[evidence]"),
            (f"signatures/{NOW}", b"the signatures"),
        ]:
            code, fields, body = self.ask("GET", path)
            self.assertEqual((code, body), (200, octets))
            code, fields, body = self.ask("HEAD", path)
            self.assertEqual((fields["Content-Length"], body), (str(len(octets)), b""))
            self.assertEqual(self.ask("GET", path.replace(str(NOW), "7"))[0], 404)

    def test_votes_taken(self):
        """202, or 400 with a word."""
        assert self.exchange is not None
        for path, kept in (("vote", self.exchange.votes), ("signatures", self.exchange.detached)):
            self.exchange.word = None
            self.assertEqual(self.ask("POST", path, b"x")[0], 202)
            self.exchange.word = "late"
            code, _, body = self.ask("POST", path, b"y")
            self.assertEqual((code, body), (400, b"late\n"))
            self.assertEqual(kept, [b"x", b"y"])

    def test_not_ready(self):
        """An authority that is being told something new says so."""
        self.exchange = None
        self.assertEqual(self.ask("POST", "vote", b"x")[0], 503)
        self.assertEqual(self.ask("GET", f"signatures/{NOW}")[0], 404)


class JunkTests(WebCase):
    def test_no_descriptor(self):
        """What is no descriptor is a bad request, with a sentence."""
        for body in (b"", b"{}", b"[" * 60_000, b"\xff" * 100, published("alice")[1:]):
            code, fields, said = self.ask("POST", "descriptor", body)
            self.assertEqual(code, 400)
            self.assertIn(b"descriptor is malformed", said)
            self.assertIn("text/plain", fields["Content-Type"])

    def test_paths(self):
        """Everything else is not found, and takes no other method."""
        zero = "0" * 64
        wrong = ["", "x", "standing/zz", f"standing/{'AB' * 32}", f"votes/-1/{zero}"]
        wrong += [f"votes/9999999999999/{zero}", "signatures/", "../standing/x"]
        for path in wrong:
            self.assertEqual(self.ask("GET", path)[0], 404, path)
        for method in ("PUT", "DELETE", "PATCH"):
            self.assertEqual(self.ask(method, "descriptor")[0], 405)
        self.assertEqual(self.ask("POST", "consensus")[0], 405)

    def test_gone(self):
        """Who does not wait for his answer harms nobody."""
        reader = self.connect()
        body = published("alice")
        assert reader.transport is not None
        reader.transport.write(
            b"POST /mixminion/2/descriptor HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        reader.transport.write(body)
        reader.transport.abortConnection()  # type: ignore[attr-defined]
        self.clock.advance(5)
        self.assertEqual(self.flushLoggedErrors(), [])


class FloodTests(WebCase):
    def head(self, path: str, length: int) -> bytes:
        """What comes back for a header alone."""
        reader = self.connect()
        assert reader.transport is not None
        line = f"POST /mixminion/2/{path} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n"
        reader.transport.write(line.encode())
        self.clock.advance(1)
        answer = reader.received
        reader.transport.abortConnection()  # type: ignore[attr-defined]
        self.clock.advance(1)
        return answer

    def test_oversize(self):
        """A body longer than its kind may be is refused before it is read."""
        for path, limit in (("descriptor", 65_536), ("vote", LIMIT), ("nothing", 0)):
            self.assertEqual(self.head(path, limit + 1)[:12], b"HTTP/1.1 413")
            if limit:
                self.assertEqual(self.head(path, limit), b"")

    def test_uploads(self):
        """So many descriptors an hour from one address; others are not bothered."""
        codes = [self.ask("POST", "descriptor", b"x")[0] for _ in range(22)]
        self.assertEqual(codes, [400] * 20 + [429] * 2)
        self.assertEqual(self.ask("POST", "descriptor", b"x", source="127.0.0.9")[0], 400)
        self.assertEqual(self.ask("GET", f"standing/{'ab' * 32}")[0], 200)
        self.clock.advance(360)
        self.assertEqual(self.ask("POST", "descriptor", b"x")[0], 400)

    def test_prefix(self):
        """Addresses of one /64 are one."""
        network = [f"2001:db8::{n}" for n in range(1, 22)]
        codes = [self.ask("POST", "descriptor", b"x", source=each)[0] for each in network]
        self.assertEqual(codes[-2:], [400, 429])

    def test_votes(self):
        """Votes have an allowance of their own, which is soon back."""
        most = self.site.allowances.exchange.count
        codes = [self.ask("POST", "vote", b"x")[0] for _ in range(most + 30)]
        self.assertEqual(codes[:most], [202] * most)
        self.assertIn(429, codes)
        self.clock.advance(100)
        self.assertEqual(self.ask("POST", "vote", b"x")[0], 202)

    def test_connections(self):
        """So many connections from one address, and in all; one that ends makes room."""
        readers = [self.connect() for _ in range(9)]
        self.clock.advance(1)
        self.assertEqual([reader.ended for reader in readers], [False] * 8 + [True])
        others = [self.connect(f"127.0.0.{n}") for n in range(2, 8)]
        self.clock.advance(1)
        self.assertEqual(sum(reader.ended for reader in others), 2)
        readers[0].transport.abortConnection()
        self.clock.advance(1)
        last = self.connect()
        self.clock.advance(1)
        self.assertFalse(last.ended)

    def test_no_log(self):
        """Whatever clients do, the log says nothing of them."""
        logged: list[Any] = []
        observer: Any = logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.ask("POST", "descriptor", published("alice"), source="127.0.0.8")
        self.test_uploads()
        self.test_connections()
        self.head("vote", LIMIT + 1)
        self.assertEqual(logged, [])


class SettingsTests(AuthorityCase):
    def test_defaults(self):
        """Sixty descriptors an hour, sixty-four connections, unless the operator says otherwise."""
        found = settings().authority
        self.assertEqual((found.uploads_per_hour, found.connections_per_address), (60, 64))
