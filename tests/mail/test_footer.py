"""Footers: below a text where that is safe, beside everything else."""

from __future__ import annotations

import base64
import email
import email.policy
from email.message import Message

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.mail import fields, footer, transfer
from mixminion.mail.fields import Field
from mixminion.testing.cases import SyncTestCase

TEXT = "Sent by a remailer.\nAsk abuse@mix.test."
LINES = b"-- \r\nSent by a remailer.\r\nAsk abuse@mix.test.\r\n"
UTF8 = b"Content-Type: text/plain; charset=utf-8\n"
QUOTED = b"Content-Transfer-Encoding: quoted-printable\n"
BASE64 = b"Content-Transfer-Encoding: base64\n"


def add(message: bytes, text: str = TEXT) -> bytes:
    return fields.join(*footer.add(*fields.split(message), text, "=_b"))


def read(message: bytes) -> Message:
    return email.message_from_bytes(message, policy=email.policy.compat32)


def decoded(part: Message) -> bytes:
    octets = part.get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets


class BelowTests(SyncTestCase):
    """A text of its own gets lines more."""

    def test_plain(self) -> None:
        """The lines follow the text; nothing before them changes."""
        for head in (b"", b"Subject: x\n", UTF8, b"Content-Type: text/plain; charset=KOI8-R\n"):
            whole = add(head + b"\nHello\xff\n\nAlice")
            self.assertTrue(whole.endswith(b"\r\nHello\xff\r\n\r\nAlice\r\n" + LINES))
            self.assertEqual(
                whole[: -len(LINES)], fields.join(*fields.split(head + b"\nHello\xff\n\nAlice"))
            )

    def test_encoded(self) -> None:
        """In a text's own transfer encoding, behind a line end."""
        for text in (b"", b"Hello", b"Hello\r\n", "Grüße ".encode() * 50):
            encoded = base64.encodebytes(text)
            quoted = text.replace(b"\r\n", b"\n").replace(b" ", b"=20").replace(b"\xc3", b"=C3")
            for head, body in ((BASE64, encoded), (QUOTED, quoted.replace(b"\n", b"=0D=0A=\n"))):
                message = UTF8 + head + b"\n" + body
                before = decoded(read(fields.join(*fields.split(message))))
                after = decoded(read(add(message)))
                end = b"" if not before or before.endswith(b"\n") else b"\r\n"
                if head == QUOTED and body.endswith(b"=\n"):
                    end = b"\r\n"  # its soft line break is one now
                self.assertEqual(after, before + end + LINES)

    def test_other_words(self) -> None:
        """A footer beyond ASCII goes below UTF-8 that says so, and beside everything else."""
        for head, below in (
            (UTF8 + b"Content-Transfer-Encoding: 8bit\n", True),
            (UTF8 + QUOTED, True),
            (UTF8 + BASE64, True),
            (UTF8, False),
            (b"Content-Type: text/plain; charset=iso-8859-1\n" + QUOTED, False),
        ):
            made = read(add(head + b"\n\n", "Ärger? abuse@mix.test"))
            self.assertEqual(made.is_multipart(), not below)
            last = list(made.walk())[-1]
            shown = decoded(last).decode(str(last.get_content_charset()))
            self.assertTrue(shown.endswith("Ärger? abuse@mix.test\r\n"))


class BesideTests(SyncTestCase):
    """Anything else becomes a part as it is."""

    def test_exact(self) -> None:
        """The whole of it, octet for octet."""
        message = (
            b"Subject: s\nContent-ID: <a>\nContent-Type: text/html\nMIME-Version: 1.0\n\n<p>Hi"
        )
        self.assertEqual(
            add(message),
            b"Subject: s\r\nMIME-Version: 1.0\r\n"
            b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n'
            b"--=_b\r\nContent-Type: text/html\r\nContent-ID: <a>\r\n\r\n<p>Hi\r\n\r\n"
            b"--=_b\r\nContent-Type: text/plain; charset=us-ascii\r\n"
            b"Content-Transfer-Encoding: 7bit\r\nContent-Disposition: inline\r\n\r\n"
            b"Sent by a remailer.\r\nAsk abuse@mix.test.\r\n\r\n--=_b--\r\n",
        )

    def test_when(self) -> None:
        """Signed, sealed, of several parts, of another kind or not to be read."""
        armor = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nHi\n"
        for message in (
            b"\n" + armor,
            b"\nHello,\n" + armor,
            BASE64 + b"\n" + base64.encodebytes(armor),
            QUOTED + b"\n" + armor.replace(b"-----", b"=2D----"),
            b"\n-----BEGIN MIXMINION REPLY-----\n",
            b"Content-Type: multipart/signed; boundary=c\n\n--c\n\nx\n--c--\n",
            b"Content-Type: multipart/alternative; boundary=c\n\n--c\n\nx\n--c--\n",
            b"Content-Type: application/pkcs7-mime\n" + BASE64 + b"\nAAAA\n",
            b"Content-Type: text/plain; charset=utf-16be\n\n\0x\n",
            b"Content-Type: text/plain; charset=iso-2022-jp\n\nx\n",
            b"Content-Type: text/plain\nContent-Disposition: attachment\n\nx\n",
            b"Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\n\nx\n",
            BASE64 + b"\n!\n",
            b"Content-Type: text\n\nx\n",
        ):
            with self.subTest(message=message):
                _, body = fields.split(message)
                made = add(message)
                self.assertIn(b"\r\n\r\n" + body + b"\r\n--=_b\r\n", made)
                self.assertNotIn(b"-- \r\n", made)
                self.assertEqual(read(made).get_content_type(), "multipart/mixed")
                self.assertEqual(len(read(made).get_payload()), 2)

    def test_boundary(self) -> None:
        """It is not in the message, whatever the message says."""
        made = add(b"Content-Type: text/html\n\n--=_b\n--=_b_--\n")
        self.assertIn(b'boundary="=_b__"', made)
        self.assertEqual(len(read(made).get_payload()), 2)

    def test_labels(self) -> None:
        """What has 8 bits in it says so, until it is re-encoded for a server that takes 7."""
        made = footer.add(*fields.split(b"Content-Type: text/html\n\n\xc3\xa4\n"), TEXT, "=_b")
        self.assertIn(Field("Content-Transfer-Encoding", "8bit"), made[0])
        header, body = transfer.fit(*made, seven_bit=True)
        self.assertIn(Field("Content-Transfer-Encoding", "7bit"), header)
        self.assertTrue(body.isascii())

    @settings(max_examples=200, deadline=None)
    @given(
        st.sampled_from([b"text/plain", b"text/html", b"multipart/mixed; boundary=b", b"x"]),
        st.lists(st.sampled_from([b"--b", b"\r\n", b"\r\n\r\n", b"--", b"-----BEGIN ", b"x="])),
    )
    def test_whole(self, kind: bytes, pieces: list[bytes]) -> None:
        """Whatever the message: it is there whole, before the footer."""
        message = b"Content-Type: " + kind + b"\r\n\r\n" + b"".join(pieces)
        _, body = fields.split(message)
        before, found, _ = add(message).rpartition(b"Sent by a remailer.")
        self.assertTrue(found)
        self.assertIn(b"\r\n\r\n" + body, before)


class TextTests(SyncTestCase):
    def test_what_can_be_one(self) -> None:
        """A few short printable lines."""
        for text in ("x", "x" * 78, "\n".join("x" * 20), "Grüße"):
            self.assertTrue(footer.is_footer(text))
        for text in ("", " ", "x" * 79, "\n".join("x" * 21), "a\0b", "a\r\nb"):
            self.assertFalse(footer.is_footer(text))
