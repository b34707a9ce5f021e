"""Compression: round trips, and what claims or expands to too much."""

from __future__ import annotations

import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.payload import deflate
from mixminion.payload.errors import BadPayload, Problem
from mixminion.testing.cases import SyncTestCase

MANY = 1 << 30


def packed(octets: bytes) -> bytes:
    return b"".join(deflate.deflate([octets], len(octets)))


def expanded(octets: bytes, limit: int = MANY) -> bytes:
    return b"".join(deflate.inflate([octets], len(octets), limit))


class DeflateTests(SyncTestCase):
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.binary(max_size=60), max_size=8),
        st.integers(1, 3000),
        st.integers(1, 5000),
    )
    def test_round_trip(self, parts: list[bytes], times: int, step: int) -> None:
        """Octets come back, wherever the compressed form is cut."""
        octets = b"".join(parts) * times
        made = packed(octets)
        if deflate.deflated_size([octets], len(octets)) is None:
            self.assertRaises(BadPayload, expanded, made)
            return
        pieces = [made[at : at + step] for at in range(0, len(made), step)]
        found = list(deflate.inflate(pieces, len(made), len(octets)))
        self.assertEqual(b"".join(found), octets)
        self.assertLessEqual(max(map(len, found), default=0), 1 << 16)

    def test_window_ends_in_a_match(self) -> None:
        """Output that is still owed when the input has been taken is asked for."""
        octets = bytes(range(256)) * 300
        for size in range(3 * 65_536 - 300, 3 * 65_536 + 300, 7):
            text = (octets * 3)[:size]
            stream = zlib.compressobj(9, zlib.DEFLATED, -15)
            made = size.to_bytes(4) + stream.compress(text) + stream.flush()
            inflater = deflate.Inflater(len(made) * 99, MANY)
            self.assertEqual(b"".join(inflater.feed(made)), text)
            inflater.finish()

    def test_bombs(self) -> None:
        """What expands to more than it may is refused before it is made."""
        bomb = packed(bytes(10_000_000))
        for size in (10_000_000, 32 * (len(bomb) - 4), 1000, 0):
            claimed = size.to_bytes(4) + bomb[4:]
            made = 0
            inflater = deflate.Inflater(len(claimed), MANY)
            with self.assertRaises(BadPayload) as caught:
                for piece in inflater.feed(claimed):
                    made += len(piece)
            self.assertLessEqual(made, size if size < 10_000_000 else 0)
            self.assertIn(caught.exception.problem, (Problem.SIZE, Problem.DEFLATE))

    def test_limit(self) -> None:
        """The reader's own limit counts as well."""
        made = packed(b"abcdefg" * 20)
        self.assertEqual(len(expanded(made, 140)), 140)
        error = self.assertRaises(BadPayload, expanded, made, 139)
        self.assertIs(error.problem, Problem.SIZE)

    def test_not_what_it_says(self) -> None:
        """Too short, too long, cut, followed by more, or no deflate at all."""
        made = packed(b"hello, hello, hello")
        for wrong in (
            b"",
            made[:3],
            made[:4],
            made[:-1],
            made + b"\0",
            b"\0\0\0\x12" + made[4:],
            b"\0\0\0\x14" + made[4:],
            made[:4] + b"\xff" * 10,
        ):
            self.assertRaises(BadPayload, expanded, wrong)
        self.assertRaises(BadPayload, list, deflate.inflate([made, b"x"], len(made) + 1, MANY))
