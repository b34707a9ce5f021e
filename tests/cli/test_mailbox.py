"""``mixminion mailbox``, against a network whose mailboxes are in the test's process."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64decode

from mixminion.directory.parts import Exit
from tests.cli.clients import CommandCase

EXIT = Exit(name="mailbox", module="mailbox", max_message=24_000)


class MailboxTests(CommandCase):
    """What is fetched from a real server is shown in ``tests.integration``."""

    def setUp(self):
        super().setUp()
        self.network.mix("mix5").exits += (EXIT,)
        self.network.sign()

    def came(self, *rows):
        """Rows of what was fetched before and not read."""
        [state] = self.folder.rglob("client.sqlite")
        with sqlite3.connect(state) as connection:
            connection.executemany(
                "INSERT INTO mailbox_items (mailbox, item, date, handle, content)"
                " VALUES (1, ?, 1800000000, ?, ?)",
                rows,
            )
        connection.close()

    async def test_create(self):
        """At the server that was named, or the one that has mailboxes; then they are listed."""
        done = await self.run_command("mailbox", "list")
        self.assertEqual((done.code, done.out), (0, "There is no mailbox.\n"))
        made = await self.run_command("mailbox", "create", "MIX5")
        self.assertRegex(made.out, r"^mailbox:[A-Za-z0-9_-]{43}@mix5\n$")
        again = json.loads((await self.run_command("mailbox", "create", "--json")).out)
        self.assertEqual((again["number"], again["server"]), (2, "mix5"))
        done = await self.run_command("mailbox", "list")
        self.assertEqual(done.out, f"1: {made.out}2: {again['address']}\n")
        done = await self.run_command("mailbox", "list", "--json")
        self.assertEqual(json.loads(done.out)[1], again)

    async def test_wrong(self):
        """Servers without mailboxes, and numbers that there are not."""
        done = await self.run_command("mailbox", "create", "mix1")
        self.assertRefused(done, 64, "mix1", "no mailboxes")
        done = await self.run_command("mailbox", "fetch", "3")
        self.assertRefused(done, 64, "no mailbox 3", "mixminion mailbox create")
        done = await self.run_command("mailbox", "fetch", "--frames", "0")
        self.assertEqual((done.code, done.out), (64, ""))

    async def test_what_came_before_the_cut(self):
        """A visit that fails still gives what had come, once, and says how it failed."""
        await self.run_command("mailbox", "create")
        self.came((b"a" * 8, None, b"Hello\n"), (b"b" * 8, b"h" * 16, b"sealed"))
        done = await self.run_command("mailbox", "fetch", "--raw")
        self.assertEqual(done.code, 69)
        self.assertEqual(
            done.out,
            "--- message, 2027-01-15T08:00:00Z, 6 octets\nHello\n"
            f"--- reply {b'h'.hex() * 16}, 2027-01-15T08:00:00Z, 6 octets\nsealed\n",
        )
        self.assertIn("2 fetched", done.err)
        self.assertIn("no protocol in common", done.err)
        done = await self.run_command("mailbox", "fetch")
        self.assertEqual((done.code, done.out), (69, ""))

    async def test_json(self):
        """Contents in base64, or the files they are in."""
        await self.run_command("mailbox", "create")
        self.came((b"a" * 8, None, b"\xff\0"))
        done = await self.run_command("mailbox", "fetch", "--json")
        [message] = json.loads(done.out)["messages"]
        self.assertEqual((b64decode(message["content"]), message["handle"]), (b"\xff\0", None))
        self.came((b"b" * 8, b"h" * 16, b"sealed"))
        inbox = self.folder / "inbox"
        done = await self.run_command("mailbox", "fetch", "--raw", "--json", "-o", str(inbox))
        [message] = json.loads(done.out)["messages"]
        [path] = inbox.iterdir()
        self.assertEqual(message["file"], str(path))
        self.assertEqual((path.name, path.read_bytes()), (f"2-{'68' * 16}.reply", b"sealed"))
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    async def test_not_opened(self):
        """What cannot be opened is told, and stays until somebody takes it as it is."""
        await self.run_command("mailbox", "create")
        self.came((b"a" * 8, b"h" * 16, b"sealed"), (b"b" * 8, None, b"Hello\n"))
        for shown in ("--- message, 2027-01-15T08:00:00Z, 6 octets\nHello\n", ""):
            done = await self.run_command("mailbox", "fetch")
            self.assertEqual(done.out, shown)
            self.assertIn(
                f"not opened: The answer belongs to a reply block ({'68' * 16})", done.err
            )
        done = await self.run_command("mailbox", "fetch", "--raw")
        self.assertIn("sealed\n", done.out)
        done = await self.run_command("mailbox", "fetch")
        self.assertNotIn("not opened", done.err)

    async def test_folder_that_cannot_be(self):
        """What could not be written is written the next time."""
        await self.run_command("mailbox", "create")
        self.came((b"a" * 8, None, b"Hello\n"))
        (self.folder / "file").write_bytes(b"")
        done = await self.run_command("mailbox", "fetch", "-o", str(self.folder / "file"))
        self.assertNotEqual(done.code, 0)
        self.assertNotIn("Traceback", done.err)
        done = await self.run_command("mailbox", "fetch")
        self.assertIn("Hello\n", done.out)
