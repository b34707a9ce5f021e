"""Fragments: the form, the layout, and messages that arrive when some are missing."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.payload import erasure, fragments
from mixminion.payload.errors import BadPayload, Problem
from mixminion.payload.fragments import Coding, Fragment, Whole
from mixminion.sphinx import geometry
from mixminion.testing.cases import SyncTestCase
from tests import vectors

NAME = bytes(range(16))
WHOLES = st.builds(
    Whole,
    st.just(NAME),
    st.sampled_from(Coding),
    st.integers(1, 2**32 - 1),
    st.integers(60_000, 1 << 17),
)


class FragmentTests(SyncTestCase):
    def test_octets(self) -> None:
        """The form of payload.rst, written out."""
        whole = Whole(NAME, Coding.DEFLATED, 0x12345, 256)
        octets = Fragment(whole, 3, 7, bytes(256)).encode()
        self.assertEqual(octets, NAME + b"\1\0\1\x23\x45\0\3\7" + bytes(256))
        self.assertEqual(Fragment.parse(octets), Fragment(whole, 3, 7, bytes(256)))

    def test_refusals(self) -> None:
        """Each check of payload.rst, in its order."""
        good = Fragment(Whole(NAME, Coding.PLAIN, 64 * 256 + 1, 256), 1, 255, bytes(256)).encode()
        Fragment.parse(good)
        table = {
            b"": Problem.SHORT,
            good[:-1]: Problem.SHORT,
            good[:16] + b"\4" + good[17:]: Problem.CODING,
            good[:17] + bytes(4) + good[21:]: Problem.BLOCK,
            good[:21] + b"\0\2" + good[23:]: Problem.BLOCK,
            good + bytes(300): Problem.BLOCK,
        }
        for octets, problem in table.items():
            error = self.assertRaises(BadPayload, Fragment.parse, octets)
            self.assertIs(error.problem, problem)

    @settings(max_examples=200, deadline=None)
    @given(WHOLES)
    def test_layout(self, whole: Whole) -> None:
        """Blocks follow one another, hold everything once, and differ by one piece at most."""
        sizes = [whole.data(block) for block in range(whole.blocks)]
        self.assertEqual(sum(sizes), whole.pieces)
        self.assertLessEqual(max(sizes), erasure.MOST_DATA)
        self.assertLessEqual(max(sizes) - min(sizes), 1)
        self.assertGreater(min(sizes), 0)
        at = 0
        for block in range(whole.blocks):
            self.assertEqual(whole.start(block), at)
            at += whole.length(block)
        self.assertEqual(at, whole.size)

    def test_largest(self) -> None:
        """The shortest pieces of the longest message: its blocks can all be named."""
        self.assertEqual(Whole(NAME, Coding.PLAIN, 2**32 - 1, 1024).blocks, 65_536)

    def test_redundancy(self) -> None:
        """25 MB take at most 1.45 times what they would without; a network's 40 packets carry
        746 kB."""
        piece = fragments.piece_length(geometry.default("xwing"))
        self.assertEqual(piece, 26_742)
        sent = fragments.number_of_packets(25_000_000, piece)
        self.assertEqual(sent, 1285)
        self.assertLess(sent / (25_000_000 / (piece + fragments.HEAD)), 1.45)
        self.assertEqual(fragments.number_of_packets(28 * piece, piece), 39)

    def test_attempts(self) -> None:
        """What is sent again of a message with a receipt is told apart by its coding's octet."""
        for coding in (Coding.RECEIPT, Coding.DEFLATED_RECEIPT):
            for attempt in range(fragments.ATTEMPTS):
                whole = Whole(NAME, coding, 300, 256, attempt)
                made = Fragment(whole, 0, 1, bytes(256)).encode()
                self.assertEqual(made[16], coding + 4 * attempt)
                self.assertEqual(Fragment.parse(made).whole, whole)
        for code in (4, 5, 8, 253):
            self.assertRaises(BadPayload, Whole.of, NAME, code, 300, 256)

    def test_without_repair(self) -> None:
        """No copies are the data pieces alone."""
        self.assertEqual(fragments.numbers(5, 0), [0, 1, 2, 3, 4])
        self.assertEqual(fragments.number_of_packets(1, 256, 0), 1)

    def test_copies(self) -> None:
        """More copies are more pieces, as long as there are other ones."""
        self.assertEqual(fragments.numbers(1, 2), [0, 1, 2, 3, 4, 5])
        self.assertEqual(fragments.numbers(64, 3)[256:], list(range(8)))

    def test_frozen(self) -> None:
        """A message in fragments as it was the first day, and put together from any of them."""
        for case in vectors.load("payload/fragments.json")["messages"]:
            coded = bytes.fromhex(case["coded"])
            whole = Whole(
                bytes.fromhex(case["id"]), Coding(case["coding"]), len(coded), case["piece"]
            )
            found = {}
            for each in case["fragments"]:
                fragment = Fragment.parse(bytes.fromhex(each))
                self.assertEqual(fragment.whole, whole)
                found[fragment.block, fragment.index] = fragment.octets
            made = b""
            for block in range(whole.blocks):
                k = whole.data(block)
                last = {n: octets for (at, n), octets in found.items() if at == block}
                last = dict(sorted(last.items())[-k:])
                pieces = {**last, **erasure.recover(k, last)}
                made += b"".join(pieces[n] for n in range(k))[: whole.length(block)]
            self.assertEqual(made, coded)
