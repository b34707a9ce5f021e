"""Frames: they fill their place, and nothing that is none is read as one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto.rng import SeededRandom
from mixminion.payload import frame
from mixminion.payload.errors import BadPayload, Problem
from mixminion.payload.frame import Kind
from mixminion.testing.cases import SyncTestCase


class FrameTests(SyncTestCase):
    def setUp(self) -> None:
        self.random = SeededRandom(b"frames")

    def test_octets(self) -> None:
        """The header of payload.rst, written out; the rest is random."""
        a, b = (frame.encode(Kind.MESSAGE, b"abc", 40, self.random) for _ in range(2))
        self.assertEqual((len(a), a[:11]), (40, b"\1\1\0\0\0\0\0\3abc"))
        self.assertEqual([kind.value for kind in Kind], [1, 2, 3, 4, 5, 6])
        self.assertNotEqual(a[11:], b[11:])

    @settings(max_examples=100, deadline=None)
    @given(kind=st.sampled_from(Kind), content=st.binary(max_size=50), fill=st.integers(0, 50))
    def test_round_trip(self, kind: Kind, content: bytes, fill: int) -> None:
        """Kind and content come back, from none to all of the place."""
        octets = frame.encode(kind, content, 8 + len(content) + fill, self.random)
        self.assertEqual(frame.parse(octets), frame.Frame(kind, content))

    def test_too_long(self) -> None:
        """Content that does not fit is the caller's mistake."""
        self.assertRaises(ValueError, frame.encode, Kind.COVER, bytes(33), 40, self.random)

    def test_refusals(self) -> None:
        """Each check of payload.rst, in its order."""
        table = {
            "": Problem.SHORT,
            "01010000000000": Problem.SHORT,
            "02090001ffffffff": Problem.VERSION,
            "00010000 00000000": Problem.VERSION,
            "01000001ffffffff": Problem.KIND,
            "01070000 00000000": Problem.KIND,
            "01010001ffffffff": Problem.ZEROS,
            "01010100 00000000": Problem.ZEROS,
            "01010000 00000001": Problem.LENGTH,
            "01010000 ffffffff 00": Problem.LENGTH,
        }
        for octets, problem in table.items():
            error = self.assertRaises(BadPayload, frame.parse, bytes.fromhex(octets))
            self.assertIs(error.problem, problem, octets)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=40))
    def test_arbitrary_octets(self, octets: bytes) -> None:
        """Arbitrary octets, with and without a true beginning, are a frame or BadPayload."""
        for whole in (octets, b"\1\1\0\0\0\0\0" + octets):
            try:
                found = frame.parse(whole)
            except BadPayload:
                continue
            self.assertLessEqual(len(found.content), len(whole) - 8)
