"""Borders of key periods, with a change of suite: whole mixes, and clients, on a virtual clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.internet.defer import Deferred

from mixminion.client.errors import NotHandedOver
from mixminion.client.packets import Letter, make
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.view import View
from mixminion.mix.keys import periods_in
from mixminion.mix.periods import EARLY
from mixminion.payload import message, reply
from mixminion.sphinx import build, surb
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.build import Hop
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import START
from mixminion.testing.collector import EXIT
from mixminion.testing.signings import always, changing
from mixminion.testing.virtual import VirtualNetwork
from mixminion.testing.virtualmix import VirtualMix

HOUR, DAY, WEEK = 3_600, 86_400, 604_800
XWING = PacketGeometry.make("xwing", packet=16_384)
X25519 = PacketGeometry.make("x25519", commands=304, packet=16_384)
NOW = int(START) // WEEK
BORDER = (NOW + 1) * WEEK
PARAMETERS = replace(
    Parameters.local_demo(),
    consensus_interval=6 * HOUR,
    consensus_fresh=6 * HOUR,
    consensus_valid=18 * HOUR,
)
GRACE = PARAMETERS.key_grace


class BorderCase(SyncTestCase):
    """Four mixes, and a border two days ahead where the suite changes."""

    def setUp(self) -> None:
        self.network = VirtualNetwork(
            Path(self.mktemp()),
            parameters=PARAMETERS,
            schedule=changing(XWING, {NOW + 1: X25519}),
        )
        self.clock = self.network.clock
        self.addCleanup(self.network.stop)
        self.addCleanup(self.network.signer.stop)
        self.network.start()
        self.network.signer.start()
        self.clock.run_until(BORDER - 2.0 * DAY)

    def hops(self, path: Sequence[VirtualMix], period: int) -> list[Hop]:
        view = self.network.view
        return [Hop(mix.node_id, view.packet_key(mix.identity, period), 500) for mix in path]

    def packet(self, path: Sequence[VirtualMix], text: bytes, period: int) -> bytes:
        """A packet of that period, whatever time it is."""
        network = self.network
        geometry = geometries.of(network.view.geometry_of(period))
        body = message.to_body(geometry, EXIT, ["bob"], text, network.random)
        return build.forward(geometry, self.hops(path, period), body, network.random)

    def arrived(self) -> Counter[bytes]:
        """The texts of messages at all exits."""
        return Counter(m.content for mix in self.network.mixes for m in mix.exit.messages)

    def dropped(self) -> dict[str, int]:
        """What all mixes have dropped, by reason."""
        total: Counter[str] = Counter()
        for mix in self.network.mixes:
            total.update({n: k for n, k in mix.counters.snapshot().items() if "drop" in n})
        return dict(total)

    def result(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.clock.result_of(Deferred.fromCoroutine(work))


class MixTests(BorderCase):
    """What mixes take, and when."""

    def test_from_ten_minutes_before_to_the_end_of_the_grace(self) -> None:
        """The next period's key opens from its first early moment, the last one's to the last of
        its grace; a second outside a packet is dropped.  Both suites, across a restart."""
        [mix, *_] = self.network.mixes
        new = [self.packet([mix], b"early %d" % n, NOW + 1) for n in range(2)]
        old = [self.packet([mix], b"late %d" % n, NOW) for n in range(3)]
        for moment, packet in (
            (BORDER - EARLY - 1, new[0]),
            (BORDER - EARLY, new[1]),
            (BORDER + 1, old[0]),
            (BORDER + GRACE - 1, old[1]),
            (BORDER + GRACE, old[2]),
        ):
            if packet is old[1]:
                self.clock.run_until(moment - 60)
                mix.stop()
                mix.start()
            self.clock.run_until(moment)
            self.network.send(mix, [packet])
        self.clock.advance(30)
        self.assertEqual(self.arrived(), Counter([b"early 1", b"late 0", b"late 1"]))
        self.assertEqual(self.dropped(), {"drop-version": 2})

    def test_packets_held_up_for_most_of_a_day(self) -> None:
        """They left in the last second of their period, and a server was down on their way."""
        first, down, *rest = self.network.mixes
        self.clock.run_until(BORDER - 1.0)
        down.stop()
        path = [first, down, *rest]
        texts = [b"%d" % n for n in range(20)]
        self.network.send(first, [self.packet(path, text, NOW) for text in texts])
        self.clock.run_until(BORDER + DAY - 1800.0)
        down.start()
        self.clock.advance(HOUR)
        self.assertEqual((self.arrived(), self.dropped()), (Counter(texts), {}))

    def test_keys_go_after_their_grace(self) -> None:
        """And their tags; those of the periods that are listed are there."""
        [mix, *_] = self.network.mixes
        self.network.send(mix, [self.packet([mix], b"text", NOW)])
        self.clock.run_until(BORDER + GRACE - 1)
        self.assertEqual(periods_in(mix.folder / "keys"), [NOW + n for n in range(4)])
        self.clock.run_until(BORDER + GRACE + 600)
        self.assertEqual(periods_in(mix.folder / "keys"), [NOW + n for n in range(1, 4)])
        assert mix.server is not None
        held = self.clock.result_of(mix.server.store.waiting())
        self.assertEqual(held.tag_keys, [])

    def test_a_reply_across_the_border(self) -> None:
        """Sealed and crossed over in one suite while the network goes over to the other."""
        network = self.network
        first, second, third, fourth = network.mixes
        self.clock.run_until(BORDER - 1.0)
        geometry = geometries.of(network.view.geometry_of(NOW))
        back = self.hops([third, second, first], NOW)
        block, key = surb.make(geometry, back, EXIT, "alice", NOW * WEEK, BORDER, network.random)
        body = reply.to_body(geometry, block, b"an answer", network.random)
        there = self.hops([first, second, third, fourth], NOW)
        network.send(first, [build.crossover(geometry, there, body, network.random)])
        self.clock.advance(60)
        [found] = first.exit.messages
        self.assertEqual(reply.open(geometry, key, found.content), b"an answer")

    def test_cut_off(self) -> None:
        """Without any directory a mix goes through the borders that it knows of, and presumes
        further ones."""
        [mix, *others] = self.network.mixes
        for other in others:
            other.stop()
        self.network.wire.part([mix.host], ["127.0.9.1"])
        self.clock.run_until(BORDER + 10.0)
        self.network.send(mix, [self.packet([mix], b"text", NOW + 1)])
        self.clock.advance(60)
        self.assertEqual(self.arrived(), Counter([b"text"]))
        self.clock.run_until(BORDER + 2 * WEEK + DAY)
        found = periods_in(mix.folder / "keys")
        self.assertTrue({NOW + 3, NOW + 4, NOW + 5} <= set(found), found)


class SuiteTests(BorderCase):
    """Suites that change although they are listed."""

    def sign(self, schedule: Any) -> View:
        """Another schedule from now on, known to everybody."""
        self.network.signer.signings.schedule = schedule
        self.clock.advance(1)
        self.network.signer.sign()
        self.clock.advance(14 * HOUR)  # they fetch it, make keys, and fetch the next one
        return self.network.view

    def suites(self, view: View) -> dict[int, tuple[str, int]]:
        """The suite of each listed period, and how many servers have a key."""
        return {
            n: (
                view.geometry_of(n).suite,
                sum(view.has_key(server.identity, n) for server in view.servers),
            )
            for n in view.periods
        }

    def test_in_time(self) -> None:
        """The border is two days ahead: all servers have another key before, of the suite that
        is listed now, and are used."""
        self.assertEqual(self.suites(self.network.view)[NOW + 1], ("x25519", 4))
        view = self.sign(always(XWING))
        self.assertEqual(self.suites(view)[NOW + 1], ("xwing", 4))
        self.clock.run_until(BORDER + 60.0)
        path = self.network.mixes
        self.network.send(path[0], [self.network.packet(path, b"text")])
        self.clock.advance(60)
        self.assertEqual((self.arrived(), self.dropped()), (Counter([b"text"]), {}))
        self.assertEqual([list(mix.server.complaints()) for mix in path if mix.server], [[]] * 4)

    def test_too_late(self) -> None:
        """The period has begun: its keys stay, nobody has one of the other suite, and operators
        are told."""
        self.clock.run_until(BORDER + HOUR)
        view = self.sign(always(XWING))
        self.assertEqual(self.suites(view)[NOW + 1], ("xwing", 0))
        self.assertEqual(self.suites(view)[NOW + 2], ("xwing", 4))
        [mix, *_] = self.network.mixes
        assert mix.server is not None
        [sentence] = mix.server.complaints()
        self.assertIn(f"key period {NOW + 1} to xwing after it had begun with x25519", sentence)
        status = self.result(mix.server.status())
        self.assertEqual(status["key-periods"][str(NOW + 1)], "x25519")
        view = self.sign(changing(XWING, {NOW + 1: X25519, NOW + 2: XWING}))
        self.assertEqual(self.suites(view)[NOW + 1], ("x25519", 4))
        self.assertEqual(list(mix.server.complaints()), [])


class DirectoryTests(BorderCase):
    """Consensuses that are not the newest any more."""

    def test_a_packet_of_the_oldest_valid_consensus(self) -> None:
        """Through a server that has left, over a border: all that have the newest take it."""
        network = self.network
        self.clock.run_until(BORDER - 4.0 * HOUR)
        gone = network.mixes[1]
        network.leave(gone)
        signings = network.signer.signings
        self.clock.run_until(lambda: network.view.by_identity(gone.identity) is None)
        oldest = signings.valid(self.clock.seconds())[-1].view()
        last = oldest.consensus.valid_until - 1.0
        self.assertTrue(BORDER < last < BORDER + 6 * HOUR)
        self.clock.run_until(last)
        path = "mix1, mix2, mix3, mix4"
        built = make(oldest, Letter(EXIT, ("bob",), (b"text",), path), last, network.random)
        self.assertEqual(built.packet.period, NOW + 1)
        network.send(network.mixes[0], [built.packet.octets])
        self.clock.advance(60)
        self.assertEqual((self.arrived(), self.dropped()), (Counter([b"text"]), {}))

    def test_all_valid_consensuses_choose_from_the_same(self) -> None:
        """A server joins: at every moment all who hold a valid consensus use the same servers, and
        the same keys for them."""
        network = self.network
        joined = network.join()
        used: set[bytes] = set()
        for _ in range(2 * 24):
            self.clock.advance(HOUR)
            now = self.clock.seconds()
            found = set()
            for signed in network.signer.signings.valid(now):
                view = signed.view()
                period = view.current_period(now)
                usable = view.usable(now, period)
                found.add(
                    frozenset((s.identity, view.packet_key(s.identity, period)) for s in usable)
                )
            self.assertEqual(len(found), 1)
            used.update(identity for each in found for identity, _ in each)
        self.assertIn(joined.identity, used)
        self.assertEqual(len(used), 5)


class ClientTests(BorderCase):
    """The outbox over a border and a change of suite."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.network.client()
        self.addCleanup(lambda: self.result(self.client.close()))
        self.result(self.client.update())
        self.clock.run_until(BORDER - 60.0)
        self.entry = self.network.mixes[0]

    def send(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(
            self.client.send(f"{EXIT}:bob", b"text", path="mix1, *2, mix4")
        )

    def keep(self, sending: Deferred[Any]) -> Any:
        """It is not handed over; what is kept."""
        self.assertRaises(NotHandedOver, self.clock.result_of, sending)
        [kept] = self.result(self.client.waiting())
        return kept

    def flush(self) -> None:
        """Over the border, with a new directory: hand over what is kept."""
        self.network.wire.heal()
        self.clock.run_until(BORDER + 8.0 * HOUR)
        self.result(self.client.update())
        self.assertEqual(self.result(self.client.flush()).kept, {})
        self.clock.advance(60)
        self.assertEqual((self.arrived(), self.dropped()), (Counter([b"text"]), {}))

    def test_one_that_was_never_handed_over_is_made_again(self) -> None:
        """For the period in which it leaves, in that period's suite."""
        self.network.wire.part(["127.0.0.1"], [self.entry.host])
        kept = self.keep(self.send())
        self.assertEqual((kept.handed, kept.period), (False, NOW))
        handed: list[bytes] = []
        store: Any = getattr(self.entry.server, "store", None)
        take_in = store.take_in

        def taken(packet: bytes) -> Any:
            handed.append(packet)
            return take_in(packet)

        self.patch(store, "take_in", taken)
        self.flush()
        self.assertEqual([packet[:2] for packet in handed], [bytes([2, 2])])

    def test_one_that_was_handed_over_is_sent_as_it_is(self) -> None:
        """Its first copy arrived, though nobody knew: the second one is a replay."""
        self.network.wire.latency = 1.0
        sending = self.send()
        self.clock.run_until(lambda: bool(self.entry.counters["received"]))
        self.network.wire.part(["127.0.0.1"], [self.entry.host])
        self.network.wire.drop("127.0.0.1")
        kept = self.keep(sending)
        self.assertEqual((kept.handed, kept.period), (True, NOW))
        self.network.wire.latency = 0.001
        self.flush()
        self.assertEqual(self.entry.counters["replayed"], 1)

    def test_one_that_was_handed_over_and_did_not_arrive(self) -> None:
        """It comes a day late, in its old suite, and is taken."""
        self.network.wire.latency = 1.0
        sending = self.send()
        while not any(each.handed for each in self.result(self.client.waiting())):
            self.clock.advance(0.1)
        self.network.wire.part(["127.0.0.1"], [self.entry.host])
        self.network.wire.drop("127.0.0.1")
        kept = self.keep(sending)
        self.assertTrue(kept.handed)
        self.assertEqual(self.entry.counters["received"], 0)
        self.network.wire.latency = 0.001
        self.flush()
        self.assertEqual(self.entry.counters["replayed"], 0)
