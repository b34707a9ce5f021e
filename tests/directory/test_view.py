"""Views of the network."""

from __future__ import annotations

from mixminion.directory.consensus import KeyPeriod
from mixminion.directory.errors import (
    BadDocument,
    KeysMissing,
    NoKeyPeriod,
    NoPacketKey,
    UnknownSuite,
)
from mixminion.directory.parameters import PacketGeometry
from mixminion.directory.view import View
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort
from tests.directory.network import (
    NOW,
    PERIOD,
    WEEK,
    consensus,
    descriptor,
    keys,
    packet_key,
    server,
    view,
)

ALICE, BOB = server("Alice", 1), server("bob", 2)


class LookUpTests(SyncTestCase):
    """Servers and keys."""

    def setUp(self):
        self.view = view([ALICE, BOB])

    def test_servers(self):
        """By identity, node id and name in any case; None for others."""
        self.assertEqual(self.view.by_identity(ALICE.identity), ALICE)
        self.assertEqual(self.view.by_node(BOB.node_id), BOB)
        self.assertEqual(self.view.by_name("aLICE"), ALICE)
        for found in (
            self.view.by_identity(ALICE.node_id),
            self.view.by_node(ALICE.identity),
            self.view.by_name("carol"),
        ):
            self.assertIsNone(found)

    def test_keys(self):
        """Packet keys by identity and key period."""
        for period in (PERIOD, PERIOD + 2):
            found = self.view.packet_key(BOB.identity, period)
            self.assertEqual(found, packet_key("bob", period))

    def test_no_key(self):
        """A listed server without a key is named."""
        partial = view([ALICE, BOB], without=["bob"])
        self.assertFalse(partial.has_key(BOB.identity, PERIOD))
        error = self.assertRaises(NoPacketKey, partial.packet_key, BOB.identity, PERIOD)
        self.assertIn("The server bob has published no packet key", render(error))
        self.assertRaises(NoPacketKey, partial.packet_key, b"?" * 32, PERIOD)

    def test_keys_missing(self):
        """A key document that was not fetched is told from a key that does not exist."""
        partial = View(consensus([ALICE]), [keys([ALICE], PERIOD)])
        partial.packet_key(ALICE.identity, PERIOD)
        self.assertRaises(KeysMissing, partial.packet_key, ALICE.identity, PERIOD + 1)

    def test_foreign_keys(self):
        """A key document of a period that is not listed."""
        self.assertRaises(BadDocument, View, consensus([ALICE]), [keys([ALICE], PERIOD + 9)])


class PeriodTests(SyncTestCase):
    """Key periods and geometries."""

    def test_current(self):
        """A packet's key period is the one in which it leaves."""
        network = view([ALICE])
        border = (PERIOD + 1) * WEEK
        self.assertEqual(network.periods, (PERIOD, PERIOD + 1, PERIOD + 2))
        self.assertEqual(network.current_period(border - 0.1), PERIOD)
        self.assertEqual(network.current_period(border), PERIOD + 1)

    def test_outside(self):
        """No period is listed: a sentence, with the time."""
        network = view([ALICE])
        for now in (PERIOD * WEEK - 1, (PERIOD + 3) * WEEK):
            error = self.assertRaises(NoKeyPeriod, network.current_period, now)
            self.assertIn("Z; run `mixminion update`", render(error))

    def test_geometry(self):
        """Each period has its own geometry; an unknown suite asks for a newer release."""
        document = consensus([ALICE])
        strange = PacketGeometry(suite="hqc", hops=4, commands=82, packet=32_768, digest=bytes(32))
        first, second, third = document.key_periods
        last = KeyPeriod(
            number=third.number,
            begins=third.begins,
            ends=third.ends,
            geometry=strange,
            keys=third.keys,
        )
        network = View(consensus([ALICE], key_periods=(first, second, last)), [])
        self.assertEqual(network.geometry, PacketGeometry.make())
        self.assertEqual(network.geometry_of(second.number), PacketGeometry.make())
        self.assertRaises(UnknownSuite, network.geometry_of, third.number)
        self.assertEqual(network.packet_length, 32_768)


