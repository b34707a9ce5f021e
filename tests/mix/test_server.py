"""Whole networks of real mixes on a virtual clock."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from typing_extensions import override

from mixminion.directory.parameters import Parameters
from mixminion.directory.parts import Rule
from mixminion.exits.record import encode
from mixminion.interfaces import Message, Outcome, OutcomeKind, Refusal
from mixminion.mix.server import STOPPING
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import Link, connect
from mixminion.net.tls import client_tls
from mixminion.payload import cover, reply
from mixminion.sphinx import build, suites, surb
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.build import Hop
from mixminion.sphinx.geometry import Geometry
from mixminion.store import InlineExecutor, Pooled, Step, Store
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.collector import EXIT
from mixminion.testing.process import Process
from mixminion.testing.sender import Sender
from mixminion.testing.virtual import VirtualNetwork
from mixminion.testing.virtualmix import PORT, STORE, VirtualMix

SMALL = Geometry(suites.X25519, hops=4, commands=80, packet=4096)


class NetworkTests(SyncTestCase):
    """Four mixes that carry messages, are stopped and cut off, and are replayed to."""

    def setUp(self) -> None:
        self.network = VirtualNetwork(Path(self.mktemp()))
        self.clock = self.network.clock
        self.addCleanup(self.network.stop)

    def _texts(self, number: int) -> list[bytes]:
        return [message.content for message in self.network.mixes[number].exit.messages]

    def test_messages_arrive_through_four_mixes(self) -> None:
        """Ten messages, each once, each through every mix."""
        self.network.start()
        texts = [b"message %d" % n for n in range(10)]
        path = self.network.mixes
        sender = self.network.send(path[0], [self.network.packet(path, text) for text in texts])
        self.assertEqual(len(sender.received_keys), 10)
        self.clock.run_until(lambda: len(self._texts(3)) == 10)
        self.assertEqual(Counter(self._texts(3)), Counter(texts))
        for mix in path[:3]:
            self.assertEqual(mix.counters["sent"], 10)

    def test_a_replay_is_dropped_and_counted_also_after_a_restart(self) -> None:
        """The answer on the wire is the same; the mail comes once."""
        self.network.start()
        path = self.network.mixes
        packet = self.network.packet(path, b"once")
        for restart in (False, True):
            if restart:
                path[0].stop()
                path[0].start()
            sender = self.network.send(path[0], [packet, packet])
            self.assertEqual(sender.received_keys, [0, 1])
            self.clock.advance(60)
        self.assertEqual(path[0].counters["replayed"], 3)
        self.assertEqual(self._texts(3), [b"once"])

    def test_nothing_waits_behind_a_dead_peer(self) -> None:
        """One next hop is down: what is for others goes on, the rest when it is back."""
        self.network.start()
        first, dead, other, last = self.network.mixes
        dead.stop()
        packets = [
            self.network.packet([first, middle, last], text)
            for middle, text in ((dead, b"late"), (other, b"soon"))
        ]
        self.network.send(first, packets)
        self.clock.advance(120)
        self.assertEqual(self._texts(3), [b"soon"])
        dead.start()
        self.clock.advance(1800)
        self.assertEqual(self._texts(3), [b"soon", b"late"])

    def test_what_was_accepted_survives_stops_and_cut_links(self) -> None:
        """Every mix is stopped and started with packets in its pool, links are cut."""
        self.network.start()
        path = self.network.mixes
        texts = [b"message %d" % n for n in range(40)]
        self.network.send(path[0], [self.network.packet(path, text, 3000) for text in texts])
        for mix in path:
            self.clock.advance(1.5)
            self.network.wire.drop()
            mix.stop()
            self.clock.advance(30)
            mix.start()
        self.clock.advance(3600)
        self.assertEqual(Counter(self._texts(3)), Counter(texts))

    def test_overdue_packets_are_not_flushed_at_a_start(self) -> None:
        """After a long stop each gets a fresh delay."""
        self.network.start()
        first = self.network.mixes[0]
        packets = [self.network.packet([first], b"%d" % n, 4000) for n in range(40)]
        self.network.send(first, packets)
        first.stop()
        self.clock.advance(3600)
        first.start()
        self.assertEqual(len(self._texts(0)), 0)
        self.clock.advance(0.25)
        self.assertTrue(5 < len(self._texts(0)) < 35, len(self._texts(0)))
        self.clock.advance(6)
        self.assertEqual(len(self._texts(0)), 40)

    def test_a_delay_beyond_the_cap_is_dropped(self) -> None:
        """The cap of the local network is five seconds."""
        self.network.start()
        first = self.network.mixes[0]
        self.network.send(first, [self.network.packet([first], b"slow", 5001)])
        self.clock.advance(60)
        self.assertEqual(first.counters["drop-delay"], 1)
        self.assertEqual(self._texts(0), [])

    def test_a_packet_for_an_unknown_server_is_dropped(self) -> None:
        """It would only fill the disk."""
        self.network.start()
        first = self.network.mixes[0]
        path = hops(self.network, self.network.mixes[:2])
        stranger = Hop(bytes(32), path[1].public_key, 0)
        body = cover.body(self.network.geometry, self.network.random)
        packet = build.forward(
            self.network.geometry, [path[0], stranger], body, self.network.random
        )
        self.network.send(first, [packet])
        self.clock.advance(10)
        self.assertEqual(first.counters["drop-unknown-next"], 1)

    def test_a_link_that_a_server_does_not_make(self) -> None:
        """It says so; who asks for it all the same has his packet dropped."""
        first, second, third, last = self.network.mixes
        first.dials = [Rule.parse("allow 127.3.0.0/16"), Rule.parse("deny 127.2.0.0/15")]
        first.publish([])
        self.network.start()
        texts = [(second, b"away"), (third, b"through")]
        packets = [self.network.packet([first, by, last], text) for by, text in texts]
        self.network.send(first, packets)
        self.clock.advance(60)
        self.assertEqual(first.counters["drop-unknown-next"], 1)
        self.assertEqual(self._texts(3), [b"through"])

    def test_a_link_that_a_server_does_not_take(self) -> None:
        """It is refused before TLS, and the others are served."""
        first, second, third, last = self.network.mixes
        last.accepts = [Rule.parse("deny 127.2.0.0/16")]
        self.network.start()
        texts = [(second, b"away"), (third, b"through")]
        packets = [self.network.packet([first, by, last], text) for by, text in texts]
        self.network.send(first, packets)
        self.clock.advance(60)
        self.assertEqual(self._texts(3), [b"through"])
        self.assertGreater(last.counters["link-refused"], 0)
        self.assertEqual(len(second.server.outgoing.waiting()), 1)

    def test_junk_is_answered_like_any_packet_and_counted(self) -> None:
        """A sender learns nothing from the answer."""
        self.network.start()
        first = self.network.mixes[0]
        good = self.network.packet([first], b"good")
        bad = good[:100] + bytes([good[100] ^ 1]) + good[101:]
        sender = self.network.send(first, [bad, good, bytes(len(good))])
        self.assertEqual(sender.received_keys, [0, 1, 2])
        self.clock.advance(10)
        self.assertEqual(self._texts(0), [b"good"])
        self.assertEqual(first.counters["drop-mac"] + first.counters["drop-version"], 2)

    def test_an_exit_that_fails_for_now_is_tried_again_with_the_same_message_id(self) -> None:
        """Message-ID and Date are made once."""
        self.network.start()
        first = self.network.mixes[0]
        first.exit.outcome = Outcome(OutcomeKind.TEMPORARY, "busy")
        self.network.send(first, [self.network.packet([first], b"text")])
        self.clock.advance(100)
        self.assertEqual(self._texts(0), [])
        self.assertTrue(first.counters["retried"])
        first.exit.outcome = Outcome(OutcomeKind.DELIVERED, "ok")
        self.clock.advance(3600)
        self.assertEqual(self._texts(0), [b"text"])

    def test_a_stopping_mix_refuses_new_frames_and_keeps_accepted_ones(self) -> None:
        """The intake says so itself, whoever asks it after its sessions."""
        self.network.start()
        first = self.network.mixes[0]
        assert first.server is not None
        first.server.intake.stop()
        sender = self.network.send(first, [self.network.packet([first], b"text")])
        self.assertEqual(sender.refusals, {0: Refusal.STOPPING})

    def test_keys_that_ended_are_erased_and_their_tags_go(self) -> None:
        """A key period and its grace later."""
        first = self.network.mixes[0]
        first.start()
        period = self.network.view.current_period(self.clock.seconds())
        self.network.send(first, [self.network.packet([first], b"text")])
        self.clock.advance(60)
        self.assertTrue(first.keys.path(period).exists())
        parameters = self.network.parameters
        self.clock.advance(parameters.key_period + parameters.key_grace + 600)
        self.assertFalse(first.keys.path(period).exists())
        assert first.server is not None
        held = self.clock.result_of(first.server.store.waiting())
        self.assertNotIn(period, held.tag_keys)


def hops(network: VirtualNetwork, path: Sequence[VirtualMix], delay_ms: int = 500) -> list[Hop]:
    """A path of now."""
    period = network.view.current_period(network.clock.seconds())
    return [
        Hop(mix.node_id, network.view.packet_key(mix.identity, period), delay_ms) for mix in path
    ]


class KindsTests(SyncTestCase):
    """Both suites, replies and cover, through whole networks."""

    def start(self, geometry: Geometry | None = None, tick_ms: int = 50) -> VirtualNetwork:
        """A network of four; with long ticks many packets share a transaction."""
        parameters = replace(Parameters.local_demo(), tick_ms=tick_ms)
        network = VirtualNetwork(Path(self.mktemp()), parameters=parameters, geometry=geometry)
        self.addCleanup(network.stop)
        network.start()
        return network

    def test_both_suites_deliver(self) -> None:
        """Through four mixes."""
        for name in ("xwing", "x25519"):
            network = self.start(geometries.default(name))
            path = network.mixes
            network.send(path[0], [network.packet(path, b"text")])
            network.clock.advance(60)
            self.assertEqual([each.content for each in path[3].exit.messages], [b"text"])

    def test_a_reply_reaches_the_owner_of_its_reply_block(self) -> None:
        """Sealed, over a crossover mix that sees a packet like any other, to the owner's exit,
        which gets what only the owner can open."""
        network = self.start()
        first, second, third, fourth = network.mixes
        now = int(network.clock.seconds())
        block, key = surb.make(
            network.geometry,
            hops(network, [third, second, first]),
            EXIT,
            "alice@example.test",
            now,
            now + 86_400,
            network.random,
        )
        body = reply.to_body(network.geometry, block, b"an answer", network.random)
        crossing = hops(network, [first, second, third, fourth])
        packet = build.crossover(network.geometry, crossing, body, network.random)
        network.send(first, [packet])
        network.clock.advance(60)
        [message] = first.exit.messages
        self.assertEqual(message.surb_id, key.surb_id)
        self.assertEqual(message.recipients, ("alice@example.test",))
        self.assertEqual(reply.open(network.geometry, key, message.content), b"an answer")
        self.assertEqual([mix.counters["pooled"] for mix in network.mixes], [2, 2, 2, 1])

    def test_cover_ends_at_its_last_hop(self) -> None:
        """Carried like everything else, then dropped and counted."""
        network = self.start()
        path = network.mixes
        body = cover.body(network.geometry, network.random)
        covering = build.forward(network.geometry, hops(network, path), body, network.random)
        network.send(path[0], [covering])
        network.clock.advance(60)
        self.assertEqual([mix.counters["sent"] for mix in path], [1, 1, 1, 0])
        self.assertEqual([mix.counters["drop-cover"] for mix in path], [0, 0, 0, 1])

    def test_a_packet_may_come_back_to_the_same_mix(self) -> None:
        """Its next hop is the mix itself: it is sent like to any other."""
        network = self.start()
        first = network.mixes[0]
        network.send(first, [network.packet([first, first, first], b"text")])
        network.clock.advance(60)
        self.assertEqual([each.content for each in first.exit.messages], [b"text"])
        self.assertEqual((first.counters["received"], first.counters["sent"]), (3, 2))

    def test_without_delay_a_packet_is_away_in_two_ticks(self) -> None:
        """And nothing is held for ever by a delay of zero."""
        network = self.start()
        first = network.mixes[0]
        network.send(first, [network.packet([first], b"text", 0)])
        network.clock.advance(2 * network.parameters.tick)
        self.assertEqual(len(first.exit.messages), 1)

    def test_packets_cross_the_border_of_a_key_period(self) -> None:
        """Made for the old key, on their way when the new one comes: all arrive."""
        network = self.start(SMALL)
        path = network.mixes
        length = network.parameters.key_period
        border = (network.clock.seconds() // length + 1) * length
        network.clock.run_until(border - 2)
        texts = [b"%d" % n for n in range(50)]
        network.send(path[0], [network.packet(path, text, 3000) for text in texts])
        network.clock.advance(600)
        self.assertEqual(Counter(m.content for m in path[3].exit.messages), Counter(texts))

    def test_two_thousand_packets_over_breaking_links_and_restarting_mixes(self) -> None:
        """Each arrives once; each mix took each in once, whatever was sent again."""
        network = self.start(SMALL, tick_ms=1000)
        dice, clock, path = random.Random(4), network.clock, network.mixes
        texts = [b"message %d" % n for n in range(2000)]
        waiting = [network.packet(path, text, dice.randrange(2000)) for text in texts]

        def disturb() -> None:
            network.wire.drop(dice.choice(path).host)
            clock.callLater(dice.expovariate(4), disturb)

        clock.callLater(0.01, disturb)
        waiting += waiting[:3]  # sent again by their sender, at the least
        while waiting:
            sender = network.send(path[0], waiting[:200])
            answered = {*sender.received_keys}
            waiting = [each for n, each in enumerate(waiting) if n not in answered]
            clock.advance(dice.random())
            mix = dice.choice(path)
            mix.stop()
            clock.advance(dice.random())
            mix.start()
        clock.advance(7200)
        arrived = Counter(message.content for message in path[3].exit.messages)
        self.assertEqual(arrived, Counter(texts))
        for mix in path:
            assert mix.server is not None
            counts = clock.result_of(mix.server.store.counts())
            self.assertEqual((counts.incoming, counts.pooled, counts.tags), (0, 0, 2000))
            seen = (mix.counters["pooled"], mix.counters["received"] - mix.counters["replayed"])
            self.assertEqual(seen, (2000, 2000))
        self.assertTrue(sum(mix.counters["replayed"] for mix in path))


class StartAndStopTests(SyncTestCase):
    """Servers that start and stop while things hang."""

    def setUp(self) -> None:
        self.network = VirtualNetwork(Path(self.mktemp()))
        self.clock = self.network.clock
        self.first = self.network.mixes[0]

    def stop(self) -> float:
        """Stop the first mix; the seconds it took."""
        before = self.clock.seconds()
        self.first.stop()
        return self.clock.seconds() - before

    def packets(self, count: int, delay_ms: int = 3000) -> list[bytes]:
        """Some that the first mix delivers."""
        return [self.network.packet([self.first], b"%d" % n, delay_ms) for n in range(count)]

    def assert_delivered(self, count: int) -> None:
        """Each of them, once."""
        found = Counter(message.content for message in self.first.exit.messages)
        self.assertEqual(found, Counter(b"%d" % n for n in range(count)))

    def test_what_comes_while_it_takes_up_the_old_is_pooled_once(self) -> None:
        """It listens before an exit has started, and is ready after."""
        self.first.start()
        packets = self.packets(20)
        self.network.send(self.first, packets[:10])
        self.first.stop()
        starting: Deferred[None] = Deferred()
        self.patch(self.first.exit, "start", lambda: starting)
        ready = self._begin()
        self.network.send(self.first, packets[10:])
        self.assertNoResult(ready)
        starting.callback(None)
        self.clock.advance(60)
        self.successResultOf(ready)
        self.assert_delivered(20)
        self.assertEqual((self.first.counters["pooled"], self.first.counters["released"]), (20, 20))
        self.stop()

    def test_a_stop_while_it_starts(self) -> None:
        """Nothing goes on behind the stop, and nothing is left."""
        self.patch(self.first.exit, "start", Deferred)
        ready = self._begin()
        assert self.first.server is not None
        self.assertFalse(self.first.server.ready)
        self.stop()
        self.clock.advance(120)
        self.successResultOf(ready)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_record_that_a_wrong_clock_dated_leaves_within_the_cap(self) -> None:
        """It was stored while the clock was a year ahead."""
        record = encode(Message(EXIT, ("bob@example.test",), b"0", None, "<1@mix.example>", 0))
        due_ms = int((self.clock.seconds() + 365 * 86_400) * 1000)
        store = Store.open(
            self.first.folder / "store",
            map_size=STORE,
            in_thread=InlineExecutor(self.clock),
            random=self.network.random,
            free_reserve=0,
        )
        incoming = self.clock.result_of(store.take_in(b"packet"))
        step = Step(incoming, 1, bytes(16), Pooled(b"exit:collect", due_ms, record))
        self.clock.result_of(store.unwrapped([step]))
        self.clock.result_of(store.close())
        self.first.start()
        self.clock.advance(self.network.parameters.delay_cap + 1)
        self.assert_delivered(1)
        self.stop()

    def test_a_client_that_never_hangs_up_does_not_hold_a_stop(self) -> None:
        """Nor one that has not even begun to speak."""
        self.first.start()
        self.network.wire.patience = 10_000.0
        silent = self.network.wire.client(self.first.host, PORT)
        self.clock.result_of(silent.connect(Factory.forProtocol(Protocol)))
        endpoint = self.network.wire.client(self.first.host, PORT)
        tls = client_tls(self.first.identity, None, [ALPN], self.clock)
        length = self.network.geometry.packet
        link = self.clock.result_of(connect(self.clock, endpoint, tls, length, Quiet([])))
        self.assertTrue(link.room)
        self.network.wire.part(["127.0.0.1"], [self.first.host])
        self.assertTrue(self.stop() <= STOPPING)

    def test_a_peer_that_never_answers_does_not_hold_a_stop(self) -> None:
        """Its packets stay stored, and arrive later."""
        self.network.start()
        second = self.network.mixes[1]
        self.network.wire.patience = 10_000.0
        path = [self.first, second]
        packets = [self.network.packet(path, b"%d" % n, 500) for n in range(5)]
        self.network.send(self.first, packets[:1])
        self.clock.run_until(lambda: len(second.exit.messages) == 1)
        self.network.wire.part([self.first.host], [second.host])
        self.network.send(self.first, packets[1:])
        self.clock.advance(5)
        self.assertTrue(self.stop() <= STOPPING + 1)
        self.network.wire.heal()
        self.first.start()
        self.clock.advance(600)
        found = Counter(message.content for message in second.exit.messages)
        self.assertEqual(found, Counter(b"%d" % n for n in range(5)))
        self.network.stop()

    def test_parts_that_hang_or_fail_do_not_keep_others_from_ending(self) -> None:
        """Unwrapping, hand-overs, workers: STOPPING each, and the store is closed after all."""
        self.first.start()
        server = self.first.server
        assert server is not None
        self.patch(server.pipeline, "stop", Deferred)
        self.patch(server.delivery, "stop", Deferred)
        self.patch(server._around.workers, "stop", _fail)
        self.assertEqual(self.stop(), 2 * STOPPING)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.first.start()
        self.stop()

    def _begin(self) -> Deferred[None]:
        """Start the first mix without waiting for it."""
        if self.first.cache.latest is None:
            self.first.update()
        return self.first.begin(Process(self.clock, self.network.wire, self.first.host))


class Quiet(Sender):
    """A client that keeps its link and sends nothing."""

    @override
    def opened(self, link: Link) -> None:
        """Stay."""


def _fail() -> Deferred[None]:
    raise ZeroDivisionError
