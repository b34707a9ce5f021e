"""Mail for local users through a real server process, and its file of users."""

from __future__ import annotations

import email
import email.policy
import mailbox
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed

from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.commands import PYTHON
from tests.app import kit

reactor: Any = installed

SECTION = "\n[Exit mbox]\nmodule = mbox\ndomain = mix.test\nusers = users.conf\n"
USERS = "[User alice]\nmaildir = alice\n[User bob]\nmbox = bob\nform = text\n"
CONTENT = b"Subject: Hi\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n"


def new_folder(case: AsyncTestCase | SyncTestCase) -> Path:
    """A folder of its own, away from the sources."""
    folder = Path(tempfile.mkdtemp())
    case.addCleanup(shutil.rmtree, folder)
    return folder


class MboxTests(AsyncTestCase):
    timeout = 120

    async def test_delivered(self) -> None:
        """What is sent to a user is in his mailbox; to nobody else it is taken."""
        folder = new_folder(self)
        home = kit.Home(folder / "home")
        self.addCleanup(kit.end, home)
        box = mailbox.Maildir(home.folder / "alice")
        (home.folder / "users.conf").write_text(USERS)
        with home.config.open("a") as file:
            file.write(SECTION)
        started = home.twistd("--nodaemon")
        self.addCleanup(started.kill)
        await kit.until(lambda: home.ready)
        view = home.view
        packets = [kit.packet(view, CONTENT, "mbox", [name]) for name in ("alice", "BOB", "eve")]
        await kit.send(view, home.address, packets)
        await kit.until(lambda: len(box) == 1 and (home.folder / "bob").exists())
        [key] = box.keys()
        mail = email.message_from_bytes(box.get_bytes(key), policy=email.policy.default)
        self.assertEqual((mail["Subject"], mail["To"]), ("Hi", "alice@mix.test"))
        await kit.until(lambda: home.ask()["counters"]["delivered"] == 2)
        status = home.ask()
        self.assertEqual(
            status["hand-overs"]["mbox"], {"delivered-maildir": 1, "delivered-mbox": 1}
        )
        self.assertEqual(status["counters"]["drop-unknown-user"], 1)
        for name in ("alice", "bob", "eve"):
            self.assertNotIn(name, home.log.read_text())


class ConfigurationTests(SyncTestCase):
    def test_wrong_users(self) -> None:
        """What is wrong in the file of users is told with what is wrong in the configuration."""
        home = kit.Home(new_folder(self) / "home")
        (home.folder / "users.conf").write_text("[User alice]\nmaildri = x\n[User Bob]\nmh = x\n")
        with home.config.open("a") as file:
            file.write(SECTION + "expiry = soon\n")
        done = self.check(home)
        self.assertIn("1 error:", done)  # the section cannot be put together yet
        home.config.write_text(home.config.read_text().replace("expiry = soon\n", ""))
        done = self.check(home)
        self.assertIn("2 errors:", done)
        self.assertIn(
            "users.conf:2: [User alice] maildri: unknown key; did you mean maildir?", done
        )
        self.assertIn("users.conf:3: [User Bob]", done)

    def check(self, home: kit.Home) -> str:
        command = ["-m", "mixminion", "server", "check-config", "--home", str(home.folder)]
        done = subprocess.run([*PYTHON, *command], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 78)
        return done.stdout
