"""A client that runs, as somebody sees it who watches its line: when packets leave, to whom, and
how long they are must say nothing of what is written."""

from __future__ import annotations

from itertools import pairwise
from math import exp
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mixminion import api
from mixminion.client.outbox_errors import NotHandedOverYet
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parameters import Parameters
from mixminion.errors import MixminionError
from mixminion.interfaces import Refusal
from mixminion.payload import frame
from mixminion.sphinx.unwrap import Deliver, Unwrapper
from mixminion.testing.transports import MemoryTransport
from tests.client.network import DAY, GEOMETRY, NetworkCase, VirtualCase, reactor
from tests.mixing.statistics import ks_p

HOUR = 3600
GAP = 60.0  # 240 s a hop


class RunningCase(VirtualCase):
    """A client that runs, and what its line carries."""

    def setUp(self) -> None:
        super().setUp()
        self.network.parameters = Parameters(consensus_valid=4 * 7 * DAY, mix_loops_per_hour=0)
        self.network.sign()
        self.clients: list[api.Client] = []
        self.seen: list[tuple[float, str]] = []
        for mix in self.network.mixes:
            self.watch(mix)

    def watch(self, mix: Any) -> None:
        """Note when packets come to a mix."""
        receive = mix.intake.receive

        def noting(packet: bytes) -> Any:
            self.seen.append((self.clock.seconds(), mix.nickname))
            return receive(packet)

        mix.intake.receive = noting

    def run_client(self, more: str = "", seed: bytes = b"client") -> api.Client:
        """One that has a directory and runs."""
        self.config.write_text(self.network.config("[Client]\nhome = " + seed.decode() + more))
        client = api.Client(
            self.clock,
            api.load_config(str(self.config)),
            random=SeededRandom(seed),
            executor=api.InlineExecutor(),
            dial=lambda place: self.wire.client(place.host, place.port),
        )
        self.ask(client.update())
        client.start_schedule()
        self.clients.append(client)
        return client

    def tearDown(self) -> None:
        for client in self.clients:
            self.ask(client.close())

    def kind(self, packet: bytes) -> frame.Kind:
        """What a packet carries, as its last hop sees it."""
        number = int(self.clock.seconds()) // self.network.parameters.key_period
        (mix,) = [mix for mix in self.network.mixes if packet in mix.intake.packets]
        while True:
            answer: Any = Unwrapper(GEOMETRY, mix.node_id, mix.key(number)[0]).unwrap(packet)
            if isinstance(answer, Deliver):
                return frame.parse(answer.body).kind
            mix = next(each for each in self.network.mixes if each.node_id == answer.next)
            packet = answer.packet

    def messages(self) -> int:
        """How many of the packets that came are no cover."""
        arrived = self.network.arrived
        return sum(self.kind(each) is not frame.Kind.COVER for each in arrived)


class CaptureTests(RunningCase):
    def captured(self, write: float | None, hours: float) -> list[tuple[float, int]]:
        """When packets came, counted from the start, and to which of the entries; with a message
        every *write* seconds.  ``sizes`` are the lengths in which they left."""
        sizes: set[int] = set()
        flush = MemoryTransport.write

        def noting(transport: Any, data: bytes) -> None:
            if transport.getPeer().host.startswith("127.") and len(data) > 10_000:
                sizes.add(len(data))
            flush(transport, data)

        self.patch(MemoryTransport, "write", noting)
        self.setUp()
        client = self.run_client()
        begin = self.clock.seconds()
        self.sent: list[Deferred[api.Sent]] = []

        def typed() -> None:
            self.sent.append(Deferred.fromCoroutine(client.send("drop", b"x" * 5000)))
            assert write is not None
            self.clock.callLater(write, typed)

        if write is not None:
            self.clock.callLater(1.5, typed)
        self.clock.advance(hours * HOUR)
        self.sizes = sizes
        names = list(dict.fromkeys(mix for _, mix in self.seen))
        return [(round(time - begin, 6), names.index(mix)) for time, mix in self.seen]

    def test_points(self) -> None:
        """With and without mail the packets leave at the same moments, to the microsecond, to the
        same servers, with the same number of octets; the moments are a Poisson process of the
        network's rate."""
        silent = self.captured(None, 24)
        lengths = set(self.sizes)
        self.assertEqual(self.messages(), 0)
        writing = self.captured(200.0, 24)
        self.assertGreater(self.messages(), 400)
        self.assertTrue(silent == writing)  # without a list of 1,400 differences
        self.assertEqual(lengths, self.sizes)
        gaps = [b - a for (a, _), (b, _) in pairwise(silent)]
        self.assertGreater(len(gaps), 1300)
        self.assertGreater(ks_p(gaps, lambda x: 1 - exp(-x / GAP)), 0.001)

    def test_slower(self) -> None:
        """Three times slower, if the configuration wants that."""
        self.run_client("\n[Schedule]\nslower = 3\n")
        self.clock.advance(24 * HOUR)
        self.assertLess(abs(len(self.seen) - 480), 100)


