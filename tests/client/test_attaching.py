"""Reply blocks in messages of every shape: found again, and nothing else changed."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from typing import Any

from mixminion.client import attaching, blocks_text, compose
from mixminion.client.identity_errors import SignedMail
from mixminion.client.recipients import gather
from mixminion.testing.cases import SyncTestCase
from tests.client.test_blocks_text import BLOCKS, found

ARMORED = blocks_text.encode(BLOCKS)
ALICE = gather(["alice@example.org"])


def composed(message: bytes) -> bytes:
    """What an exit gets of a whole mail with blocks."""
    return compose.compose_for(ALICE, message, whole=True, blocks=ARMORED).content


def read(octets: bytes) -> Any:
    return email.message_from_bytes(octets, policy=email.policy.SMTP)


class TextTests(SyncTestCase):
    def test_plain(self) -> None:
        """Below the text, which stays as it was."""
        for text in ("Hello", "Hello\n", "Grüße\n", "a" * 2000, ""):
            made = compose.compose_for(ALICE, text.encode(), "Hi", blocks=ARMORED).content
            self.assertEqual(found(made), [0, 1], text)
            body = read(made).get_payload(decode=True).decode().replace("\r\n", "\n")
            end = "" if not text or text.endswith("\n") else "\n"
            self.assertEqual(body, text + end + ARMORED)

    def test_octets(self) -> None:
        """What is no mail, a mailbox's say, has them behind whatever it is."""
        for content in (b"Hello\n", bytes(range(256)), b""):
            made = attaching.to_octets(content, ARMORED)
            self.assertTrue(made.startswith(content))
            self.assertEqual(found(made), [0, 1])


class MailTests(SyncTestCase):
    def test_text_alone(self) -> None:
        """A mail of plain text, in each transfer encoding: below the text."""
        for cte in ("7bit", "quoted-printable", "base64", "8bit"):
            message = EmailMessage(policy=email.policy.SMTP)
            message.set_content("Hello\n" if cte == "7bit" else "Grüße =\n", cte=cte)
            made = composed(message.as_bytes())
            self.assertEqual(found(made), [0, 1], cte)
            parsed = read(made)
            self.assertEqual(parsed.get_content_type(), "text/plain", cte)
            text = parsed.get_content().replace("\r\n", "\n")
            self.assertEqual(text, message.get_content().replace("\r\n", "\n") + ARMORED)

    def test_mixed(self) -> None:
        """A mail with attachments: one part more, all others to the octet as they were."""
        message = EmailMessage(policy=email.policy.SMTP)
        message.set_content("Hello\n")
        message.add_attachment(b"\0\1", maintype="application", subtype="octet-stream")
        before = message.as_bytes().partition(b"\r\n\r\n")[2]
        made = composed(message.as_bytes())
        self.assertEqual(found(made), [0, 1])
        parts = list(read(made).iter_parts())
        self.assertEqual(
            [each.get_content_type() for each in parts][1:],
            ["application/octet-stream", "text/plain"],
        )
        self.assertEqual(parts[-1].get_filename(), attaching.FILENAME)
        end = before.rindex(b"\r\n--")
        self.assertTrue(made.partition(b"\r\n\r\n")[2].startswith(before[:end]))

    def test_others(self) -> None:
        """Alternatives, pages, unknown charsets and pictures become the first of two parts."""
        alternative = EmailMessage(policy=email.policy.SMTP)
        alternative.set_content("Hello\n")
        alternative.add_alternative("<p>Hello</p>", subtype="html")
        page = EmailMessage(policy=email.policy.SMTP)
        page.set_content("<p>Hello</p>", subtype="html")
        for message in (
            alternative.as_bytes(),
            page.as_bytes(),
            b"Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            b"SABpAA==\r\n",
            b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nSABpAA==\r\n",
        ):
            made = composed(message)
            self.assertEqual(found(made), [0, 1], message[:60])
            [first, second] = read(made).iter_parts()
            self.assertEqual(first.get_content_type(), read(message).get_content_type())
            self.assertEqual(second.get_content_type(), "text/plain")
            self.assertIn(message.partition(b"\r\n\r\n")[2], made)

    def test_signed_inside(self) -> None:
        """A part that is signed stays as it is; the blocks stand beside it."""
        signed = (
            b'Content-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\n\r\nHello\r\n--s\r\n'
            b"Content-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n"
        )
        message = b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\n' + signed
        made = composed(message + b"\r\n--m--\r\n")
        self.assertIn(signed, made)
        self.assertEqual(found(made), [0, 1])

    def test_signed(self) -> None:
        """A mail that is signed or encrypted as a whole is refused."""
        for kind in (
            b'multipart/signed; boundary="s"; protocol="application/pgp-signature"',
            b'multipart/encrypted; boundary="s"',
            b"application/pkcs7-mime; smime-type=signed-data",
        ):
            message = b"Content-Type: " + kind + b"\n\n--s\n\nHello\n--s--\n"
            self.assertRaises(SignedMail, composed, message)
            compose.compose_for(ALICE, message, whole=True)

    def test_no_header(self) -> None:
        """A mail of which no field is about its text."""
        made = composed(b"From - Sat\nSubject: hello\nFrom: me@example.org\n\nHello\n")
        self.assertEqual(found(made), [0, 1])
        self.assertTrue(made.startswith(b"Subject: hello\r\n\r\nHello\r\n-----BEGIN MIX"))

    def test_twice(self) -> None:
        """A boundary that is in the mail already is not taken again."""
        page = EmailMessage(policy=email.policy.SMTP)
        page.set_content("<p>Hello</p>", subtype="html")
        self.assertEqual(found(composed(composed(page.as_bytes()))), [0, 1])
