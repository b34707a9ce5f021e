"""``mixminion-sendmail``: the words of mail programs, the mails they give, and what is sent."""

from __future__ import annotations

import click

from mixminion.cli import sendmail_mail
from mixminion.cli.errors import NoRecipients
from mixminion.cli.sendmail_words import Words, read
from mixminion.interfaces import Refusal
from mixminion.testing.cases import SyncTestCase
from tests.cli.clients import CommandCase

MAIL = b"""\
From: Bob <bob@example.net>
To: Alice <alice@example.org>,
\tcarol@example.org
Cc: friends: dan@example.org;
bcc: erin@example.org,
  frank@example.org
Subject: Hi

Hello
.
not the end
"""


class WordsTests(SyncTestCase):
    def test_programs(self) -> None:
        """What mutt, git send-email, cron, mailx, at, and PHP call."""
        for line, expected in [
            ("-oem -oi -- a@b.org c@d.org", Words(("a@b.org", "c@d.org"), dots=True)),
            ("-oem -oi -f me@b.org -B 8BITMIME -- a@b.org", Words(("a@b.org",), dots=True)),
            ("-f me@b.org -i a@b.org", Words(("a@b.org",), dots=True)),
            ("-FCronDaemon -i -odi -oem -oi -t", Words((), True, True)),
            ("-FCronDaemon -i -B8BITMIME -oem root@b.org", Words(("root@b.org",), dots=True)),
            ("-i -m -v a@b.org", Words(("a@b.org",), dots=True, verbose=True)),
            ("-t -i", Words((), True, True)),
            ("-ti", Words((), True, True)),
            ("-bm -C /etc/m.conf a@b.org", Words(("a@b.org",), config="/etc/m.conf")),
            ("-N never -R hdrs -V id -O QueueDirectory=x a@b.org", Words(("a@b.org",))),
            ("-r me@b.org -F Me a@b.org", Words(("a@b.org",))),
        ]:
            self.assertEqual(read(line.split()), expected, line)

    def test_wrong(self) -> None:
        """What mail servers do is refused, and what nobody knows, and values that are missing."""
        for line in ("-bs", "-bd", "-bp", "-q15m", "-q", "-Z", "-f"):
            self.assertRaises(click.UsageError, read, [line])


class MailTests(SyncTestCase):
    def test_end(self) -> None:
        """A dot alone ends a mail, with either line end, and nothing else does."""
        self.assertEqual(sendmail_mail.ended(MAIL), MAIL[: MAIL.index(b".\nnot")])
        self.assertEqual(sendmail_mail.ended(b"a\r\n.\r\nb"), b"a\r\n")
        self.assertEqual(sendmail_mail.ended(b"a\n..\n. \n.b\n"), b"a\n..\n. \n.b\n")

    def test_header(self) -> None:
        """Text without a header gets an empty one; a header that is all there is, a body."""
        for given, whole in [
            (MAIL, MAIL),
            (b"Hello\n", b"\nHello\n"),
            (b"", b"\n"),
            (b"\nHello\n", b"\nHello\n"),
            (b"Subject: x\n", b"Subject: x\n\n"),
            (b"From bob Mon\nSubject: x\n\nHi", b"From bob Mon\nSubject: x\n\nHi"),
        ]:
            self.assertEqual(sendmail_mail.with_header(given), whole)

    def test_recipients(self) -> None:
        """From folded fields, from groups, in either case, each once."""
        found = sendmail_mail.recipients(MAIL)
        names = ["alice", "carol", "dan", "erin", "frank"]
        self.assertEqual(found, [f"{name}@example.org" for name in names])
        twice = sendmail_mail.recipients(b"To: a@b.org\nCc: a@b.org\n\nTo: x@y.org\n")
        self.assertEqual(twice, ["a@b.org"])

    def test_nobody(self) -> None:
        """A mail that names nobody, or one who is nowhere."""
        for mail in (b"Subject: x\n\n", b"To: undisclosed-recipients:;\n\n", b"To: root\n\n"):
            self.assertRaises(NoRecipients, sendmail_mail.recipients, mail)

    def test_bcc(self) -> None:
        """It goes, with its further lines, and nothing else does; not from the body either."""
        rest = sendmail_mail.without_bcc(MAIL + b"Bcc: not me\n")
        self.assertNotIn(b"erin", rest)
        self.assertNotIn(b"frank", rest)
        self.assertEqual(rest.count(b"\n"), MAIL.count(b"\n") - 1)
        self.assertIn(b"Subject: Hi\n\nHello\n", rest)


class SendmailTests(CommandCase):
    """The program in a process of its own."""

    def sendmail(self, *words, stdin=MAIL):
        return self.run_command(*words, stdin=stdin, module="mixminion.cli.sendmail")

    async def test_from_header(self):
        """-t: to everybody it names; nobody reads who is in Bcc, or that Bob wrote; nothing is
        said."""
        done = await self.sendmail("-t", "-oi")
        self.assertEqual((done.code, done.out, done.err), (0, "", ""))
        (packet,) = self.network.arrived
        _, _, (exit, recipients, content) = self.network.open(packet)
        self.assertEqual(exit, "smtp")
        self.assertEqual(
            sorted(each.partition("@")[0] for each in recipients),
            ["alice", "carol", "dan", "erin", "frank"],
        )
        for word in (b"erin", b"frank", b"bob"):
            self.assertNotIn(word, content)
        self.assertTrue(content.endswith(b"\r\n\r\nHello\r\n.\r\nnot the end\r\n"), content)

    async def test_named(self):
        """Without -t only those named get it; a dot ends it; -v says what happens."""
        done = await self.sendmail("-v", "-f", "bob@example.net", "--", "z@example.org")
        self.assertEqual(done.code, 0)
        self.assertIn("chose a path of 4: mix", done.err)
        (packet,) = self.network.arrived
        _, _, (_, recipients, content) = self.network.open(packet)
        self.assertEqual(recipients, ("z@example.org",))
        self.assertTrue(content.endswith(b"\r\n\r\nHello\r\n"), content)

    async def test_plain_text(self):
        """What has no header gets none but what mail must have."""
        done = await self.sendmail("a@example.org", stdin=b"Hello\n")
        self.assertEqual((done.code, done.err), (0, ""))
        (packet,) = self.network.arrived
        self.assertTrue(self.network.open(packet)[2][2].endswith(b"\r\nHello\r\n"))

    async def test_exit_codes(self):
        """Those of sysexits: wrong use, wrong mail, kept and not sent, wrong configuration."""
        self.assertRefused(await self.sendmail(), 64, "No recipients")
        self.assertRefused(await self.sendmail("-bs"), 64, "mixminion queue")
        self.assertRefused(await self.sendmail("-t", stdin=b"Subject: x\n\n"), 65, "nobody")
        self.assertRefused(await self.sendmail("-C", "/nowhere", "a@b.org"), 78, "/nowhere")
        for mix in self.network.mixes:
            mix.intake.refusal = Refusal.FULL
        self.assertRefused(await self.sendmail("a@example.org"), 75, "Not sent, but kept")
