"""What an exit hands over: the policy on header fields, replies, and bodies left as they are."""

import email
import email.policy

from mixminion.mail import compose
from mixminion.mail.errors import (
    BadField,
    EightBit,
    LineTooLong,
    NotAMessage,
    RefusedField,
    RepeatedField,
)
from mixminion.mail.fields import Field
from mixminion.mail.policy import Policy
from mixminion.testing.cases import SyncTestCase
from mixminion.util import armor

DATE = 1_800_000_000


def outgoing(
    content: bytes,
    *recipients: str,
    policy: Policy = compose.STRICT,
    extra: tuple[Field, ...] = (),
) -> compose.Mail:
    return compose.outgoing(
        content,
        sender="Anonymous <anonymous@exit.test>",
        recipients=recipients or ("bob@example.test",),
        message_id="<0a@exit.test>",
        date=DATE,
        policy=policy,
        extra=extra,
    )


def fields(mail: compose.Mail) -> dict[str, str]:
    return {field.name: field.value for field in mail.fields}


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
        """A line over 998 octets becomes quoted-printable, or is refused where parts cannot be
        told apart."""
        mail = outgoing(b"Content-Type: text/plain\n\n" + b"x" * 999)
        parsed = email.message_from_bytes(mail.octets(), policy=email.policy.default)
        self.assertEqual(parsed["Content-Transfer-Encoding"], "quoted-printable")
        self.assertEqual(parsed.get_payload(decode=True), b"x" * 999 + b"\r\n")
        with self.assertRaises(LineTooLong):
            outgoing(b"Content-Type: multipart/mixed; boundary=b\n\n" + b"x" * 999)

    def test_seven_bit(self) -> None:
        """Without 8BITMIME a single part is re-encoded, what cannot be read refused, ASCII left
        alone."""
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
        octets = outgoing(b"\nabcd\xff\xfe").seven_bit().octets()
        self.assertIn(b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable", octets)


class PolicyTests(SyncTestCase):
    """What the operator allows passes, in one form; nothing else does."""

    def test_names(self) -> None:
        """A name is shown beside the exit's own address, never with the sender's."""
        head = b"From: %s\n\nhi"
        allowed = Policy(names=True)
        for written, shown in (
            (b"Alice A. <alice@home.test>", '"Alice A." <anonymous@exit.test>'),
            (b'"A, \\"B" <alice@home.test>', None),
            (b"=?iso-8859-1?q?J=F6rg?= <x@y.test>", "=?utf-8?b?SsO2cmc=?= <anonymous@exit.test>"),
            (b"alice@home.test", "Anonymous <anonymous@exit.test>"),
            (b"", "Anonymous <anonymous@exit.test>"),
            (b"a <a@x.test>, b <b@x.test>", None),
            (b"president@example.test <a@x.test>", None),
            (b"=?utf-8?q?a=0D=0ABcc=3A_b?= <a@x.test>", None),
            (b"=?nonsense?b?AAAA?= <a@x.test>", None),
            (b"x" * 65 + b" <a@x.test>", None),
        ):
            with self.subTest(written=written):
                if shown is None:
                    with self.assertRaises(BadField):
                        outgoing(head % written, policy=allowed)
                else:
                    mail = outgoing(head % written, policy=allowed)
                    self.assertEqual(fields(mail)["From"], shown)
                own = fields(outgoing(head % written))["From"]
                self.assertEqual(own, "Anonymous <anonymous@exit.test>")

    def test_reply_to(self) -> None:
        """Reply-To passes as an address alone, or is the operator's, or is not there."""
        content = b"Reply-To: Alice <alice@Home.test>\n\nhi"
        self.assertNotIn("Reply-To", fields(outgoing(content)))
        own = Policy(default_reply_to="Nobody <nobody@exit.test>")
        self.assertEqual(fields(outgoing(content, policy=own))["Reply-To"], own.default_reply_to)
        passing = Policy(reply_to=True, default_reply_to="nobody@exit.test")
        self.assertEqual(fields(outgoing(content, policy=passing))["Reply-To"], "alice@home.test")
        self.assertEqual(fields(outgoing(b"\nhi", policy=passing))["Reply-To"], "nobody@exit.test")
        for bad in (b"nobody", b"a@x.test, b@x.test", b"a@[127.0.0.1]"):
            with self.assertRaises(BadField):
                outgoing(b"Reply-To: %s\n\nhi" % bad, policy=passing)
            outgoing(b"Reply-To: %s\n\nhi" % bad)

    def test_subject(self) -> None:
        """A mail without a subject, or with an empty one, gets the operator's."""
        policy = Policy(default_subject="Namenlose Grüße")
        for content in (b"\nhi", b"Subject:\n\nhi", b"Subject: \t \n\nhi"):
            mail = outgoing(content, policy=policy).octets()
            parsed = email.message_from_bytes(mail, policy=email.policy.default)
            self.assertEqual(parsed["Subject"], "Namenlose Grüße")
            self.assertNotIn("Subject", fields(outgoing(content)))
        self.assertEqual(fields(outgoing(b"Subject: x\n\n", policy=policy))["Subject"], "x")

    def test_one_form(self) -> None:
        """What programs write in their own manner leaves in one."""
        content = (
            b"References: <a@x.test><b@x.test>\n\t<c@x.test> (of Alice)\n"
            b"In-reply-to: Your message of Monday <c@x.test>\n"
            b"Mime-Version: 1.0 (Mac OS X Mail 16.0)\nNewsgroups: alt.test , misc.test\n"
            b"Followup-To: poster\nCC: Carol <carol@example.test>\n\nhi"
        )
        self.assertEqual(
            list(fields(outgoing(content)).items()),
            [
                ("From", "Anonymous <anonymous@exit.test>"),
                ("To", "bob@example.test"),
                ("Cc", "Carol <carol@example.test>"),
                ("Newsgroups", "alt.test,misc.test"),
                ("Followup-To", "poster"),
                ("Date", "Fri, 15 Jan 2027 08:00:00 +0000"),
                ("Message-ID", "<0a@exit.test>"),
                ("In-Reply-To", "<c@x.test>"),
                ("References", "<a@x.test> <b@x.test> <c@x.test>"),
                ("MIME-Version", "1.0"),
            ],
        )
        self.assertNotIn("References", fields(outgoing(b"References: none\n\nhi")))
        for bad in (b"alt test", b"alt.test,", b"a;b"):
            with self.assertRaises(BadField):
                outgoing(b"Newsgroups: %s\n\nhi" % bad)

    def test_extra(self) -> None:
        """Fields of the exit's own have their places."""
        extra = (
            Field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            Field("X-Own", "x"),
            Field("List-Unsubscribe", "<https://exit.test/o>"),
            Field("Comments", "c"),
        )
        content = b"References: <a@x.test>\nMIME-Version: 1.0\nContent-MD5: x\n\nhi"
        names = list(fields(outgoing(content, extra=extra)))
        self.assertEqual(
            names[5:],
            ["Comments", "List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version"]
            + ["Content-MD5", "X-Own"],
        )

    def test_refused(self) -> None:
        """Control fields refuse the message, however they are written."""
        for name in (
            "Control", "ALSO-CONTROL", "Approved", "supersedes", "Cancel-Key", "Resent-From",
            "resent-x", "Return-Path", "DKIM-Signature", "DomainKey-Signature", "ARC-Seal",
        ):  # fmt: skip
            for content in (f"{name}: x\n\nhi", f"Subject: a\r{name} :\n\nhi"):
                with self.assertRaises(RefusedField):
                    outgoing(content.encode())

    def test_removed_unread(self) -> None:
        """A field that is removed may be as wrong as it likes."""
        content = b"X-Any: \xff\0\nX-Any: 2\nDate: \xe4\nReceived: \x1b\nContent-Length: 3\n\nhi"
        self.assertEqual(outgoing(content), outgoing(b"\nhi"))


class ArticleTests(SyncTestCase):
    def test_article(self) -> None:
        """An article goes to the groups that its message names, and tells of no recipients."""
        content = b"To: bob@example.test\nCc: x@y.test\nSubject: s\nNewsgroups: a.b\n\nhi"
        made = compose.article(
            content,
            sender="Anonymous <anonymous@exit.test>",
            groups=["alt.test", "misc.test"],
            message_id="<0a@exit.test>",
            date=DATE,
        )
        names = ["From", "Newsgroups", "Subject", "Date", "Message-ID"]
        self.assertEqual(list(fields(made)), names)
        self.assertEqual(fields(made)["Newsgroups"], "alt.test,misc.test")
        with self.assertRaises(BadField):
            compose.article(b"\nhi", sender="x@y.test", groups=["a.b"], message_id="<x@y>", date=0)


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
