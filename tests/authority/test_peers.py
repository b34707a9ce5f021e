"""Asking other authorities."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from typing_extensions import override

from mixminion.authority.contacts import Contacts
from mixminion.authority.peers import Answer, HttpPeers, NoAnswer, Refused
from mixminion.authority.tasks import Tasks
from mixminion.crypto.rng import SeededRandom
from mixminion.dirhttp.sources import Source
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.wire import MemoryNetwork
from mixminion.util.hostport import HostPort
from tests.authority.votes import authority
from tests.directory.network import NOW

HOST = "192.0.2.1"
DATE = b"Date: Fri, 15 Jan 2027 08:03:00 GMT\r\n"


class Says(Protocol):
    """Answers with *octets*, if there are any, and keeps what came."""

    octets = b""
    endless = False
    came: list[bytes]

    @override
    def dataReceived(self, data: bytes) -> None:
        self.came.append(data)
        transport: Any = self.transport
        if self.endless:
            transport.registerProducer(self, False)
        elif self.octets:
            transport.write(self.octets)
            transport.loseConnection()

    def resumeProducing(self) -> None:
        transport: Any = self.transport
        transport.write(b"x-more: " + b"y" * 1000 + b"\r\n")

    def stopProducing(self) -> None:
        pass


class PeersCase(SyncTestCase):
    """One other authority, at a memory wire."""

    def setUp(self) -> None:
        self.clock = HeapClock(NOW)
        self.wire = MemoryNetwork(self.clock, latency=0.01, patience=1000.0)
        self.peer = authority(1)
        self.peers = HttpPeers(
            self.clock,
            lambda source: self.wire.client(source.place.host, source.place.port),
            {self.peer: Source(HostPort(HOST, 80), tls=False)},
        )
        self.came: list[bytes] = []

    def says(self, octets: bytes, **more: bool) -> None:
        kind = type("Saying", (Says,), {"octets": octets, "came": self.came, **more})
        factory = Factory.forProtocol(kind)
        factory.noisy = False
        if self.wire.ports:
            for port in list(self.wire.ports.values()):
                self.clock.result_of(port.stopListening())
        self.clock.result_of(self.wire.server(HOST, 80).listen(factory))

    def answers(self, code: int, body: bytes = b"", *headers: bytes) -> None:
        length = b"Content-Length: %d\r\n" % len(body)
        self.says(b"HTTP/1.1 %d x\r\n" % code + length + b"".join(headers) + b"\r\n" + body)

    def ask(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        return self.clock.result_of(Deferred.fromCoroutine(work))

    def why(self, work: Coroutine[Any, Any, Answer]) -> str:
        error = self.assertRaises(NoAnswer, self.ask, work)
        self.assertIn(error.fields["why"], render(error))
        return str(error.fields["why"])


class PeersTests(PeersCase):
    def test_get(self) -> None:
        """The octets, and by how much the other clock is ahead."""
        self.answers(200, b"{}", DATE)
        answer = self.ask(self.peers.get(self.peer, "votes/1/aa", 10, 30.0))
        self.assertEqual(answer.octets, b"{}")
        assert answer.ahead is not None
        self.assertLess(abs(answer.ahead - 180), 1)
        self.assertIn(b"GET /mixminion/2/votes/1/aa HTTP/1.1", b"".join(self.came))

    def test_bad_dates(self) -> None:
        """A time that nobody can read is none."""
        for date in (b"", b"yesterday", b"Fri, 99 Foo 2027 08:03:00 GMT", b"a b c d e f", b"\xff"):
            self.answers(200, b"{}", b"Date: " + date + b"\r\n")
            answer = self.ask(self.peers.get(self.peer, "consensus", 10, 30.0))
            self.assertIsNone(answer.ahead)

    def test_post(self) -> None:
        """What is sent arrives whole; what is refused has a word."""
        self.answers(202, b"accepted\n")
        body = b"v" * 100_000
        self.ask(self.peers.post(self.peer, "vote", body, 30.0))
        for answer, word in ((b"late\n", "late"), (b"early", "early"), (b"<html>", "400")):
            self.answers(400, answer)
            error = self.assertRaises(
                Refused, self.ask, self.peers.post(self.peer, "vote", b"{}", 30.0)
            )
            self.assertEqual(error.fields["word"], word)
            self.assertIn(word, render(error))

    def test_again(self) -> None:
        """Answers that say nothing of what was sent."""
        for code in (302, 404, 429, 500, 503):
            self.answers(code)
            self.assertEqual(
                self.why(self.peers.post(self.peer, "vote", b"{}", 30.0)), f"it answered {code}"
            )
        self.answers(404)
        self.assertEqual(self.why(self.peers.get(self.peer, "x", 9, 30.0)), "it answered 404")

    def test_nobody(self) -> None:
        """No address, nobody there, nothing said in time."""
        get = self.peers.get
        self.assertEqual(self.why(get(authority(2), "x", 9, 30.0)), "its address is not known")
        self.assertEqual(self.why(get(self.peer, "x", 9, 30.0)), "no connection")
        self.says(b"")
        before = self.clock.seconds()
        self.assertEqual(self.why(get(self.peer, "x", 9, 30.0)), "no answer in time")
        self.assertLess(abs(self.clock.seconds() - before - 30), 1)

    def test_bounded(self) -> None:
        """Neither a long answer nor an endless header is read to its end."""
        self.answers(200, b"x" * 200)
        why = self.why(self.peers.get(self.peer, "x", 100, 30.0))
        self.assertEqual(why, "the answer is not whole, or too long")
        self.answers(200, b"x" * 1_000_000)
        self.why(self.peers.get(self.peer, "x", 100, 30.0))
        self.says(b"", endless=True)
        self.assertNotEqual(self.why(self.peers.get(self.peer, "x", 100, 30.0)), "")

    def test_cancelled(self) -> None:
        """A stop is no silence of the other side."""
        self.says(b"")
        asking = Deferred.fromCoroutine(self.peers.get(self.peer, "x", 9, 30.0))
        self.clock.advance(1)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)


class ContactsTests(PeersCase):
    def setUp(self) -> None:
        super().setUp()
        self.tasks = Tasks(self.clock)
        self.contacts = Contacts(
            clock=self.clock,
            random=SeededRandom(b""),
            peers=self.peers,
            tasks=self.tasks,
            others=[self.peer, authority(2)],
        )

    def posts(self) -> int:
        return b"".join(self.came).count(b"POST")

    def deliver(self, seconds: float) -> None:
        self.contacts.deliver("vote", b"{}", self.clock.seconds() + seconds, 360.0)

    def test_until_it_arrives(self) -> None:
        """Sent again after failures and ``early``, with growing pauses, and no more once it is
        there; one that cannot be reached keeps nobody waiting."""
        self.answers(400, b"early")
        self.deliver(1000)
        self.clock.advance(120)
        tried = self.posts()
        self.assertIn(tried, range(3, 9))
        self.answers(202)
        self.clock.advance(200)
        self.assertEqual(self.posts(), tried + 1)
        self.assertEqual(self.contacts.silent, {authority(2): "its address is not known"})
        self.clock.advance(2000)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """Another word ends it, and is told unless it is harmless."""
        for word, told in (("unsigned", {self.peer: "unsigned"}), ("late", {})):
            self.came.clear()
            self.contacts.refusing.clear()
            self.answers(400, word.encode())
            self.deliver(1000)
            self.clock.advance(900)
            self.assertEqual(self.posts(), 1)
            self.assertEqual(self.contacts.refusing, told)

    def test_ended(self) -> None:
        """A stop ends it."""
        self.says(b"")
        self.deliver(1000)
        self.clock.advance(1)
        self.tasks.end()
        self.clock.advance(1001)  # the wire's own patience
        self.assertEqual(self.posts(), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_clocks(self) -> None:
        """Whose clock is off is judged by the middle of all, ours among them."""
        self.contacts._ahead = {self.peer: 180.0, authority(2): 179.0}
        self.assertEqual(self.contacts.ahead, -179.0)
        self.assertEqual(self.contacts.ahead_of(self.peer), 1.0)
        self.contacts._ahead = {self.peer: 180.0, authority(2): 0.0}
        self.assertEqual(self.contacts.ahead, 0.0)
        self.assertEqual(self.contacts.ahead_of(self.peer), 180.0)
        self.assertIsNone(self.contacts.ahead_of(authority(3)))