class UsableTests(SyncTestCase):
    """Who is used without being named."""

    def usable(self, **changes: object) -> bool:
        entry = server("Alice", 1, **changes)
        return entry in view([entry]).usable(NOW, PERIOD)

    def test_usable(self):
        """A flagged server with an address and a key."""
        self.assertTrue(self.usable())

    def test_not_usable(self):
        """Without the flag, too new, in an insecure mode, without an address."""
        for changes in (
            {"flags": ()},
            {"usable_from": NOW + 1},
            {"insecure": ("classical-links",)},
            {"addresses": ()},
        ):
            self.assertFalse(self.usable(**changes), changes)

    def test_grows_old_enough(self):
        """A new server becomes usable while a view is held."""
        entry = server("Alice", 1, usable_from=NOW + 10)
        network = view([entry])
        for now, expected in ((NOW, []), (NOW + 10, [entry]), (NOW + 9, [])):
            self.assertEqual(network.usable(now, PERIOD), expected)

    def test_without_key(self):
        """Without a key for the period."""
        self.assertFalse(view([ALICE], without=["Alice"]).usable(NOW, PERIOD))

    def test_private_addresses(self):
        """Addresses that not everybody can reach are for test networks."""
        for host, public in (
            ("127.1.0.1", False),
            ("10.1.0.1", False),
            ("fe80::1", False),
            ("9.9.9.9", True),
            ("2620:fe::fe", True),
            ("mix.example.org", True),
        ):
            entry = server("Alice", addresses=(HostPort(host, 48099),))
            real = view([entry], test_network=False)
            self.assertEqual(bool(real.usable(NOW, PERIOD)), public, host)
            self.assertTrue(view([entry]).usable(NOW, PERIOD))


class ImportedTests(SyncTestCase):
    """Servers that are known from descriptors alone."""

    def setUp(self):
        self.plain = view([ALICE, BOB])

    def with_imported(self, *names: str, now: float = NOW) -> View:
        described = [(descriptor(name, 9), bytes(32)) for name in names]
        return self.plain.with_imported(described, now)

    def test_found(self):
        """By name and identity, with the descriptor's keys; not among the servers, and never
        usable.  The view that it was made from does not change."""
        found = self.with_imported("carol")
        carol = found.by_name("CAROL")
        assert carol is not None
        self.assertIs(found.by_identity(carol.identity), carol)
        self.assertTrue(found.imported(carol))
        self.assertEqual(
            found.packet_key(carol.identity, PERIOD + 1), packet_key("carol", PERIOD + 1)
        )
        self.assertRaises(NoPacketKey, found.packet_key, carol.identity, PERIOD + 3)
        self.assertEqual(found.servers, self.plain.servers)
        self.assertEqual(list(found.usable(NOW, PERIOD)), list(self.plain.usable(NOW, PERIOD)))
        self.assertFalse(found.is_usable(carol, NOW, PERIOD))
        self.assertIsNone(self.plain.by_name("carol"))

    def test_over(self):
        """Before and after its time a descriptor's keys are none."""
        for now in (NOW - 1, NOW + 3 * WEEK):
            found = self.with_imported("carol", now=now)
            carol = found.by_name("carol")
            assert carol is not None
            self.assertFalse(found.has_key(carol.identity, PERIOD))

    def test_listed(self):
        """Of a server that is listed the directory's entry stays."""
        found = self.with_imported("bob")
        self.assertEqual(found.by_name("bob"), BOB)
        self.assertFalse(found.imported(BOB))
        self.assertFalse(found.ambiguous("bob"))

    def test_ambiguous(self):
        """A name that the directory gives to another identity."""
        found = self.with_imported("ALICE")
        self.assertEqual(found.by_name("alice"), ALICE)
        self.assertTrue(found.ambiguous("Alice"))
        self.assertFalse(self.plain.ambiguous("Alice"))

    def test_other_suite(self):
        """Keys that do not fit the key period are none."""
        changed = descriptor("carol").packet_keys[0]
        other = type(changed)(period=PERIOD, suite="x25519", key=bytes(32))
        described = descriptor("carol", packet_keys=(other,))
        found = self.plain.with_imported([(described, bytes(32))], NOW)
        self.assertFalse(found.has_key(described.identity, PERIOD))
