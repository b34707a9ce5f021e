"""Geometry: the numbers of the specification."""

from __future__ import annotations

import hashlib

from mixminion.sphinx import geometry, suites
from mixminion.sphinx.geometry import Geometry
from mixminion.testing.cases import SyncTestCase


class GeometryTests(SyncTestCase):
    def test_worked_sizes(self) -> None:
        """The table of packet.rst: slot, routing, header, payload, body, sealed, SURB."""
        table = {
            (suites.XWING, 4, 82, 32768): (1202, 4808, 5962, 26806, 26774, 20740, 6084),
            (suites.X25519, 4, 304, 32768): (304, 1216, 1282, 31486, 31454, 30100, 1404),
            (suites.XWING, 3, 82, 10240): (1202, 3606, 4760, 5480, 5448, 616, 4882),
            (suites.X25519, 3, 96, 1024): (96, 288, 354, 670, 638, 212, 476),
        }
        for values, sizes in table.items():
            g = Geometry(*values)
            found = (g.slot, g.routing, g.header, g.payload, g.body, g.sealed, g.surb)
            self.assertEqual(found, sizes)

    def test_default(self) -> None:
        """The defaults are the first two rows of that table; there is no third."""
        self.assertEqual(geometry.default(), Geometry(suites.XWING, 4, 82, 32768))
        self.assertEqual(geometry.default("x25519"), Geometry(suites.X25519, 4, 304, 32768))
        self.assertRaises(KeyError, geometry.default, "rsa")

    def test_digest(self) -> None:
        """Suite string, hops, commands, packet length, big-endian; as printed in packet.rst."""
        octets = b"mixminion2-xwing" + bytes.fromhex("04 0052 00008000")
        self.assertEqual(geometry.default().digest, hashlib.sha256(octets).digest())
        self.assertEqual(geometry.default().digest.hex()[:8], "72eebc17")

    def test_impossible(self) -> None:
        """Values that no network can have are refused, and their neighbours are not."""
        x = suites.X25519
        smallest = 2 * (2 + 32 + 70 + 32) + 104 + 40
        Geometry(x, 1, 70, smallest)
        Geometry(x, 255, 70, 1 << 20)
        for values in (
            (0, 70, 1024),
            (256, 70, 1 << 20),
            (1, 69, 1024),
            (1, 65536, 1 << 20),
            (1, 70, smallest - 1),
            (1, 70, (1 << 20) + 1),
            (1, 70, 1 << 32),
            (4, 82, 0),
        ):
            self.assertRaises(ValueError, Geometry, x, *values)
