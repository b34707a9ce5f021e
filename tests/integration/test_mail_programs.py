"""mutt and git send-email, as they come, send by ``mixminion-sendmail`` into a real mailbox."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path

from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import wait_until
from mixminion.testing.network import LocalNetwork
from tests.integration.postfix import INSTALL, Postfix

SENDMAIL = Path(sys.executable).parent / "mixminion-sendmail"
MUTTRC = f"""\
set sendmail = "{SENDMAIL} -oem -oi"
set sendmail_wait = 0
set use_envelope_from = yes
set from = "Robert Sender <robert@example.net>"
set copy = no
set folder = {{home}}
set charset = utf-8
"""
TEXT = "Grüße\n\n.\n.. two\nFrom here\nEnd\n"
SECONDS = 90.0


class MailProgramTests(SyncTestCase):
    """Five mixes whose exits hand mail to Postfix; users alice and bob."""

    def setUp(self) -> None:
        subprocess.run(["bash", INSTALL, "mutt", "git", "git-email"], check=True)
        self.postfix = Postfix()
        self.addCleanup(self.postfix.stop)
        lines = ["tls = required", f"ca-file = {self.postfix.ca_file}"]
        self.network = LocalNetwork(Path(self.mktemp()), exit_lines=lines)
        self.network.relay = f"127.0.0.1:{self.postfix.port}"
        self.network.make()
        self.addCleanup(self.network.stop)
        self.network.start_mixes()
        self.home = self.network.folder / "home"
        self.home.mkdir()

    def run_program(
        self, *words: str | Path, cwd: Path | None = None, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """What a program printed, in a home of its own."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        return subprocess.run(
            [*map(str, words)],
            cwd=cwd or self.home,
            env={
                **kept,
                "HOME": str(self.home),
                "MIXMINION_CONFIG": str(self.network.client_config),
                "LC_ALL": "C.UTF-8",
                "TERM": "dumb",
            },
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def arrived(self, user: str) -> Message:
        """The one mail of *user*."""
        wait_until(lambda: self.postfix.mails(user), SECONDS, f"nothing came for {user}")
        [mail] = self.postfix.mails(user)
        for word in (b"robert", b"Robert", b"example.net", str(self.home).encode()):
            self.assertNotIn(word, mail.split(b"\r\n\r\n", 1)[0])
        return message_from_bytes(mail, policy=default)

    def test_mutt(self) -> None:
        """A text with an attachment, to one who is shown and one who is not."""
        (self.home / "muttrc").write_text(MUTTRC.format(home=self.home))
        (self.home / "numbers.bin").write_bytes(bytes(range(256)) * 8)
        words: Sequence[str] = ("mutt", "-n", "-F", "muttrc", "-s", "Grüße aus der Ferne")
        words = (*words, "-b", "bob@example.test", "-a", "numbers.bin", "--", "alice@example.test")
        done = self.run_program(*words, text=TEXT)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        for user in ("alice", "bob"):
            mail = self.arrived(user)
            self.assertEqual(mail["Subject"], "Grüße aus der Ferne")
            self.assertEqual((mail["To"], mail["Bcc"]), ("alice@example.test", None))
            text, attachment = mail.iter_parts()  # type: ignore[attr-defined]
            self.assertEqual(text.get_content().replace("\r\n", "\n"), TEXT)
            self.assertEqual(attachment.get_content(), bytes(range(256)) * 8)

    def test_git(self) -> None:
        """Two patches, the second in the thread of the first; the recipient applies both."""
        work, other = self.home / "work", self.home / "other"
        git = ("git", "-c", "user.name=Robert", "-c", "user.email=robert@example.net")

        def run(*words: str | Path, cwd: Path) -> str:
            done = self.run_program(*words, cwd=cwd)
            self.assertEqual(done.returncode, 0, done.stdout)
            return done.stdout

        for folder in (work, other):
            folder.mkdir()
            run(*git, "init", "-q", cwd=folder)
            (folder / "a").write_text("one\n")
            run(*git, "add", "a", cwd=folder)
            run(*git, "commit", "-q", "-m", "base", cwd=folder)
        for content in ("one\nzwölf\n", "one\nzwölf\n.\nthree\n"):
            (work / "a").write_text(content, "utf-8")
            run(*git, "commit", "-q", "-a", "-m", f"{len(content)} characters", cwd=work)
        options = [f"--smtp-server={SENDMAIL}", "--to=alice@example.test", "--confirm=never"]
        options += ["--suppress-cc=all", "--from=robert@example.net", "-2"]
        shown = run(*git, "send-email", *options, cwd=work)
        self.assertIn("Result: OK", shown)
        wait_until(lambda: len(self.postfix.mails("alice")) == 2, SECONDS, "patches are missing")
        mails = sorted(
            self.postfix.mails("alice"),
            key=lambda mail: str(message_from_bytes(mail, policy=default)["Subject"]),
        )
        for mail in mails:
            (other / "patch").write_bytes(mail.replace(b"\r\n", b"\n"))
            run(*git, "am", "-q", "patch", cwd=other)
        self.assertEqual((other / "a").read_text("utf-8"), "one\nzwölf\n.\nthree\n")

    def test_refused(self) -> None:
        """When no server takes it, mutt says so, with the exit code for mail that waits."""
        (self.home / "muttrc").write_text(MUTTRC.format(home=self.home))
        self.network.mixminion("update")
        for mix in self.network.mixes:
            mix.stop()
        words = ("mutt", "-n", "-F", "muttrc", "-s", "x", "--", "alice@example.test")
        done = self.run_program(*words, text="x\n")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("75", done.stdout)
        self.assertIn("1: since", self.network.mixminion("queue", "list"))
