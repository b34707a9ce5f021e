"""What an exit hands over: the policy on header fields, replies, and bodies left as they are."""

import email
import email.policy

from mixminion.mail import compose
from mixminion.mail.errors import BadField, EightBit, LineTooLong, NotAMessage, RepeatedField
from mixminion.testing.cases import SyncTestCase
from mixminion.util import armor

DATE = 1_800_000_000


def outgoing(content: bytes, *recipients: str) -> compose.Mail:
    return compose.outgoing(
        content,
        sender="Anonymous <anonymous@exit.test>",
        recipients=recipients or ("bob@example.test",),
        message_id="<0a@exit.test>",
        date=DATE,
    )


class OutgoingTests(SyncTestCase):
    def test_whole(self) -> None:
        """The exact octets: own fields added, others removed, one order and spelling."""
        content = (
            b"Received: from alice\nX-Mailer: Alice 1\ncontent-type: text/plain; charset=utf-8\n"
            b"Date: Mon, 1 Jan 2001 00:00:00 +0100\nFrom: alice@home.test\nBcc: eve@x.test\n"
            b"Message-ID: <alice@home.test>\nSUBJECT: Hi\nReply-To: alice@home.test\n"
            b"content-id: <x>\ncontent-transfer-encoding: 8bit\nTo: Bob <bob@example.test>\n"
            b"\n.dot\nend"
        )
        self.assertEqual(
            outgoing(content).octets(),
            b"From: Anonymous <anonymous@exit.test>\r\n"
            b"To: Bob <bob@example.test>\r\n"
            b"Subject: Hi\r\n"
            b"Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n"
            b"Message-ID: <0a@exit.test>\r\n"
            b"MIME-Version: 1.0\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\n"
            b"Content-Transfer-Encoding: 8bit\r\n"
            b"Content-ID: <x>\r\n"
            b"\r\n"
            b".dot\r\nend\r\n",
        )

    def test_to(self) -> None:
        """To is made from one recipient; several are not told of each other."""
        self.assertIn(b"\r\nTo: bob@example.test\r\n", outgoing(b"\nhi").octets())
        several = outgoing(b"\nhi", "a@x.test", "b@x.test").octets()
        self.assertIn(b"\r\nTo: undisclosed-recipients:;\r\n", several)
        self.assertNotIn(b"x.test", several)

    def test_plain_stays_plain(self) -> None:
        """No MIME fields are made up for a message that had none."""
        self.assertNotIn(b"MIME", outgoing(b"Subject: x\n\nhi\n").octets())

    def test_repeated(self) -> None:
        """Two of a field that passes are refused, two of one that is removed are not."""
        with self.assertRaises(RepeatedField):
            outgoing(b"Subject: a\nsubject: b\n\n")
        outgoing(b"Received: a\nReceived: b\n\n")

    def test_refused(self) -> None:
        """What is no message, and raw 8-bit or NUL in a header."""
        for content, error in (
            (b"hello world", NotAMessage),
            (b"Subject: \xc3\xa4\n\n", BadField),
            (b"Subject: a\0b\n\n", BadField),
        ):
            with self.assertRaises(error):
                outgoing(content)

    def test_hidden_field(self) -> None:
        """A bare CR or LF never smuggles a field past the policy."""
        mail = outgoing(b"Subject: a\rBcc: eve@x.test\rX: y\n\nhi")
        self.assertNotIn(b"eve", mail.octets())

    def test_bodies_stay(self) -> None:
        """8-bit bodies and multiparts are handed over octet for octet."""
        for head in (b"", b"Content-Type: multipart/mixed; boundary=b\n"):
            body = bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") * 3
            mail = outgoing(head + b"\n" + body)
            self.assertEqual(mail.body, body + b"\r\n")
            self.assertTrue(mail.eight_bit)

    def test_long_lines(self) -> None:
        """A line over 998 octets becomes quoted-printable, or is refused inside a multipart."""
        mail = outgoing(b"Content-Type: text/plain\n\n" + b"x" * 999)
        parsed = email.message_from_bytes(mail.octets(), policy=email.policy.default)
        self.assertEqual(parsed["Content-Transfer-Encoding"], "quoted-printable")
        self.assertEqual(parsed.get_payload(decode=True), b"x" * 999 + b"\r\n")
        with self.assertRaises(LineTooLong):
            outgoing(b"Content-Type: multipart/mixed; boundary=b\n\n" + b"x" * 999)

    def test_seven_bit(self) -> None:
        """Without 8BITMIME a single part is re-encoded, a multipart refused, ASCII left alone."""
        text = "Grüße aus Köln\r\n".encode()
        mail = outgoing(b"Content-Type: text/plain; charset=utf-8\n\n" + text).seven_bit()
        self.assertFalse(mail.eight_bit)
        parsed = email.message_from_bytes(mail.octets(), policy=email.policy.default)
        self.assertEqual(parsed.get_payload(decode=True), text)
        with self.assertRaises(EightBit):
            outgoing(b"Content-Type: multipart/mixed; boundary=b\n\n" + text).seven_bit()
        plain = outgoing(b"\nhi")
        self.assertIs(plain.seven_bit(), plain)

    def test_unlabelled(self) -> None:
        """Re-encoding an unlabelled 8-bit body says MIME-Version and the encoding."""
        octets = outgoing(b"\n\xff\xfe").seven_bit().octets()
        self.assertIn(b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable", octets)


class ReplyTests(SyncTestCase):
    def test_reply(self) -> None:
        """A sealed payload arrives as armored text and is read back, octet for octet."""
        payload, surb_id = bytes(range(256)) * 104, bytes(range(16))
        mail = compose.reply(
            payload,
            surb_id,
            sender="Anonymous <anonymous@exit.test>",
            recipient="alice@example.test",
            message_id="<0a@exit.test>",
            date=DATE,
        )
        self.assertFalse(mail.eight_bit)
        parsed = email.message_from_bytes(mail.octets(), policy=email.policy.default)
        self.assertEqual(parsed["To"], "alice@example.test")
        self.assertEqual(parsed["MIME-Version"], "1.0")
        [block] = armor.decode(parsed.get_content())
        self.assertEqual(block.kind, "MIXMINION REPLY")
        self.assertEqual(block.headers, {"SURB-ID": surb_id.hex()})
        self.assertEqual(block.octets, payload)
