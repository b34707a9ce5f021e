"""Messages in fragments, put together in memory."""

from __future__ import annotations

from mixminion.crypto.rng import SeededRandom
from mixminion.payload import deflate, fragments, joined
from mixminion.payload.errors import BadPayload, Problem
from mixminion.payload.fragments import Coding, Whole
from mixminion.testing.cases import SyncTestCase


def pieces(whole: Whole, octets: bytes, without: int = 0) -> dict[int, dict[int, bytes]]:
    """Every piece that is sent, by block, but the first *without* of each."""
    made = {}
    for block in range(whole.blocks):
        at = whole.start(block)
        numbers = fragments.numbers(whole.data(block))[without:]
        cut = octets[at : at + whole.length(block)]
        made[block] = {
            each.index: each.octets for each in fragments.pieces(whole, block, cut, numbers)
        }
    return made


class JoinTests(SyncTestCase):
    def setUp(self) -> None:
        self.octets = SeededRandom(b"joined").octets(70 * 256 - 9)
        self.whole = Whole(bytes(16), Coding.PLAIN, len(self.octets), 256)

    def test_join(self) -> None:
        """With all pieces, and without as many as there are repair pieces."""
        spare = fragments.enough(35) - 35
        for without in (0, spare):
            made = pieces(self.whole, self.octets, without)
            self.assertEqual(joined.join(self.whole, made, len(self.octets)), self.octets)

    def test_lacking(self) -> None:
        """How many are lacking at least; with fewer nothing is put together."""
        self.assertEqual(joined.lacking(self.whole, {}), 70)
        self.assertEqual(joined.lacking(self.whole, {0: 40, 1: 34}), 1)
        self.assertEqual(joined.lacking(self.whole, {0: 35, 1: 35}), 0)
        made = pieces(self.whole, self.octets, fragments.enough(35) - 34)
        self.assertRaises(ValueError, joined.join, self.whole, made, 100_000)

    def test_limit(self) -> None:
        """Not an octet more than the limit is put together."""
        made = pieces(self.whole, self.octets)
        error = self.assertRaises(BadPayload, joined.join, self.whole, made, len(self.octets) - 1)
        self.assertEqual(error.problem, Problem.SIZE)

    def test_deflated(self) -> None:
        """Deflated ones are expanded, no further than the limit."""
        plain = self.octets * 3
        packed = b"".join(deflate.deflate([plain], len(plain)))
        whole = Whole(bytes(16), Coding.DEFLATED, len(packed), 256)
        made = pieces(whole, packed)
        self.assertEqual(joined.join(whole, made, len(plain)), plain)
        error = self.assertRaises(BadPayload, joined.join, whole, made, len(plain) - 1)
        self.assertEqual(error.problem, Problem.SIZE)

    def test_bomb(self) -> None:
        """What says that it expands to too much, or goes on for longer than it says, is none."""
        packed = b"".join(deflate.deflate([bytes(2**24)], 2**24))
        for size in (2**24, 1000):
            bomb = size.to_bytes(4) + packed[4:]
            whole = Whole(bytes(16), Coding.DEFLATED, len(bomb), 256)
            self.assertRaises(BadPayload, joined.join, whole, pieces(whole, bomb), 2**26)
