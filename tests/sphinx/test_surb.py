"""Reply blocks: what the replier gets, and what only the owner opens."""

from __future__ import annotations

import base64
from typing import Any

from mixminion.payload import reply
from mixminion.sphinx import geometry, surb
from mixminion.sphinx.errors import BadSurb
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.suites import by_name
from mixminion.sphinx.surb import Surb, SurbKey
from mixminion.testing.cases import SyncTestCase
from tests import vectors
from tests.sphinx.networks import SMALL, SMALL_X25519, Nodes


def replaced(octets: bytes, changes: list[tuple[int, str]]) -> bytes:
    for at, new in changes:
        octets = octets[:at] + bytes.fromhex(new) + octets[at + len(new) // 2 :]
    return octets


class SurbTests(SyncTestCase):
    def test_round_trip(self) -> None:
        """Encoded, it has the specified length and reads as it was."""
        for g in SMALL:
            nodes = Nodes(g)
            block, key = surb.make(g, nodes.path(2), "smtp", "a@b", 5, 2**40, nodes.random)
            octets = block.encode()
            self.assertEqual(len(octets), g.surb)
            self.assertEqual(Surb.decode(g, octets), block)
            self.assertEqual((len(key.surb_id), [len(k) for k in key.hops]), (16, [64, 64]))

    def test_default_size(self) -> None:
        """6,084 octets in xwing."""
        g = geometry.default()
        nodes = Nodes(g)
        block, _ = surb.make(g, nodes.path(4), "smtp", "a@b", 5, 6, nodes.random)
        self.assertEqual(len(block.encode()), 6084)

    def test_usable(self) -> None:
        """Not before its period, and not later than leaves time for one hop more than a path."""
        nodes = Nodes(SMALL_X25519)
        block, _ = surb.make(SMALL_X25519, nodes.path(1), "x", "", 1000, 9000, nodes.random)
        cap = 100.0
        table = {999.9: False, 1000: True, 8600: True, 8600.1: False, 9000: False}
        for now, usable in table.items():
            self.assertEqual(block.usable(now, cap), usable, now)

    def test_frozen(self) -> None:
        """The frozen reply blocks: one opens, all changed ones are refused."""
        for name in ("small-xwing.json", "small-x25519.json"):
            with self.subTest(name):
                self.check(vectors.load(name))

    def check(self, contents: dict[str, Any]) -> None:
        values = contents["geometry"]
        suite = by_name(values["suite"])
        g = Geometry(suite, values["hops"], values["commands"], values["packet"])
        good, *others = contents["surbs"]
        octets = base64.b64decode(good["surb"])
        arrived = base64.b64decode(good["payload"])
        fields = good["surb_key"]
        key = SurbKey(
            bytes.fromhex(fields["id"]),
            tuple(bytes.fromhex(secret) for secret in fields["hops"]),
            bytes.fromhex(fields["key"]),
        )
        self.assertEqual(Surb.decode(g, octets).key, key.key)
        self.assertEqual(Surb.decode(g, octets).encode(), octets)
        self.assertEqual(reply.open(g, key, arrived), base64.b64decode(good["content"]))
        for other in others:
            if changes := other.get("surb_replace"):
                self.assertRaises(BadSurb, Surb.decode, g, replaced(octets, changes))
                continue
            changed = replaced(arrived, other.get("payload_replace", []))
            if "payload" in other:
                changed = base64.b64decode(other["payload"])
            self.assertIsNone(reply.open(g, key, changed), other["name"])
        for wrong in (b"", octets[:-1], octets + b"\0"):
            self.assertRaises(BadSurb, Surb.decode, g, wrong)
        for wrong in (b"", arrived[:-1], arrived + b"\0"):
            self.assertIsNone(surb.open(g, key, wrong))

    def test_another_key(self) -> None:
        """A payload does not open under another reply block's key."""
        g, nodes = SMALL_X25519, Nodes(SMALL_X25519)
        _, key = surb.make(g, nodes.path(2), "x", "", 0, 0, nodes.random)
        self.assertIsNone(surb.open(g, key, nodes.random.octets(g.payload)))

    def test_every_payload_bit(self) -> None:
        """Whatever bit of what the owner gets is flipped, nothing opens."""
        contents = vectors.load("small-x25519.json")
        good = contents["surbs"][0]
        fields = good["surb_key"]
        hops = tuple(bytes.fromhex(secret) for secret in fields["hops"])
        key = SurbKey(b"", hops, bytes.fromhex(fields["key"]))
        payload = bytearray(base64.b64decode(good["payload"]))
        self.assertIsNotNone(surb.open(SMALL_X25519, key, bytes(payload)))
        for bit in range(0, len(payload) * 8, 3):
            payload[bit // 8] ^= 1 << bit % 8
            self.assertIsNone(surb.open(SMALL_X25519, key, bytes(payload)))
            payload[bit // 8] ^= 1 << bit % 8
