"""Slots: what is encoded is parsed; what nearly follows a template is none."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto.rng import SeededRandom
from mixminion.sphinx.errors import AddressTooLong
from mixminion.sphinx.slots import (
    CrossoverSlot,
    ForwardSlot,
    LastSlot,
    RelaySlot,
    ReplySlot,
    encode_last,
    encode_relay,
    parse,
)
from mixminion.testing.cases import SyncTestCase
from tests.sphinx.networks import SMALL, SMALL_X25519

G = SMALL_X25519
ID = bytes(range(16))


class SlotTests(SyncTestCase):
    def setUp(self) -> None:
        self.random = SeededRandom(b"slots")

    def last(self, slot: LastSlot) -> bytes:
        return encode_last(G, slot, self.random)

    def test_round_trip(self) -> None:
        """Every template, in both suites, is as long as a slot and reads as it was written."""
        for g in SMALL:
            lasts: tuple[LastSlot, ...] = (
                ForwardSlot(0),
                CrossoverSlot(0xFFFFFFFF),
                ReplySlot(7, ID, "smtp", "a@example.org"),
                ReplySlot(7, ID, "mbox", "J\u00fcrgen"),
                ReplySlot(7, ID, "drop", ""),
            )
            for slot in lasts:
                octets = encode_last(g, slot, self.random)
                self.assertEqual(len(octets), g.slot)
                self.assertEqual(parse(g, octets), slot)
            relay = RelaySlot(1, bytes(32), b"\1" * 32, b"\2" * g.suite.carried)
            octets = encode_relay(g, relay)
            self.assertEqual(len(octets), g.slot)
            self.assertEqual(parse(g, octets), relay)

    def test_octets(self) -> None:
        """The templates of packet.rst, written out."""
        node_id, mac = b"n" * 32, b"m" * 32
        relay = encode_relay(G, RelaySlot(258, node_id, mac, b""))
        self.assertEqual(relay, b"\x80\0\0\1\2\1" + node_id + mac + bytes(26))
        self.assertEqual(self.last(ForwardSlot(258))[:7], b"\x80\0\0\1\2\4\0")
        self.assertEqual(self.last(CrossoverSlot(258))[:7], b"\x80\0\0\1\2\5\0")
        reply = b"\x80\0\0\1\2\3" + ID + b"\4\4smtp\0\3a@b\0"
        self.assertEqual(self.last(ReplySlot(258, ID, "smtp", "a@b"))[: len(reply)], reply)

    def test_fill_is_random(self) -> None:
        """What is left of a last slot is never the same twice, and not zeros."""
        a, b = self.last(ForwardSlot(1)), self.last(ForwardSlot(1))
        self.assertNotEqual(a[7:], b[7:])
        self.assertNotIn(bytes(8), a[7:])

    def test_longest_address(self) -> None:
        """An address may fill the slot to its last octet; one more is refused with the sizes."""
        limit = G.slot - 27
        slot = ReplySlot(1, ID, "x", "a" * (limit - 1))
        self.assertEqual(parse(G, self.last(slot)), slot)
        error = self.assertRaises(
            AddressTooLong, self.last, ReplySlot(1, ID, "x", "\u00fc" + "a" * (limit - 2))
        )
        self.assertEqual(error.fields, {"size": limit + 1, "limit": limit})

    def test_impossible_names(self) -> None:
        """Names and addresses that a hop would drop are not written."""
        for exit, address in (
            ("", "a"),
            ("a b", "a"),
            ("\u00fc", "a"),
            ("x", "a\nb"),
            ("x", "\x7f"),
        ):
            self.assertRaises(ValueError, self.last, ReplySlot(1, ID, exit, address))

    @settings(max_examples=300, deadline=None)
    @given(st.binary(min_size=96, max_size=96), st.sampled_from([0, 1, 3, 4, 5, 6, 255]))
    def test_arbitrary_octets(self, octets: bytes, kind: int) -> None:
        """Arbitrary slots are parsed or are none; what parses as a reply is one again."""
        octets = b"\x80" + octets[1:5] + bytes((kind,)) + octets[6:]
        slot = parse(G, octets)
        if isinstance(slot, ReplySlot):
            again = self.last(slot)
            self.assertEqual(parse(G, again), slot)
        if kind not in (1, 3, 4, 5):
            self.assertIsNone(slot)
