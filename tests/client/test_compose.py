import email
import email.policy

from hypothesis import given
from hypothesis import strategies as st

from mixminion.client.addresses import parse
from mixminion.client.compose import from_message, from_text
from mixminion.client.errors import BadSubject, NoHeader, NotText
from mixminion.mail.errors import NotAMessage
from mixminion.testing.cases import SyncTestCase

ALICE = parse("alice@example.org")


def read(content):
    return email.message_from_bytes(content, policy=email.policy.SMTP)


class FromTextTests(SyncTestCase):
    """Plain text becomes a mail that every mail program reads back."""

    def test_plain(self):
        """The exact octets of an ordinary mail."""
        self.assertEqual(
            from_text(ALICE, b"Hello\n.\nBob\n", "Hi there").content,
            b"To: alice@example.org\r\nSubject: Hi there\r\nMIME-Version: 1.0\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
            b"Hello\r\n.\r\nBob\r\n",
        )

    def test_accents(self):
        """UTF-8 with short lines travels as it is, 8bit; the subject in encoded words."""
        message = read(from_text(ALICE, "Grüße\n".encode(), "Füße " * 40).content)
        self.assertEqual(message["Content-Transfer-Encoding"], "8bit")
        self.assertEqual(message["Subject"].strip(), ("Füße " * 40).strip())
        self.assertEqual(message.get_payload(decode=True).decode(), "Grüße\r\n")

    def test_long_lines(self):
        """Lines over 998 octets are encoded, in whichever encoding is shorter."""
        for text, encoding in (("x" * 3000, "quoted-printable"), ("ж" * 3000, "base64")):
            message = read(from_text(ALICE, text.encode()).content)
            self.assertEqual(message["Content-Transfer-Encoding"], encoding)
            self.assertEqual(message.get_payload(decode=True).decode().strip(), text)
            self.assertLess(
                max(map(len, from_text(ALICE, text.encode()).content.split(b"\n"))), 999
            )

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200), st.booleans())
    def test_any_text(self, text, long):
        """Any text comes back, but for the ends of its lines."""
        body = (text + "x" * 1000 * long).encode()
        got = read(from_text(ALICE, body).content).get_payload(decode=True)
        wanted = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self.assertEqual(got.replace(b"\r\n", b"\n").rstrip(b"\n"), wanted.rstrip(b"\n"))

    @given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=100))
    def test_subject_stays_one_field(self, subject):
        """No subject makes a second field or ends the header."""
        try:
            content = from_text(ALICE, b"body", subject).content
        except BadSubject:
            return
        self.assertEqual(len(read(content).keys()), 5)
        self.assertTrue(content.endswith(b"\r\n\r\nbody\r\n"))

    def test_refused(self):
        """A line break in the subject, octets that are no text, a subject without mail."""
        self.assertRaises(BadSubject, from_text, ALICE, b"", "a\r\nBcc: bob@example.org")
        self.assertRaises(NotText, from_text, ALICE, b"\xff\xfe")
        self.assertRaises(NoHeader, from_text, parse("drop"), b"x", "subject")

    def test_other_exits(self):
        """An exit that takes no mail gets the octets as they are."""
        self.assertEqual(from_text(parse("drop"), b"a\n\xff").content, b"a\n\xff")


class FromMessageTests(SyncTestCase):
    """Whole messages lose what tells about their sender, and nothing else."""

    def test_fields(self):
        """Fields that pass stay, the others are named; the body keeps its octets."""
        composed = from_message(
            ALICE,
            b"From: bob@example.net\nTO: alice@example.org\nX-Mailer: bobmail\n and more\n"
            b"Subject: s\nContent-Type: text/plain\nX-Mailer: 2\nMessage-ID: <1@bob>\n\n.\n\nend\n",
        )
        self.assertEqual(
            composed.content,
            b"TO: alice@example.org\r\nSubject: s\r\nContent-Type: text/plain\r\n\r\n"
            b".\r\n\r\nend\r\n",
        )
        self.assertEqual(composed.left_out, ("From", "X-Mailer", "Message-ID"))

    def test_refused(self):
        """Text that is no message, and an exit that takes none."""
        self.assertRaises(NotAMessage, from_message, ALICE, b"Hello there\n\nBob")
        self.assertRaises(NoHeader, from_message, parse("drop"), b"To: x\n\n")
