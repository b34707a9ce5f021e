"""What is added to mails leaves every octet that was there; footers and reply blocks have more."""

from __future__ import annotations

from mixminion.mail import adding, mime
from mixminion.mail.fields import Field
from mixminion.testing.cases import SyncTestCase

PART = [Field("Content-Type", "text/plain; charset=us-ascii")], b"more\r\n"


def mixed(boundary: str) -> list[Field]:
    return [Field("Content-Type", f'multipart/mixed; boundary="{boundary}"')]


class OneMoreTests(SyncTestCase):
    def test_last(self) -> None:
        """The part stands last, before the closing delimiter and whatever is below that."""
        body = b"above\r\n--b\r\n\r\none\r\n--b--\r\nbelow\r\n"
        made = adding.one_more(mixed("b"), body, PART)
        self.assertEqual(
            made,
            b"above\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
            b"more\r\n--b--\r\nbelow\r\n",
        )

    def test_inner(self) -> None:
        """A multipart in it whose boundary begins in the same way is passed over."""
        inner = b'Content-Type: multipart/mixed; boundary="bb"\r\n\r\n--bb\r\n\r\nx\r\n--bb--\r\n'
        body = b"--b\r\n" + inner + b"\r\n--b--\r\n"
        made = adding.one_more(mixed("b"), body, PART)
        assert made is not None
        self.assertIn(inner, made)
        [first, second] = mime.walk(mixed("b"), made).children
        self.assertEqual(first.content_type.type, "multipart/mixed")
        self.assertEqual(made[second.start : second.stop], b"more")

    def test_not(self) -> None:
        """Without an end, of another kind, signed, or without parts it is left to others."""
        signed = [Field("Content-Type", 'multipart/signed; boundary="b"')]
        other = [Field("Content-Type", 'multipart/alternative; boundary="b"')]
        body = b"--b\r\n\r\none\r\n--b--\r\n"
        self.assertIsNone(adding.one_more(mixed("b"), b"--b\r\n\r\none\r\n", PART))
        self.assertIsNone(adding.one_more(mixed("c"), body, PART))
        self.assertIsNone(adding.one_more(signed, body, PART))
        self.assertIsNone(adding.one_more(other, body, PART))
        self.assertIsNone(adding.one_more([], body, PART))


class BelowTests(SyncTestCase):
    def test_encodings(self) -> None:
        """In the text's own transfer encoding."""
        for encoding, body, made in (
            ("7bit", b"one\r\n", b"one\r\nmore\r\n"),
            ("quoted-printable", b"one=\r\n", b"one=\r\n\r\nmore\r\n"),
            ("base64", b"b25l\r\n", b"b25lDQptb3JlDQo=\r\n"),
        ):
            header = [Field("Content-Transfer-Encoding", encoding)]
            self.assertEqual(adding.below(header, body, b"more\r\n"), made)

    def test_not(self) -> None:
        """Not in other charsets, in pages, in attachments, or what cannot be decoded."""
        for name, value in (
            ("Content-Type", "text/plain; charset=utf-16"),
            ("Content-Type", "text/html"),
            ("Content-Disposition", "attachment"),
            ("Content-Transfer-Encoding", "x-uuencode"),
        ):
            self.assertIsNone(adding.below([Field(name, value)], b"one\r\n", b"more\r\n"), value)


class BesideTests(SyncTestCase):
    def test_boundary(self) -> None:
        """A boundary that is in the mail already is lengthened, and the mail stays as it was."""
        body = b"one --b two\r\n"
        header, made = adding.beside([Field("Subject", "x")], body, PART, "b")
        self.assertEqual(header[-1].value, 'multipart/mixed; boundary="b_"')
        self.assertIn(b"--b_\r\n\r\n" + body, made)
        self.assertEqual([each.name for each in header], ["Subject", "Content-Type"])
