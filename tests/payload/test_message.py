"""Messages: exit, recipients and content, within what a packet carries."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto.rng import SeededRandom
from mixminion.errors import render
from mixminion.payload import frame, message
from mixminion.payload.errors import BadPayload, Problem, TooLarge
from mixminion.sphinx import geometry
from mixminion.testing.cases import SyncTestCase

NAMES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)
RECIPIENTS = st.lists(
    st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=40), max_size=5
)


class MessageTests(SyncTestCase):
    def test_octets(self) -> None:
        """The form of payload.rst, written out."""
        octets = message.encode("smtp", ["a@b", "\u00fc"], b"text")
        self.assertEqual(octets, b"\4smtp\2\0\3a@b\0\2\xc3\xbctext")

    @settings(max_examples=100, deadline=None)
    @given(exit=NAMES, recipients=RECIPIENTS, content=st.binary(max_size=50))
    def test_round_trip(self, exit: str, recipients: list[str], content: bytes) -> None:
        """What was encoded is parsed, none and several recipients, empty content too."""
        octets = message.encode(exit, recipients, content)
        self.assertEqual(message.parse(octets), (exit, tuple(recipients), content))

    def test_impossible(self) -> None:
        """Names that an exit would drop are not encoded."""
        for exit, recipients in (
            ("", []),
            ("a b", []),
            ("x" * 256, []),
            ("\u00fc", []),
            ("x", [""]),
            ("x", ["a\rb"]),
            ("x", ["a\0"]),
            ("x", ["a" * 65536]),
            ("x", ["a"] * 256),
        ):
            self.assertRaises(ValueError, message.encode, exit, recipients, b"")

    def test_refusals(self) -> None:
        """Each check of payload.rst, in the order of the octets."""
        table = {
            b"": Problem.SHORT,
            b"\2x": Problem.SHORT,
            b"\0\0": Problem.EXIT,
            b"\1 ": Problem.EXIT,
            b"\1\x7f\0": Problem.EXIT,
            b"\1x": Problem.SHORT,
            b"\1x\1": Problem.SHORT,
            b"\1x\1\0": Problem.SHORT,
            b"\1x\1\0\2a": Problem.SHORT,
            b"\1x\1\0\0": Problem.RECIPIENT,
            b"\1x\1\0\1\n": Problem.RECIPIENT,
            b"\1x\1\0\1\xff": Problem.RECIPIENT,
            b"\1x\1\0\3\xed\xa0\x80": Problem.RECIPIENT,
            b"\1x\2\0\1a": Problem.SHORT,
        }
        for octets, problem in table.items():
            error = self.assertRaises(BadPayload, message.parse, octets)
            self.assertIs(error.problem, problem, octets)

    @settings(max_examples=200, deadline=None)
    @given(st.binary(max_size=40))
    def test_arbitrary_octets(self, octets: bytes) -> None:
        """Arbitrary octets are a message that encodes to the same octets, or BadPayload."""
        for whole in (octets, b"\1x\1\0\2" + octets):
            try:
                parsed = message.parse(whole)
            except BadPayload:
                continue
            self.assertEqual(message.encode(*parsed), whole)

    def test_capacity(self) -> None:
        """A message may fill a packet to the last octet; one more is refused with both sizes."""
        g, random = geometry.default(), SeededRandom(b"message")
        to = "smtp", ["someone@example.org"]
        limit = message.capacity(g, *to)
        self.assertEqual(limit, 26774 - 8 - (1 + 4 + 1 + 2 + 19))
        body = message.to_body(g, *to, b"x" * limit, random)
        self.assertEqual(len(body), g.body)
        found = frame.parse(body)
        self.assertIs(found.kind, frame.Kind.MESSAGE)
        self.assertEqual(message.parse(found.content)[2], b"x" * limit)
        error = self.assertRaises(TooLarge, message.to_body, g, *to, b"x" * (limit + 1), random)
        self.assertEqual(error.fields, {"size": limit + 1, "limit": limit})
        self.assertIn(f"has {limit + 1} octets; one packet carries {limit} ", render(error))

    def test_too_many_recipients(self) -> None:
        """Recipients alone can be too much; then nothing fits."""
        g = geometry.default()
        recipients = ["a" * 1000] * 27
        self.assertLess(message.capacity(g, "smtp", recipients), 0)
        error = self.assertRaises(
            TooLarge, message.to_body, g, "smtp", recipients, b"", SeededRandom(b"")
        )
        self.assertEqual(error.fields, {"size": 0, "limit": 0})
