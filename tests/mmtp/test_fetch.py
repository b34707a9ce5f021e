"""Fetching over TLS in memory: what arrives, what is held afterwards, what an observer sees."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.endpoints import wrapClientTLS
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mixminion.counters import Name
from mixminion.crypto import sign
from mixminion.errors import MixminionError, UserError, render
from mixminion.interfaces import IMailboxes, Message
from mixminion.mmtp import FETCH_ALPN, errors
from mixminion.mmtp.asking import Item
from mixminion.mmtp.fetch_client import FetchTimes, Visit, fetch
from mixminion.mmtp.fetch_frames import (
    EXPORTED,
    EXPORTER,
    HEADER_LENGTH,
    Answer,
    Closing,
    Kind,
    Request,
    parse_answer,
    request,
    to_sign,
)
from mixminion.mmtp.fetch_server import FetchLimits, FetchServerFactory
from mixminion.net import errors as net_errors
from mixminion.net.alpn import link_factory
from mixminion.net.tls import client_tls, exported, server_tls
from mixminion.testing.transports import MemoryTransport
from tests.mmtp.kit import HOST, LENGTH, PORT, NetworkCase
from tests.net.kit import Recorder, Recorders

ROOM = LENGTH - HEADER_LENGTH
LIMITS = FetchLimits(sessions=2, frames=50, session=100.0, idle=10.0, closing=5.0, memory=4 * ROOM)


@implementer(IMailboxes)
class Mailboxes:
    """Held in memory, for one capability."""

    def __init__(self, capability: bytes) -> None:
        self.capability = capability
        self.held: dict[int, Message] = {}
        self.reads: list[int] = []
        self.problem: Exception | None = None

    def put(self, item: int, content: bytes, handle: bytes | None = None) -> None:
        self.held[item] = Message("box", ("x",), content, handle, "<a@b>", 1000 + item)

    def waiting(self, capability: bytes) -> list[int]:
        return list(self.held) if capability == self.capability else []

    def read(self, capability: bytes, item: int) -> Awaitable[Message | None]:
        self.reads.append(item)
        if self.problem is not None:
            raise self.problem
        return succeed(self.held.get(item) if capability == self.capability else None)

    def taken(self, capability: bytes, item: int) -> None:
        if capability == self.capability:
            self.held.pop(item, None)


class Owner:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.problem: Exception | None = None
        self.slow: Deferred[None] | None = None

    async def keep(self, item: Item) -> None:
        if self.problem is not None:
            raise self.problem
        if self.slow is not None:
            await self.slow
        self.items.append(item)


class FetchCase(NetworkCase):
    def setUp(self) -> None:
        super().setUp()
        self.private, self.capability = sign.generate()
        self.mailboxes = Mailboxes(self.capability)
        self.owner = Owner()
        self.factory = FetchServerFactory(
            self.mailboxes, self.party.public, self.clock, LENGTH, self.counters, LIMITS
        )

    def listening(self, factory: Any = None, alpn: bytes = FETCH_ALPN) -> None:
        tls = server_tls(self.party.credentials, [alpn], self.clock)
        protocols = {alpn: self.factory if factory is None else factory}
        port = link_factory(tls, protocols, self.clock, self.counters)
        self.clock.result_of(self.network.server(HOST, PORT).listen(port))

    def visit(self, frames: int = 3, private: bytes | None = None, **changes: Any) -> Any:
        identity = changes.pop("identity", self.party.public)
        return fetch(
            self.clock,
            self.network.client(HOST, PORT),
            client_tls(identity, None, [FETCH_ALPN], self.clock),
            identity,
            LENGTH,
            private or self.private,
            frames,
            changes.pop("owner", self.owner).keep,
            **changes,
        )

    def fetched(self, frames: int = 3, **changes: Any) -> Visit:
        visit: Visit = self.clock.result_of(self.visit(frames, **changes))
        self.clock.advance(20)
        return visit

    def fails(self, visit: Deferred[Visit], kind: type[Exception]) -> Any:
        failure = self.failureResultOf(visit, kind)
        if isinstance(failure.value, MixminionError):
            self.assertNotIn("{", render(failure.value))
        self.clock.advance(20)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.factory.sessions, set())
        return failure.value


class GoodTests(FetchCase):
    def setUp(self) -> None:
        super().setUp()
        self.listening()

    def test_fetched(self) -> None:
        """Messages and replies of every length arrive as they are, and are gone from the server."""
        verifyObject(IMailboxes, self.mailboxes)
        contents = [b"", b"x", bytes(range(256)) * 3, bytes(ROOM), b"y" * (ROOM + 1)]
        for number, content in enumerate(contents, 1):
            self.mailboxes.put(number, content, b"h" * 16 if number % 2 else None)
        self.assertEqual(self.fetched(10), Visit(5, 0))
        self.assertEqual([item.content for item in self.owner.items], contents)
        self.assertEqual(
            [(item.id, item.handle, item.date) for item in self.owner.items],
            [(n, b"h" * 16 if n % 2 else None, 1000 + n) for n in range(1, 6)],
        )
        self.assertEqual(self.mailboxes.held, {})
        self.assertEqual(self.counters.snapshot(), {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_more_than_frames(self) -> None:
        """A visit ends after its frames; the rest is held, and how much that is, is told."""
        for number in range(1, 6):
            self.mailboxes.put(number, b"%d" % number)
        self.assertEqual(self.fetched(2), Visit(2, 3))
        self.assertEqual(self.fetched(4), Visit(3, 0))
        self.assertEqual([item.id for item in self.owner.items], [1, 2, 3, 4, 5])

    def test_arrives_meanwhile(self) -> None:
        """What comes during a visit is given in it."""
        visit = self.visit(5)
        self.clock.advance(0.5)
        self.mailboxes.put(7, b"late")
        self.assertEqual(self.clock.result_of(visit), Visit(1, 0))

    def test_observer(self) -> None:
        """The wire shows the same, octet for octet in number and moment for moment, of a mailbox
        with messages, of an empty one, and of one that nobody knows."""
        writes: list[tuple[float, str, int]] = []
        write = MemoryTransport.write

        def noted(transport: MemoryTransport, data: bytes) -> None:
            writes.append((self.clock.seconds() - begun, transport.getHost().host, len(data)))
            write(transport, data)

        self.patch(MemoryTransport, "write", noted)
        seen = []
        for content, private in (
            (b"x" * 2500, None),
            (b"y", None),
            (None, None),
            (None, b"p" * 32),
        ):
            if content is not None:
                self.mailboxes.put(9, content, b"h" * 16)
            writes.clear()
            begun = self.clock.seconds()
            self.fetched(4, private=private)
            seen.append([(round(when, 6), who, size) for when, who, size in writes])
        self.assertEqual(self.owner.items[0].content, b"x" * 2500)
        self.assertEqual(seen[1:], [seen[0]] * 3)

    def test_empty_reads_as_well(self) -> None:
        """An answer that says nothing comes after a read of the store, too."""
        self.fetched(2)
        self.assertEqual(self.mailboxes.reads, [0, 0])

    def test_pieces_in_memory(self) -> None:
        """A long item is read once, and kept while there is room; the store is asked for each
        frame all the same."""
        for content, reads in ((bytes(3 * ROOM), [1, 0, 0]), (bytes(4 * ROOM + 1), [1] * 5)):
            self.mailboxes.put(1, content)
            self.mailboxes.reads.clear()
            self.assertEqual(self.fetched(len(reads)), Visit(1, 0))
            self.assertEqual(self.mailboxes.reads, reads)
            self.assertEqual(self.owner.items[-1].content, content)
            self.assertEqual(self.factory.kept, 0)

    def test_memory_after_a_cut(self) -> None:
        """What a session kept goes with it."""
        self.mailboxes.put(1, bytes(3 * ROOM))
        visit = self.visit(3)
        self.clock.advance(0.1)
        self.assertEqual(self.factory.kept, 3 * ROOM)
        self.network.drop()
        self.fails(visit, errors.NotClosed)
        self.assertEqual(self.factory.kept, 0)

    def test_two_at_once(self) -> None:
        """Two visits to one mailbox get the same, and nothing breaks when one takes it away."""
        for number in (1, 2, 3):
            self.mailboxes.put(number, b"%d" % number)
        other = Owner()
        other.slow = Deferred()
        first, second = self.visit(4), self.visit(4, owner=other)
        self.assertEqual(self.clock.result_of(first), Visit(3, 0))
        other.slow.callback(None)
        self.assertEqual(self.clock.result_of(second), Visit(1, 0))
        self.assertEqual([item.id for item in self.owner.items], [1, 2, 3])
        self.assertEqual([item.id for item in other.items], [1])

    def test_cut(self) -> None:
        """After a cut everything that was not acknowledged comes again, under the same id."""
        for number in (1, 2, 3):
            self.mailboxes.put(number, b"%d" % number)
        visit = self.visit(5)
        self.clock.run_until(lambda: len(self.owner.items) == 2)
        self.network.drop()
        self.fails(visit, errors.NotClosed)
        self.assertEqual(list(self.mailboxes.held), [2, 3])
        self.assertEqual(self.fetched(5), Visit(2, 0))
        self.assertEqual([item.id for item in self.owner.items], [1, 2, 2, 3])

    def test_slow_to_keep(self) -> None:
        """An item that takes long to be made safe is acknowledged when it is."""
        self.mailboxes.put(1, b"x")
        self.owner.slow = Deferred()
        visit = self.visit(1)
        self.clock.advance(5)
        self.assertEqual(list(self.mailboxes.held), [1])
        self.owner.slow.callback(None)
        self.assertEqual(self.clock.result_of(visit), Visit(1, 0))
        self.assertEqual(self.mailboxes.held, {})

    def test_not_kept(self) -> None:
        """What could not be made safe is still held."""
        self.mailboxes.put(1, b"x")
        self.owner.problem = UserError(problem="no room")
        visit = self.visit(3)
        self.clock.advance(5)
        self.fails(visit, UserError)
        self.assertEqual(list(self.mailboxes.held), [1])

    def test_cancelled(self) -> None:
        """A visit may be given up at any moment."""
        for seconds in (0, 0.002, 0.5):
            visit = self.visit(5)
            self.clock.advance(seconds)
            visit.cancel()
            self.failureResultOf(visit, CancelledError)
            self.clock.advance(20)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertEqual(self.factory.sessions, set())


class RefusedTests(FetchCase):
    """Whoever does not have the key, or the manners."""

    def client(self) -> Recorder:
        tls = client_tls(self.party.public, None, [FETCH_ALPN], self.clock)
        endpoint = wrapClientTLS(tls, self.network.client(HOST, PORT), clock=self.clock)
        recorder = self.clock.result_of(endpoint.connect(Recorders()))
        self.clock.advance(1)
        assert isinstance(recorder, Recorder)
        return recorder

    def proof(self, client: Recorder, private: bytes) -> bytes:
        bound = to_sign(self.party.public, exported(client.transport, EXPORTER, EXPORTED))
        signature = sign.sign(private, bound)
        return request(Request.OPEN, 1, capability=self.capability, signature=signature)

    def write(self, client: Recorder, octets: bytes) -> None:
        assert client.transport is not None
        client.transport.write(octets)
        self.clock.advance(0.1)

    def answers(self, client: Recorder) -> list[Answer]:
        octets = client.octets
        self.assertEqual(len(octets) % LENGTH, 0)
        return [parse_answer(octets[at : at + LENGTH]) for at in range(0, len(octets), LENGTH)]

    def assert_closed(self, client: Recorder, why: Closing) -> None:
        last = self.answers(client)[-1]
        self.assertEqual((last.kind, last.reason), (Kind.CLOSING, why))
        self.clock.advance(20)
        self.assertIsNotNone(client.end)
        self.assertEqual(self.factory.sessions, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def setUp(self) -> None:
        super().setUp()
        self.listening()
        self.mailboxes.put(1, b"secret")

    def test_wrong_key(self) -> None:
        """Nothing is looked for, and nothing told, whether the mailbox has something or not."""
        said = []
        for held in (True, False):
            if not held:
                self.mailboxes.held.clear()
            client = self.client()
            self.write(client, self.proof(client, b"p" * 32))
            said.append(client.octets)
            self.assert_closed(client, Closing.NOT_PROVED)
        self.assertEqual(said[0], said[1])
        self.assertEqual(self.mailboxes.reads, [])
        self.assertEqual(self.counters.snapshot(), {Name.LINK_BROKEN: 2})
        self.assertEqual(self.events.codes, ["not-proved"] * 2)

    def test_proof_of_another_session(self) -> None:
        """A proof that was seen once is worth nothing in another session."""
        first, second = self.client(), self.client()
        proof = self.proof(first, self.private)
        self.write(second, proof)
        self.assertEqual(self.answers(second)[-1].reason, Closing.NOT_PROVED)
        self.write(first, proof)
        self.assertEqual(self.answers(first)[-1].octets, b"secret")
        assert first.transport is not None
        first.transport.loseConnection()
        self.clock.advance(20)

    def test_broken(self) -> None:
        """Other frames, or too many, end the session."""
        for octets in (bytes(128), request(Request.NEXT, 1)):
            client = self.client()
            self.write(client, octets)
            self.assert_closed(client, Closing.BROKEN)
        client = self.client()
        self.write(client, self.proof(client, self.private) + request(Request.NEXT, 2))
        self.assert_closed(client, Closing.BROKEN)

    def test_idle(self) -> None:
        """Whoever says nothing is told to go, and then cut off."""
        client = self.client()
        self.clock.advance(LIMITS.idle)
        self.assert_closed(client, Closing.IDLE)
        client = self.client()
        self.write(client, request(Request.NEXT, 1)[:100])
        self.clock.advance(LIMITS.idle)
        self.assert_closed(client, Closing.IDLE)

    def test_over(self) -> None:
        """A session that goes on and on ends."""
        client = self.client()
        self.write(client, self.proof(client, self.private))
        for sequence in range(2, 30):
            self.write(client, request(Request.NEXT, sequence))
            self.clock.advance(5)
        self.assert_closed(client, Closing.OVER)

    def test_reads_nothing(self) -> None:
        """A client that reads nothing has one frame waiting, and is cut off."""
        client = self.client()
        assert client.transport is not None
        client.transport.pauseProducing()  # type: ignore[attr-defined]
        self.write(client, self.proof(client, self.private))
        self.clock.advance(LIMITS.idle + LIMITS.closing + 1)
        self.assertEqual(self.factory.sessions, set())

    def test_too_many(self) -> None:
        """So many sessions, and no more; others go on."""
        kept = [self.client() for _ in range(LIMITS.sessions)]
        visit = self.visit(1)
        self.clock.advance(1)
        error = self.failureResultOf(visit, errors.ClosedByPeer).value
        self.assertEqual(error.fields["reason"], "busy")
        self.write(kept[0], self.proof(kept[0], self.private))
        self.assertEqual(self.answers(kept[0])[-1].octets, b"secret")
        self.clock.advance(20)

    def test_stopping(self) -> None:
        """A server that stops ends every session, and accepts no other."""
        visit = self.visit(20)
        self.clock.advance(1)
        stopped = self.factory.stop()
        self.clock.advance(1)
        self.successResultOf(stopped)
        self.assertEqual(self.fails(visit, errors.ClosedByPeer).fields["reason"], "stopping")
        visit = self.visit(1)
        self.clock.advance(1)
        self.assertEqual(self.fails(visit, errors.ClosedByPeer).fields["reason"], "stopping")
        self.successResultOf(self.factory.stop())

    def test_disk_does_not_answer(self) -> None:
        """It is told that it is the server's fault, and the log has no content."""
        self.mailboxes.problem = OSError("secret")
        visit = self.visit(1)
        self.clock.advance(1)
        self.assertEqual(self.fails(visit, errors.ClosedByPeer).fields["reason"], "busy")
        [event] = self.events.seen
        self.assertNotIn("secret", str(event))


