"""The whole-message encoding for DATA: nothing a sender writes may end it early."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.mail import data
from mixminion.testing.cases import SyncTestCase

LINES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"..", b"x", b""]), max_size=40)


def as_server(octets: bytes) -> tuple[bytes, bytes]:
    """What a server reads of *octets* and its end line: the message, and what is left over."""
    head, _, rest = (b"\r\n" + octets + b".\r\n").partition(b"\r\n.\r\n")
    message = (head + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]
    return message, rest


@contextmanager
def in_steps_of(step: int) -> Iterator[None]:
    """Steps of so many octets."""
    usual, data._STEP = data._STEP, step
    try:
        yield
    finally:
        data._STEP = usual


class DataTests(SyncTestCase):
    @settings(max_examples=300, deadline=None)
    @given(LINES)
    def test_any_lines(self, parts: list[bytes]) -> None:
        """A server reads back the canonical message, whole, and nothing is left over."""
        message = b"".join(parts)
        encoded = data.encode(message)
        self.assertEqual(as_server(encoded), (data.canonical(message), b""))
        self.assertEqual(data.decode(encoded), data.canonical(message))

    @settings(max_examples=300, deadline=None)
    @given(LINES, st.integers(0, 9), st.integers(1, 9))
    def test_steps(self, parts: list[bytes], start: int, step: int) -> None:
        """Done in steps, and from anywhere but the middle of a line end, it is what it is whole."""
        octets = b"".join(parts)
        if octets[start - 1 : start + 1] == b"\r\n":
            start += 1
        whole = octets[start:].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        whole = (whole + b"\n" if whole and whole[-1:] != b"\n" else whole).replace(b"\n", b"\r\n")
        with in_steps_of(step):
            self.assertEqual(data.canonical(octets, start), whole)

    @settings(max_examples=200, deadline=None)
    @given(LINES)
    def test_canonical(self, parts: list[bytes]) -> None:
        """Every line ends in CRLF, no other CR or LF is left; twice is as good as once."""
        once = data.canonical(b"".join(parts))
        self.assertNotIn(b"\r", once.replace(b"\r\n", b""))
        self.assertNotIn(b"\n", once.replace(b"\r\n", b""))
        self.assertTrue(not once or once.endswith(b"\r\n"))
        self.assertEqual(data.canonical(once), once)

    def test_chunk_borders(self) -> None:
        """A lone dot at offsets -3..+3 round every multiple of 16,384 up to 2 MB ends nothing."""
        for end in (b"\n", b"\r\n", b"\r"):
            for shift in range(-3, 4):
                message = bytearray(random.Random(shift).randbytes(1).hex().encode() * (1 << 20))
                for border in range(16384, len(message) - 16, 16384):
                    at = border + shift
                    dot = end + b"." + end + b"MAIL FROM:<x@y.test>" + end
                    message[at : at + len(dot)] = dot
                octets = data.encode(bytes(message))
                self.assertEqual(as_server(octets), (data.canonical(bytes(message)), b""))

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.sampled_from([0, 1, 76, 400, 997, 998, 999, 1000, 3000]), max_size=8),
        st.booleans(),
    )
    def test_has_long_line(self, lengths: list[int], ended: bool) -> None:
        """998 octets are not too many, 999 are, wherever the line is, with its end or without."""
        message = b"\r\n".join(b"x" * length for length in lengths) + b"\r\n" * ended
        self.assertEqual(data.has_long_line(message), max(lengths, default=0) > 998)

    def test_no_copy(self) -> None:
        """What is canonical already stays the same object."""
        message = data.canonical(b"a\nb\rc")
        self.assertIs(data.canonical(message), message)
