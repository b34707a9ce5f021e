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


def surb_key(entry: dict[str, Any]) -> SurbKey:
    fields = entry["surb_key"]
    hops = tuple(bytes.fromhex(secret) for secret in fields["hops"])
    return SurbKey(bytes.fromhex(fields["id"]), hops, bytes.fromhex(fields["key"]))


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
        for good in (entry for entry in contents["surbs"] if "surb" in entry):
            block = Surb.decode(g, base64.b64decode(good["surb"]))
            key = surb_key(good)
            self.assertEqual(block.key, key.key)
            self.assertEqual(block.encode(), base64.b64decode(good["surb"]))
            content = reply.open(g, key, base64.b64decode(good["payload"]))
            self.assertEqual(content, base64.b64decode(good["content"]))
        first = contents["surbs"][0]
        octets, key = base64.b64decode(first["surb"]), surb_key(first)
        arrived = base64.b64decode(first["payload"])
        for other in (entry for entry in contents["surbs"] if "surb" not in entry):
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
        key = surb_key(good)
        payload = bytearray(base64.b64decode(good["payload"]))
        self.assertIsNotNone(surb.open(SMALL_X25519, key, bytes(payload)))
        for bit in range(0, len(payload) * 8, 3):
            payload[bit // 8] ^= 1 << bit % 8
            self.assertIsNone(surb.open(SMALL_X25519, key, bytes(payload)))
            payload[bit // 8] ^= 1 << bit % 8
