import email
import email.policy

from hypothesis import given
from hypothesis import strategies as st

from mixminion.client.addresses import Address, parse
from mixminion.client.compose import Shown, from_message, from_text
from mixminion.client.errors import BadName, BadSubject, NoHeader, NotText
from mixminion.mail.errors import (
    BadAddress,
    BadField,
    LineTooLong,
    NotAMessage,
    RefusedField,
    RepeatedField,
)
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

    def test_recipients(self):
        """Several recipients are shown only where they are meant to be."""
        several = Address("smtp", ("alice@example.org", "eve@example.org"), mail=True)
        self.assertTrue(from_text(several, b"x").content.startswith(b"MIME-Version"))
        made = read(from_text(several, b"x", to=["a@x.org", "b@x.org"], cc=["c@x.org"]).content)
        self.assertEqual((made["To"], made["Cc"]), ("a@x.org, b@x.org", "c@x.org"))
        self.assertRaises(NoHeader, from_text, parse("drop"), b"x", cc=["c@x.org"])

    def test_shown(self):
        """A name and an address for answers are said when asked for, and never another address."""
        made = read(from_text(ALICE, b"x", shown=Shown("Jörg", "joerg@example.org")).content)
        self.assertEqual(made["From"], "Jörg <anonymous@mixminion.invalid>")
        self.assertEqual(made["Reply-To"], "joerg@example.org")
        for name in ("a@b.org", "a\r\nBcc: b", "x" * 65, "a <b>"):
            self.assertRaises(BadName, from_text, ALICE, b"", shown=Shown(name))
        self.assertRaises(BadAddress, from_text, ALICE, b"", shown=Shown(reply_to="nobody"))
        self.assertRaises(NoHeader, from_text, parse("drop"), b"", shown=Shown("a"))

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

    def test_who_wrote(self):
        """From and Reply-To of a mail program stay here; what is asked for leaves."""
        content = b"From: Bob <bob@x.net>\nReply-To: bob@x.net\nSubject: s\n\nhi\n"
        made = from_message(ALICE, content)
        self.assertEqual(made.content, b"Subject: s\r\n\r\nhi\r\n")
        self.assertEqual(made.left_out, ("From", "Reply-To"))
        made = from_message(ALICE, content, shown=Shown("B.", "b@y.net"))
        self.assertEqual(
            made.content,
            b'From: "B." <anonymous@mixminion.invalid>\r\nReply-To: b@y.net\r\n'
            b"Subject: s\r\n\r\nhi\r\n",
        )

    def test_forms(self):
        """Fields of threads pass, in one form; a line From above the header is no field."""
        composed = from_message(
            ALICE,
            b"From bob Mon Jan  1 00:00:00 2001\nReferences: <a@x>\n\t<b@x>\nIn-Reply-To: <b@x>\n"
            b"Bcc: eve@x.net\nMime-Version: 1.0 (Apple)\nNewsgroups: a.b\n\nhi",
        )
        self.assertEqual(
            composed.content,
            b"References: <a@x> <b@x>\r\nIn-Reply-To: <b@x>\r\nMime-Version: 1.0\r\n"
            b"Newsgroups: a.b\r\n\r\nhi\r\n",
        )
        self.assertEqual(composed.left_out, ("Bcc",))

    def test_utf8(self):
        """A header in raw UTF-8 is put into RFC 2047 and 2231; one in another charset is not
        guessed at, nor an address that is not ASCII."""
        composed = from_message(
            ALICE,
            'Subject: Füße\nTo: "Müller, B." <b@x.org>, c@x.org\n'
            'Content-Type: text/plain; name="ü.txt"\n\nhi'.encode(),
        )
        self.assertTrue(composed.content.isascii())
        made = email.message_from_bytes(composed.content, policy=email.policy.default)
        self.assertEqual(made["Subject"], "Füße")
        self.assertEqual(made["To"].addresses[0].display_name, "Müller, B.")
        self.assertEqual(made["To"].addresses[1].addr_spec, "c@x.org")
        self.assertEqual(made.get_filename(), "ü.txt")
        for head in (
            "Subject: Füße".encode("latin-1"),
            "To: jörg@example.org".encode(),
            "To: a@bücher.example".encode(),
            "References: <ü@x>".encode(),
            "Subject: a\u0085b".encode(),
        ):
            self.assertRaises(BadField, from_message, ALICE, head + b"\n\nhi")

    def test_refused(self):
        """Text that is no message, one that an exit would refuse, and an exit that takes none."""
        self.assertRaises(NotAMessage, from_message, ALICE, b"Hello there\n\nBob")
        self.assertRaises(RefusedField, from_message, ALICE, b"Resent-From: a@x.org\n\nhi")
        self.assertRaises(RepeatedField, from_message, ALICE, b"To: a@x.org\nTo: b@x.org\n\nhi")
        self.assertRaises(BadField, from_message, ALICE, b"Newsgroups: a b\n\nhi")
        signed = b"Content-Type: multipart/signed; boundary=b\n\n--b\n\n" + b"x" * 999
        self.assertRaises(LineTooLong, from_message, ALICE, signed + b"\n--b--\n")
        self.assertRaises(NoHeader, from_message, parse("drop"), b"To: x\n\n")
