"""From the sender's command through four mixes into a real Postfix: processes all."""

from pathlib import Path

from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import wait_until
from mixminion.testing.network import DOMAIN, LocalNetwork
from tests.integration.dovecot import PASSWORDS, Dovecot
from tests.integration.opendkim import ALL_PASS, OpenDkim
from tests.integration.postfix import Postfix
from tests.integration.test_postfix import mime_message


class FlowTests(SyncTestCase):
    """Five mixes whose exits hand mail to Postfix, its certificate checked."""

    def setUp(self) -> None:
        self.postfix = Postfix()
        self.addCleanup(self.postfix.stop)
        lines = ["tls = required", f"ca-file = {self.postfix.ca_file}"]
        self.network = LocalNetwork(Path(self.mktemp()), exit_lines=lines)
        self.network.relay = f"127.0.0.1:{self.postfix.port}"
        self.network.make()
        self.addCleanup(self.network.stop)
        self.network.start_mixes()

    def test_a_mime_message_arrives_with_its_body_identical(self) -> None:
        """20 KB with accents, an attachment and dots round the borders of SMTP's chunks."""
        content = mime_message()
        file = self.network.folder / "message"
        file.write_bytes(content)
        self.network.mixminion("send", "-t", "bob@example.test", "--message", "-i", file)
        wait_until(lambda: self.postfix.mails("bob"), 60.0, "the mail did not arrive")
        [mail] = self.postfix.mails("bob")
        self.assertEqual(mail.split(b"\r\n\r\n", 1)[1], content.split(b"\r\n\r\n", 1)[1])
        self.assertIn(b"From: Anonymous <anonymous@mix.example.test>\r\n", mail)

    def test_a_text_typed_at_the_command_arrives(self) -> None:
        """With its subject and its accents."""
        self.network.mixminion(
            "send", "-t", "alice@example.test", "-s", "Hello", text="Grüße\n.\nEnde\n"
        )
        wait_until(lambda: self.postfix.mails("alice"), 60.0, "the mail did not arrive")
        [mail] = self.postfix.mails("alice")
        self.assertEqual(mail.split(b"\r\n\r\n", 1)[1].decode(), "Grüße\r\n.\r\nEnde\r\n")
        self.assertIn(b"\r\nSubject: Hello\r\n", mail)


class TroubleTests(SyncTestCase):
    """Five mixes whose exits log in at Postfix, sign, and meet what goes wrong there."""

    def setUp(self) -> None:
        self.postfix = Postfix()
        self.addCleanup(self.postfix.stop)
        self.dovecot = Dovecot(self.postfix)
        self.addCleanup(self.dovecot.stop)
        self.opendkim = OpenDkim(Path(self.mktemp()), DOMAIN)
        password_file = self.opendkim.folder / "password"
        password_file.touch(0o600)
        password_file.write_text(PASSWORDS["mixer"])
        lines = ["tls = required", f"ca-file = {self.postfix.ca_file}", self.opendkim.line]
        lines += ["user = mixer", f"password-file = {password_file}", "idle-timeout = 1 s"]
        lines += ["retry-first = 2 s", "retry-longest = 2 s"]
        self.network = LocalNetwork(Path(self.mktemp()), exit_lines=lines)
        self.network.relay = f"127.0.0.1:{self.postfix.auth_port}"
        self.network.make()
        self.addCleanup(self.network.stop)
        self.network.start_mixes()

    def test_each_gets_its_mail_or_a_last_word(self) -> None:
        """Bob's is signed and read by IMAP; who is greylisted, slow or full gets it in the end; who
        is unknown is asked for once; and no log of ours names any of them."""
        names = ("bob", "nobody", "grey", "slow", "full")
        for name in names:
            self.network.mixminion("send", "-t", f"{name}@example.test", text=f"to {name}\n")
        arrived = self.postfix.mails
        wait_until(
            lambda: all(map(arrived, ("bob", "grey", "slow"))), 90.0, "a mail did not arrive"
        )
        [mail] = self.dovecot.mails("bob")
        self.assertEqual(mail.split(b"\r\n\r\n", 1)[1], b"to bob\r\n")
        self.assertEqual(self.opendkim.verdicts(mail), ALL_PASS)
        full = "452 4.2.2 <full@example.test>"
        wait_until(lambda: self.postfix.log.count(full) > 1, 60.0, "it was not tried again")
        (self.postfix.base / "etc" / "access").write_text("")
        self.postfix.reload()
        wait_until(lambda: arrived("full"), 60.0, "the mail did not arrive")
        self.assertEqual([len(arrived(name)) for name in names], [1, 0, 1, 1, 1])
        self.assertEqual(self.postfix.log.count("550 5.1.1 <nobody@example.test>"), 1)
        for mix in self.network.mixes:
            for path in (mix.home / "log").iterdir():
                text = path.read_text()
                self.assertEqual([name for name in names if f"{name}@" in text], [])
