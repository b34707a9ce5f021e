"""Header fields: read strictly, written in one form."""

import contextlib
import email
import email.policy

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.mail import fields
from mixminion.mail.data import canonical
from mixminion.mail.errors import BadField, NotAMessage
from mixminion.mail.fields import Field
from mixminion.testing.cases import SyncTestCase


class SplitTests(SyncTestCase):
    def test_fields_and_body(self) -> None:
        """Folded values are unfolded, the body is canonical, any line end will do."""
        for end in (b"\n", b"\r\n", b"\r"):
            content = b"To : a@x.org\nSubject: one\n two\n\t three \n\n.\nbody".replace(b"\n", end)
            found, body = fields.split(content)
            self.assertEqual(found, [Field("To", "a@x.org"), Field("Subject", "one two\t three")])
            self.assertEqual(body, b".\r\nbody\r\n")

    def test_no_fields(self) -> None:
        """An empty header is a header; the body may look like anything."""
        self.assertEqual(fields.split(b"\nTo: x\n\ny"), ([], b"To: x\r\n\r\ny\r\n"))

    def test_not_a_message(self) -> None:
        """Nothing is guessed: a text without header and empty line is refused."""
        for content in (
            b"", b"hello", b"hello\n\nworld", b"To: x\n", b" To: x\n\nbody",
            b"To: x\nnonsense\n\nbody", b": x\n\nbody", b"T o: x\n\nbody", b"T\0: x\n\n",
            b"\xc3\xa4: x\n\n", b"A: b\n" * 201 + b"\n",
        ):  # fmt: skip
            with self.subTest(content=content), self.assertRaises(NotAMessage):
                fields.split(content)

    def test_large_header(self) -> None:
        """A header has its limit, and what is folded into many lines takes no longer for it."""
        lines = fields.MOST_HEADER // 4 - 3
        [only], _ = fields.split(b"A: b" + b"\r\n b" * lines + b"\r\n\r\n")
        self.assertEqual(len(only.value), 1 + 2 * lines)
        with self.assertRaises(NotAMessage):
            fields.split(b"A: b" + b"\r\n b" * (lines + 9) + b"\r\n\r\n")

    def test_bad_values(self) -> None:
        """NUL, other controls and raw 8-bit octets in a value are refused."""
        for value in (b"a\0b", b"a\x1bb", b"\xc3\xa4", b"a\x7fb", b"a\x0bb"):
            with self.assertRaises(BadField):
                fields.split(b"Subject: " + value + b"\n\nbody")

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=200))
    def test_any_octets(self, content: bytes) -> None:
        """Whatever comes in, only the two errors of the room come out."""
        with contextlib.suppress(NotAMessage, BadField):
            fields.split(content)


class ReadTests(SyncTestCase):
    @settings(max_examples=500, deadline=None)
    @given(
        st.lists(
            st.sampled_from([b"A: b", b"c", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n"]),
            max_size=12,
        ).map(b"".join)
    )
    def test_as_canonical(self, content: bytes) -> None:
        """Header and body are those of the canonical message, whatever ends its lines."""
        message = canonical(content)
        head, empty_line, body = (b"\r\n" + message).partition(b"\r\n\r\n")
        try:
            written, found = fields.read(content)
        except NotAMessage:
            self.assertTrue(not empty_line or b"c" in head)
            return
        self.assertEqual(found, body)
        self.assertEqual(len(written), len(list(filter(None, head.split(b"\r\n")))))


class FieldTests(SyncTestCase):
    def test_injection(self) -> None:
        """No line end gets into a field, by name or by value."""
        for name, value in (
            ("Subject", "a\r\nBcc: b@x.org"), ("Subject", "a\nb"), ("Subject", "a\rb"),
            ("Subject", "a\0b"), ("Sub\r\nject", "a"), ("A:", "b"), ("A b", "c"), ("", "x"),
            ("Subject", "a\u2028b"), ("Subject", "a\x85b"),
        ):  # fmt: skip
            with self.subTest(value=value), self.assertRaises(BadField):
                Field(name, value)

    def test_folding(self) -> None:
        """Long values are folded at their own blanks, and the standard library unfolds them."""
        value = " ".join(f"word{n}" for n in range(100))
        octets = Field("Subject", value).encode()
        self.assertLessEqual(max(map(len, octets.split(b"\r\n"))), 76)
        parsed = email.message_from_bytes(octets + b"\r\n", policy=email.policy.default)
        self.assertEqual(parsed["Subject"], value)

    def test_too_long(self) -> None:
        """A word that makes a line over 998 octets cannot be folded and is refused."""
        self.assertEqual(len(Field("Subject", "x" * 989).encode()), 1000)
        with self.assertRaises(BadField):
            Field("Subject", "x" * 990).encode()

    @settings(max_examples=200, deadline=None)
    @given(st.text(st.sampled_from("ab \t=?"), max_size=300))
    def test_round_trip(self, text: str) -> None:
        """What is written is read back the same, never with a line of blanks alone."""
        field = Field("Subject", text.strip(" \t"))
        octets = field.encode()
        self.assertEqual(fields.split(octets + b"\r\n"), ([field], b""))
        self.assertTrue(all(line.strip() for line in octets.split(b"\r\n")[:-1]))
