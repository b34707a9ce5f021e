"""``mixminion identity``: names, passphrases in three ways, exports."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mixminion.testing.cases import SyncTestCase
from tests.cli import terminal
from tests.cli.blocks import BlocksCase


class NameTests(BlocksCase):
    async def test_create(self):
        """What is made is listed and shown; the names are taken once."""
        made = await self.result("identity", "create", "bob", "--address", "bob@example.org")
        self.assertEqual(
            (made["name"], made["protected"], made["address"]), ("bob", False, "bob@example.org")
        )
        self.assertRegex(made["fingerprint"], r"^[0-9a-f]{4}( [0-9a-f]{4}){15}$")
        self.assertEqual(await self.result("identity", "list"), [made])
        self.assertEqual(await self.result("identity", "show", "BOB"), made)
        done = await self.run_command("identity", "create", "Bob")
        self.assertRefused(done, 73, "'Bob'", "another name")
        done = await self.run_command("identity", "create", "b b")
        self.assertRefused(done, 64, "'b b'")
        done = await self.run_command("identity", "show", "carol")
        self.assertRefused(done, 64, "'carol'", "identity list")

    async def test_lines(self):
        """For people."""
        done = await self.run_command("identity", "list")
        self.assertEqual((done.code, done.out), (0, "There is no identity.\n"))
        done = await self.run_command("identity", "show")
        self.assertRegex(
            done.out,
            r"\Aname: default\npassphrase: no\nanswers go to: a mailbox, made when one is needed\n"
            r"fingerprint: [0-9a-f ]+\n\Z",
        )
        await self.run_command("identity", "create", "bob", "--passphrase-file", self.secret)
        done = await self.run_command("identity", "list")
        self.assertEqual(done.out, "default\nbob, protected\n")

    async def test_address(self):
        """Where answers go from now on."""
        changed = await self.result("identity", "set-address", "bob@example.org")
        self.assertEqual(changed["address"], "bob@example.org")
        await self.result("reply-block", "create")
        [block, _] = await self.result("reply-block", "list")
        self.assertEqual(block["address"], "bob@example.org")
        self.assertIsNone((await self.result("identity", "set-address", "mailbox"))["address"])
        done = await self.run_command("identity", "set-address", "nowhere")
        self.assertRefused(done, 64, "'nowhere'")

    async def test_delete(self):
        """Where answers may still come it takes a yes."""
        await self.result("identity", "create", "bob")
        await self.result("reply-block", "create", "--identity", "bob")
        done = await self.run_command("identity", "delete", "bob")
        self.assertRefused(done, 73, "2 reply blocks", "--yes")
        self.assertEqual(
            await self.result("identity", "delete", "bob", "--yes"), {"deleted": "bob"}
        )
        self.assertEqual(await self.result("reply-block", "list"), [])


class PassphraseTests(BlocksCase):
    async def test_file(self):
        """From a private file; another one is refused, and so is one that others can read."""
        made = await self.result("identity", "create", "bob", "--passphrase-file", self.secret)
        self.assertTrue(made["protected"])
        other = self.secrets("other", "battery staple")
        change = ("identity", "change-passphrase", "bob", "--new-passphrase-file", other)
        done = await self.run_command(*change)
        self.assertRefused(done, 77, "'bob'", "--passphrase-file")
        done = await self.run_command(*change, "--passphrase-file", other)
        self.assertRefused(done, 77, "does not open the identity 'bob'")
        os.chmod(self.secret, 0o644)
        done = await self.run_command(*change, "--passphrase-file", self.secret)
        self.assertRefused(done, 77, "0644", "chmod")
        os.chmod(self.secret, 0o600)
        await self.result(*change, "--passphrase-file", self.secret)
        changed = await self.result(
            *("identity", "change-passphrase", "bob", "--no-passphrase"),
            *("--passphrase-file", other),
        )
        self.assertFalse(changed["protected"])

    async def test_descriptor(self):
        """From an open descriptor: standard input here."""
        done = await self.run_command(
            *("identity", "create", "bob", "--passphrase-fd", "0"), stdin=b"correct horse\n"
        )
        self.assertEqual(done.code, 0, done.err)
        await self.result(
            *("identity", "change-passphrase", "bob", "--no-passphrase"),
            *("--passphrase-file", self.secret),
        )

    async def test_usage(self):
        """Two sources, or no new passphrase at all."""
        for arguments in (
            ("create", "bob", "--passphrase-fd", "0", "--passphrase-prompt"),
            ("change-passphrase", "bob"),
            ("change-passphrase", "bob", "--no-passphrase", "--new-passphrase-fd", "0"),
        ):
            done = await self.run_command("identity", *arguments)
            self.assertEqual((done.code, done.out), (64, ""), done.err)


class PromptTests(SyncTestCase):
    """On a terminal, and without one; nothing here is fetched."""

    def setUp(self):
        home = Path(self.mktemp()).absolute()
        home.mkdir(0o700)
        config = home / "mixminion.conf"
        config.write_text(f"[Directory]\nauthorities = {'00' * 32}\nsources = 127.0.0.1:1\n")
        self.environment = {**os.environ, "MIXMINION_CONFIG": str(config)}

    def words(self, *arguments):
        return [sys.executable, "-P", "-m", "mixminion", "identity", *arguments]

    def ask(self, answers, *arguments):
        return terminal.ask(self.words(*arguments), answers, self.environment)

    def test_prompt(self):
        """A new passphrase is asked for twice, an old one once, and none is shown."""
        create = ("create", "bob", "--passphrase-prompt")
        code, shown = self.ask(["correct horse", "battery staple"], *create)
        self.assertEqual(code, 78, shown)
        self.assertIn("two different ones", shown)
        code, shown = self.ask(["correct horse", "correct horse"], *create)
        self.assertEqual(code, 0, shown)
        self.assertNotIn("horse", shown)
        change = ("change-passphrase", "bob", "--no-passphrase", "--passphrase-prompt")
        code, shown = self.ask(["battery staple"], *change)
        self.assertEqual(code, 77, shown)
        self.assertIn("does not open", shown)
        code, shown = self.ask(["correct horse"], *change)
        self.assertEqual(code, 0, shown)

    def test_no_terminal(self):
        """A sentence instead of a question."""
        done = subprocess.run(
            self.words("create", "bob", "--passphrase-prompt"),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        self.assertEqual((done.returncode, done.stdout), (78, ""))
        self.assertIn("no terminal to ask on", done.stderr)


class ExportTests(BlocksCase):
    async def test_round(self):
        """What was exported is taken over by another home, with its passphrase alone."""
        await self.result("reply-block", "create")
        file = str(self.folder / "keys")
        done = await self.run_command("identity", "export", file)
        self.assertRefused(done, 64, "takes a passphrase")
        await self.result("identity", "export", file, "--passphrase-file", self.secret)
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        config = self.folder / "other.conf"
        config.write_text(self.network.config("[Client]\nhome = other\n"))
        there = ("-f", str(config))
        os.chmod(file, 0o644)  # it was carried on a stick
        done = await self.run_command("identity", "import", file, *there)
        self.assertRefused(done, 64, "takes a passphrase")
        wrong = self.secrets("wrong", "battery staple")
        done = await self.run_command(
            "identity", "import", file, *there, "--passphrase-file", wrong
        )
        self.assertRefused(done, 77, "does not open")
        taken = await self.result(
            "identity", "import", file, *there, "--passphrase-file", self.secret
        )
        self.assertEqual(taken, {"identities": ["default"], "mailboxes": 1, "reply_blocks": 2})
        there_now = await self.result("reply-block", "list", *there)
        self.assertEqual(there_now, await self.result("reply-block", "list"))

    async def test_copies(self):
        """What was made after the export is taken over from the folder that was configured."""
        place = self.folder / "stick"
        place.mkdir()
        self.configure(f"[ReplyBlocks]\ncopies = {place}\n")
        file = str(self.folder / "keys")
        await self.result("identity", "create", "default", "--passphrase-file", self.secret)
        await self.result("identity", "export", file, "--passphrase-file", self.secret)
        await self.result("reply-block", "create")
        config = self.folder / "other.conf"
        config.write_text(self.network.config("[Client]\nhome = other\n"))
        there = ("-f", str(config), "--passphrase-file", self.secret)
        done = await self.run_command("reply-block", "restore", str(place), *there)
        self.assertRefused(done, 64, "is not here", "identity import")
        await self.result("identity", "import", file, *there)
        done = await self.run_command("reply-block", "restore", str(place), "-f", str(config))
        self.assertRefused(done, 77, "protected by a passphrase")
        taken = await self.result("reply-block", "restore", str(place), *there)
        self.assertEqual(taken, {"mailboxes": 1, "reply_blocks": 2})
        done = await self.run_command("reply-block", "restore", str(self.config), *there)
        self.assertRefused(done, 65, "no copy")

    async def test_wrong(self):
        """Other files, and ones that are not there."""
        for file, code, part in ((self.secret, 65, "no export"), ("/nowhere", 65, "No such file")):
            done = await self.run_command(
                "identity", "import", file, "--passphrase-file", self.secret
            )
            self.assertRefused(done, code, part)
