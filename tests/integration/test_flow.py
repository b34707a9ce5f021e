"""From the sender's command through four mixes into a real Postfix: processes all."""

from pathlib import Path

from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import wait_until
from mixminion.testing.network import LocalNetwork
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
