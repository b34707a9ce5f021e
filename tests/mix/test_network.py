"""What a mix keeps of consensuses that come and go."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from mixminion.directory.consensus import Server
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.view import View
from mixminion.mix.batches import Made
from mixminion.mix.network import Network
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, PERIOD, WEEK, consensus, server

HOUR = 3_600
ALICE, BOB, CAROL = (
    server(name, number) for number, name in enumerate(("alice", "bob", "carol"), 1)
)
STRANGE = PacketGeometry(suite="hqc", hops=4, commands=82, packet=32_768, digest=bytes(32))
X25519 = PacketGeometry.make("x25519", commands=304)
UNTIL = 3 * HOUR + Parameters.local_demo().key_grace
"""Seconds for which packets of a consensus may be on their way."""


def view(*servers: Server, hours: int = 0, **changes: Any) -> View:
    """The consensus of so many *hours* later."""
    begins = NOW + hours * HOUR
    dates = {
        "valid_after": begins,
        "fresh_until": begins + HOUR,
        "valid_until": begins + 3 * HOUR,
    }
    return View(consensus(servers, **(dates | changes)), [])


def parameters(**changes: Any) -> Parameters:
    return replace(Parameters.local_demo(), **changes)


class NextHopTests(SyncTestCase):
    """Who may be sent to."""

    def test_a_server_that_left_stays_a_next_hop_for_packets_on_their_way(self) -> None:
        """Until the last that may have been made through it has passed, and no longer."""
        network = Network(view(ALICE, BOB))
        network.adopt(view(ALICE, hours=1), NOW + HOUR)
        self.assertEqual(network.next_hop(ALICE.node_id, NOW + HOUR), ALICE)
        self.assertEqual(network.next_hop(BOB.node_id, NOW + UNTIL - 1), BOB)
        self.assertIsNone(network.next_hop(BOB.node_id, NOW + UNTIL))
        self.assertIsNone(network.next_hop(CAROL.node_id, NOW + HOUR))

    def test_through_many_consensuses(self) -> None:
        """What came meanwhile does not prolong it, nor is it kept for ever."""
        network = Network(view(ALICE, BOB))
        for hours in range(1, 5):
            network.adopt(view(ALICE, hours=hours), NOW + hours * HOUR)
        self.assertEqual(network.next_hop(BOB.node_id, NOW + UNTIL - 1), BOB)
        network.adopt(view(ALICE, hours=48), NOW + 48 * HOUR)
        self.assertIsNone(network.next_hop(BOB.node_id, NOW + 4 * HOUR))

    def test_one_that_comes_back(self) -> None:
        """Is where the newest consensus says."""
        elsewhere = server("bob", 77)
        network = Network(view(ALICE, BOB))
        network.adopt(view(ALICE, hours=1), NOW + HOUR)
        network.adopt(view(ALICE, elsewhere, hours=2), NOW + 2 * HOUR)
        self.assertEqual(network.next_hop(BOB.node_id, NOW + 2 * HOUR), elsewhere)
        found = network.next_hop(BOB.node_id, NOW + 2 * HOUR)
        assert found is not None
        self.assertEqual(found.addresses, elsewhere.addresses)


class CapTests(SyncTestCase):
    """Which delays are borne."""

    def test_a_lower_cap(self) -> None:
        """Packets with longer delays are on their way for a while."""
        network = Network(view(parameters=parameters(delay_cap_ms=9_000)))
        grace = parameters(delay_cap_ms=9_000).key_grace
        network.adopt(view(hours=1, parameters=parameters(delay_cap_ms=4_000)), NOW + HOUR)
        self.assertEqual(network.delay_cap_ms(NOW + 3 * HOUR + grace - 1), 9_000)
        self.assertEqual(network.delay_cap_ms(NOW + 3 * HOUR + grace), 4_000)

    def test_a_higher_cap(self) -> None:
        """Holds at once."""
        network = Network(view(parameters=parameters(delay_cap_ms=4_000)))
        self.assertEqual(network.delay_cap_ms(NOW), 4_000)
        network.adopt(view(hours=1, parameters=parameters(delay_cap_ms=9_000)), NOW + HOUR)
        self.assertEqual(network.delay_cap_ms(NOW + HOUR), 9_000)


class ComplaintTests(SyncTestCase):
    """What an operator is told."""

    def complaints(
        self, changed: View, public: tuple[Made, ...] = (), first: View | None = None
    ) -> list[str]:
        network = Network(first or view())
        network.adopt(changed, NOW + HOUR)
        self.outdated = list(network.outdated)
        return list(network.complaints(public, NOW + HOUR))

    def test_nothing(self) -> None:
        """Most parameters are taken up while a server runs."""
        changed = parameters(
            mean_delay_ms=600, delay_cap_ms=6_000, tick_ms=60, pool_interval=7, pool_minimum=7,
            pool_percent=7, hops=3, consensus_interval=7, consensus_fresh=7, consensus_valid=7,
            key_period=7, peer_queue_expiry=7, mmtp_window=7, fragments=7, mix_loops_per_hour=7,
        )  # fmt: skip
        known = {name for name in Parameters.__struct_fields__ if name != "strategy"}
        first = Parameters.local_demo()
        self.assertEqual(
            {name for name in known if getattr(changed, name) == getattr(first, name)}, set()
        )
        self.assertEqual(self.complaints(view(hours=1, parameters=changed)), [])
        self.assertEqual(self.outdated, [])

    def test_strategy(self) -> None:
        """One that is known needs a restart, another one a newer version."""
        changed = view(hours=1, parameters=parameters(strategy="timed-dynamic-pool"))
        [sentence] = self.complaints(changed)
        for part in ("timed-dynamic-pool now", "by poisson", "mixminion server stop"):
            self.assertIn(part, sentence)
        self.assertEqual(self.outdated, ["strategy"])
        [sentence] = self.complaints(view(hours=1, parameters=parameters(strategy="alpha")))
        self.assertIn("strategy alpha now: install a newer version", sentence)

    def test_packet_length(self) -> None:
        """That no network changes, though authorities could."""
        periods = tuple(
            replace(each, geometry=PacketGeometry.make(packet=30_000))
            for each in consensus().key_periods
        )
        [sentence] = self.complaints(view(hours=1, key_periods=periods))
        for part in ("30000 octets now", "those of 32768", "restart it"):
            self.assertIn(part, sentence)
        self.assertEqual(self.outdated, ["packet-length"])

    def suites(self, *geometries: PacketGeometry) -> View:
        """A consensus of periods of those geometries."""
        listed = zip(consensus().key_periods, geometries, strict=True)
        periods = tuple(replace(each, geometry=geometry) for each, geometry in listed)
        return view(hours=1, key_periods=periods)

    def test_unknown_suite(self) -> None:
        """The operator has time until it begins."""
        xwing = PacketGeometry.make()
        [sentence] = self.complaints(self.suites(xwing, xwing, STRANGE))
        for part in ("From 2027-01-28T00:00:00Z on", "suite hqc", "install a newer version"):
            self.assertIn(part, sentence)

    def test_suite_changed_too_late(self) -> None:
        """A key that is in use stays; whoever did that is told."""
        public = tuple(Made(PERIOD + n, "xwing", bytes(1216)) for n in range(3))
        [sentence] = self.complaints(self.suites(X25519, *[PacketGeometry.make()] * 2), public)
        for part in (f"key period {PERIOD} to x25519", "begun with xwing", "tell the network's"):
            self.assertIn(part, sentence)

    def test_suite_changed_in_time(self) -> None:
        """The keys are of the suites that are listed: nothing to say."""
        suites = ("xwing", "x25519", "xwing")
        public = tuple(Made(PERIOD + n, suite, b"") for n, suite in enumerate(suites))
        changed = self.suites(PacketGeometry.make(), X25519, PacketGeometry.make())
        self.assertEqual(self.complaints(changed, public), [])

    def test_periods_that_have_ended(self) -> None:
        """Nobody is told of them; what a newer consensus lists counts."""
        first = self.suites(STRANGE, PacketGeometry.make(), PacketGeometry.make())
        network = Network(first)
        self.assertEqual(len(list(network.complaints((), NOW))), 1)
        ends = (PERIOD + 1) * WEEK
        self.assertEqual(list(network.complaints((), ends)), [])