class SendingTests(RunningCase):
    def send(self, client: api.Client, content: bytes = b"x", **options: Any) -> Any:
        return Deferred.fromCoroutine(client.send("drop", content, **options))

    def test_oldest_first(self) -> None:
        """Messages leave one a point, the oldest first, and who sends is told when its entry has
        it."""
        client = self.run_client()
        sending = [self.send(client, b"%d" % n) for n in range(6)]
        self.clock.run_until(lambda: all(each.called for each in sending), at_most=4 * HOUR)
        self.assertTrue(all(self.successResultOf(each).handed for each in sending))
        self.assertEqual(self.messages(), 6)
        self.assertEqual(self.ask(client.waiting()), [])

    def test_large(self) -> None:
        """A message in fragments: its packets are built while it waits, each leaves at a point."""
        client = self.run_client()
        sending = self.send(client, SeededRandom(b"large").octets(100_000))
        self.clock.run_until(lambda: sending.called, at_most=4 * HOUR)
        self.assertEqual(self.successResultOf(sending).packets, 7)
        self.assertEqual(self.messages(), 7)

    def test_kept_by_another_process(self) -> None:
        """What another process keeps leaves, too: packets, and large messages that nobody built."""
        client = self.run_client()
        other = self.other()
        self.ask(other.send("drop", b"x", hand_over=False))
        self.ask(other.send("drop", SeededRandom(b"large").octets(40_000), hand_over=False))
        self.clock.advance(2 * HOUR)
        self.assertEqual(self.messages(), 1 + 4)
        self.assertEqual(self.ask(client.waiting()) + self.ask(client.unbuilt()), [])

    def other(self) -> api.Client:
        """Another process with the same state."""
        client = self.make_client()
        self.clients.append(client)
        return client

    def test_entry_away(self) -> None:
        """A server that is away: its points pass, the others stay when and where they are; the
        sender is told, and the packet leaves when the server is back."""
        client = self.run_client()
        self.clock.advance(HOUR)
        names = sorted({name for _, name in self.seen})
        self.assertEqual(len(names), 2)  # the entries that are kept
        away, there = names
        hosts = [self.network.mix(away).host]
        self.wire.part(["127.0.0.1"], hosts)
        self.wire.drop(*hosts)
        sending = [self.send(client, b"%d" % n, path=f"{away},*2,mix5") for n in range(2)]
        before = len(self.seen)
        self.clock.run_until(lambda: all(each.called for each in sending), at_most=4 * HOUR)
        for each in sending:
            self.failureResultOf(each, NotHandedOverYet)
        self.clock.advance(HOUR)
        self.assertEqual({name for _, name in self.seen[before:]}, {there})
        self.assertEqual(self.messages(), 0)
        self.wire.heal()
        self.clock.advance(4 * HOUR)
        self.assertEqual((self.messages(), self.ask(client.waiting())), (2, []))

    def test_refused(self) -> None:
        """A server that is full for a while gets the same packet at another point."""
        client = self.run_client()
        for mix in self.network.mixes:
            mix.intake.refusal = Refusal.FULL
        sending = self.send(client)
        self.clock.run_until(lambda: sending.called, at_most=HOUR)
        self.failureResultOf(sending, NotHandedOverYet)
        (waiting,) = self.ask(client.waiting())
        self.assertTrue(waiting.handed)
        for mix in self.network.mixes:
            mix.intake.refusal = None
        self.clock.advance(6 * HOUR)
        self.assertEqual((self.messages(), self.ask(client.waiting())), (1, []))

    def test_unanswered(self) -> None:
        """A server that breaks off before its answer gets the same packet once more."""
        client = self.run_client()
        for mix in self.network.mixes:
            mix.intake.silent = True
        sending = self.send(client)
        self.clock.run_until(lambda: sending.called, at_most=6 * HOUR)
        self.failureResultOf(sending, NotHandedOverYet)
        while not self.messages():  # it may have failed for want of a link
            self.clock.advance(HOUR)
        for mix in self.network.mixes:
            mix.intake.silent = False
        self.clock.advance(6 * HOUR)
        mail = [each for each in self.network.arrived if self.kind(each) is not frame.Kind.COVER]
        self.assertEqual((len(mail) > 1, len(set(mail))), (True, 1))
        self.assertEqual(self.ask(client.waiting()), [])

    def test_stopped(self) -> None:
        """What has not left when it stops is kept, and whoever waits is told."""
        client = self.run_client()
        sending = self.send(client)
        self.clock.advance(0.001)
        self.ask(client.close())
        self.clients.remove(client)
        self.failureResultOf(sending, api.NotHandedOver)
        client = self.run_client()
        self.clock.advance(2 * HOUR)
        self.assertEqual(self.messages(), 1)

    def test_called_back(self) -> None:
        """A message that waits for its point can be called back."""
        client = self.run_client()
        sending = self.send(client)
        self.clock.advance(0.001)
        (waiting,) = self.ask(client.waiting())
        self.ask(client.cancel(waiting.id))
        self.failureResultOf(sending, MixminionError)
        self.clock.advance(HOUR)
        self.assertEqual(self.messages(), 0)

    def test_without_points(self) -> None:
        """Where the configuration wants no schedule, messages leave when they come, also such as
        another process keeps, and nothing else does."""
        client = self.run_client("\n[Schedule]\npoints = no\n")
        sending = self.send(client)
        self.clock.advance(1)
        self.assertTrue(self.successResultOf(sending).handed)
        self.ask(self.other().send("drop", b"x", hand_over=False))
        self.clock.advance(4 * HOUR)
        self.assertEqual((self.messages(), len(self.seen)), (2, 2))


class ThreadTests(NetworkCase):
    """The same with a state that is read and written in a thread, as programs have it."""

    async def test_large(self) -> None:
        """A large message that is kept is built, and leaves."""
        client = self.client()
        await client.send("drop", SeededRandom(b"large").octets(30_000), hand_over=False)
        self.assertEqual([each.blocks for each in await client.unbuilt()], [1])
        client.start_schedule()
        while await client.unbuilt() or await client.waiting():
            await deferLater(reactor, 0.05)
        self.assertGreaterEqual(len(self.network.arrived), 4)
