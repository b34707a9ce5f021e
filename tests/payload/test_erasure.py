"""The erasure code: any k pieces are enough, and they are the octets that others make too."""

from __future__ import annotations

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.payload import erasure
from mixminion.testing.cases import SyncTestCase
from tests import vectors


def data(k: int, length: int) -> list[bytes]:
    return [hashlib.shake_256(b"%d" % n).digest(length) for n in range(k)]


def slow_product(a: int, b: int) -> int:
    """By the definition: polynomials over two elements, modulo 11d."""
    total = 0
    for bit in range(8):
        if b >> bit & 1:
            total ^= a << bit
    for bit in range(14, 7, -1):
        if total >> bit & 1:
            total ^= 0x11D << (bit - 8)
    return total


class ErasureTests(SyncTestCase):
    def test_definition(self) -> None:
        """Each repair piece is the sum that the specification says, by slow arithmetic."""
        pieces = data(5, 3)
        inverse = {a: b for a in range(1, 256) for b in range(1, 256) if slow_product(a, b) == 1}
        for index in (5, 6, 100, 255):
            wanted = bytearray(3)
            for number, piece in enumerate(pieces):
                for at, octet in enumerate(piece):
                    wanted[at] ^= slow_product(inverse[index ^ number], octet)
            self.assertEqual(erasure.repair(pieces, index), bytes(wanted))

    def test_frozen(self) -> None:
        """Repair pieces that another library, built on ISA-L, made of the same data."""
        for case in vectors.load("payload/erasure.json")["blocks"]:
            pieces = [bytes.fromhex(each) for each in case["data"]]
            for index, octets in case["repair"].items():
                self.assertEqual(erasure.repair(pieces, int(index)).hex(), octets)

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_any_k(self, draw: st.DataObject) -> None:
        """Any k pieces give all the data, whatever k and which of the 256."""
        k = draw.draw(st.integers(1, erasure.MOST_DATA))
        chosen = draw.draw(st.sets(st.integers(0, 255), min_size=k, max_size=k))
        pieces = data(k, draw.draw(st.integers(1, 40)))
        held = {n: pieces[n] if n < k else erasure.repair(pieces, n) for n in chosen}
        found = {n: octets for n, octets in held.items() if n < k}
        self.assertEqual(
            {**found, **erasure.recover(k, held)}, dict(enumerate(pieces)), (k, chosen)
        )

    def test_too_few(self) -> None:
        """k - 1 pieces are refused, not guessed at."""
        pieces = data(4, 8)
        held = {0: pieces[0], 1: pieces[1], 9: erasure.repair(pieces, 9)}
        self.assertRaises(ValueError, erasure.recover, 4, held)

    def test_more_than_enough(self) -> None:
        """Pieces that are not needed do no harm."""
        pieces = data(3, 8)
        held = {n: erasure.repair(pieces, n) for n in range(3, 9)} | {1: pieces[1]}
        self.assertEqual(erasure.recover(3, held), {0: pieces[0], 2: pieces[2]})

    def test_no_such_piece(self) -> None:
        """A number that belongs to the data, or to nothing."""
        for index in (0, 2, 256):
            self.assertRaises(ValueError, erasure.repair, data(3, 1), index)
        self.assertRaises(ValueError, erasure.repair, data(65, 1), 100)
