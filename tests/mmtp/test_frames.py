"""The frames to the octet, as doc/spec/mmtp.rst has them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.mmtp import frames
from mixminion.mmtp.errors import BadFrame, WrongVersion
from mixminion.mmtp.frames import Answer, Closing, Kind, Splitter
from mixminion.testing.cases import SyncTestCase


class HeaderTests(SyncTestCase):
    def test_octets(self) -> None:
        """Kind, three zeros, sequence."""
        self.assertEqual(frames.header(0x01020304), bytes.fromhex("01000000 01020304"))
        self.assertEqual(frames.header(7, padding=True), bytes.fromhex("02000000 00000007"))
        self.assertEqual(frames.parse_header(b"x" + frames.header(9), 1), (False, 9))
        self.assertEqual(frames.parse_header(frames.header(9, padding=True), 0), (True, 9))

    def test_everything_else(self) -> None:
        """Any other kind, and any octet that is to be zero and is not, is refused."""
        for first in ("00000000", "03000000", "01000001", "01010000", "02000100", "ff000000"):
            with self.assertRaises(BadFrame):
                frames.parse_header(bytes.fromhex(first + "00000001"), 0)


class AnswerTests(SyncTestCase):
    def test_octets(self) -> None:
        """Kind, reason, version, sequence, window, zeros."""
        octets = frames.answer(Kind.REFUSED, 1, 0x0A0B0C0D, 256)
        self.assertEqual(octets, bytes.fromhex("02 01 0002 0a0b0c0d 00000100 00000000"))
        self.assertEqual(frames.parse_answer(octets), Answer(Kind.REFUSED, 1, 0x0A0B0C0D, 256))
        self.assertEqual(frames.answer(Kind.CLOSING, Closing.BROKEN, 0, 1)[:2], b"\x03\x04")

    def test_everything_else(self) -> None:
        """Unknown kinds and zeros that are none are refused; another version is named."""
        good = frames.answer(Kind.RECEIVED, 0, 1, 256)
        for place in (0, 12, 15):
            bad = bytearray(good)
            bad[place] |= 4
            with self.assertRaises(BadFrame):
                frames.parse_answer(bytes(bad))
        with self.assertRaises(WrongVersion) as caught:
            frames.parse_answer(good[:3] + b"\x03" + good[4:])
        self.assertEqual(caught.exception.fields, {"version": 3})


class SplitterTests(SyncTestCase):
    @given(st.integers(1, 9), st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8))
    @settings(max_examples=200, deadline=None)
    def test_every_chunking(self, length: int, octets: bytes, cuts: list[int]) -> None:
        """However the octets are cut, the same frames come out, as early as they can."""
        splitter = Splitter(length)
        out = b""
        fed = 0
        edges = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
        for begin, end in pairwise(edges):
            joined, count = splitter.feed(octets[begin:end])
            out += joined[: count * length]
            fed += end - begin
            self.assertEqual(len(out), fed // length * length)
            self.assertEqual(splitter.partial, fed % length > 0)
        self.assertEqual(out, octets[: len(out)])

    def test_linear(self) -> None:
        """A frame of 32 KiB that comes octet by octet is joined once, not 32,768 times."""
        splitter = Splitter(32_776)
        for number in range(32_775):
            self.assertEqual(splitter.feed(bytes([number & 255]))[1], 0)
        self.assertEqual(len(splitter._pieces), 32_775)
        joined, count = splitter.feed(b"\xff" * 3)
        self.assertEqual((len(joined), count), (32_778, 1))
        self.assertEqual(splitter.feed(b"")[1], 0)
        self.assertTrue(splitter.partial)