class OtherServersTests(FetchCase):
    """Servers that are not what the owner expects."""

    def test_nobody(self) -> None:
        """Nobody listens there."""
        visit = self.visit()
        self.clock.advance(5)
        self.fails(visit, errors.DialFailed)

    def test_silent(self) -> None:
        """A server that says nothing, from the beginning or later."""
        self.listening(Recorders())
        visit = self.visit(times=FetchTimes(dial=7.0))
        self.clock.advance(6.9)
        self.assertNoResult(visit)
        self.clock.advance(0.2)
        self.fails(visit, errors.DialTooSlow)

    def test_stalls(self) -> None:
        """A server that stops answering."""
        self.listening()
        visit = self.visit(9, times=FetchTimes(answer=7.0))
        self.clock.advance(0.5)
        self.mailboxes.read = (  # type: ignore[method-assign]
            lambda capability, item: Deferred()
        )
        self.clock.advance(7.5)
        self.fails(visit, errors.Stalled)

    def test_no_mailboxes(self) -> None:
        """A server without the protocol."""
        self.listening(Recorders(), b"mmtp/2")
        visit = self.visit()
        self.clock.advance(5)
        self.fails(visit, net_errors.WrongProtocol)

    def test_another_server(self) -> None:
        """The machine there is not the one of the directory; it hears no capability."""
        self.listening()
        visit = self.visit(identity=self.other.public)
        self.clock.advance(5)
        self.fails(visit, net_errors.WrongIdentity)

    def test_nonsense(self) -> None:
        """A server that answers something else."""
        recorders = Recorders()
        self.listening(recorders)
        visit = self.visit()
        self.clock.advance(1)
        transport = recorders.made[0].transport
        assert transport is not None
        transport.write(b"\xff" * LENGTH)
        self.clock.advance(1)
        self.fails(visit, errors.WrongFetchVersion)
