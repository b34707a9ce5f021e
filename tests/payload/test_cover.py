"""Cover: as long as any body, and nothing in it."""

from __future__ import annotations

from mixminion.crypto.rng import SeededRandom
from mixminion.payload import cover, frame
from mixminion.sphinx import geometry
from mixminion.testing.cases import SyncTestCase


class CoverTests(SyncTestCase):
    def test_body(self) -> None:
        """An empty frame of kind cover, filled at random."""
        g, random = geometry.default(), SeededRandom(b"cover")
        a, b = cover.body(g, random), cover.body(g, random)
        self.assertEqual((len(a), len(b)), (g.body, g.body))
        self.assertEqual(frame.parse(a), frame.Frame(frame.Kind.COVER, b""))
        self.assertNotEqual(a[8:], b[8:])
