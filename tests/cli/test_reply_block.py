"""``mixminion reply-block`` and ``mixminion identity`` against a network in the test's process."""

from __future__ import annotations

import json

from mixminion.client import blocks_text
from mixminion.directory.parts import Exit
from tests.cli.clients import CommandCase

EXIT = Exit(name="mailbox", module="mailbox", max_message=2**24)


class BlocksCase(CommandCase):
    def setUp(self):
        super().setUp()
        for mix in self.network.mixes[-2:]:
            mix.exits += (EXIT,)
        self.network.sign()
        self.secret = self.secrets("secret", "correct horse")

    def secrets(self, name, text):
        path = self.folder / name
        path.write_text(f"{text}\n")
        path.chmod(0o600)
        return str(path)

    async def result(self, *arguments, **options):
        """What a command prints as JSON."""
        done = await self.run_command(*arguments, "--json", **options)
        self.assertEqual(done.code, 0, done.err)
        return json.loads(done.out)


class CreateTests(BlocksCase):
    async def test_text(self):
        """A pair as text on standard output; a mailbox was made for the answers."""
        done = await self.run_command("reply-block", "create")
        self.assertEqual(done.code, 0, done.err)
        self.assertRegex(done.out, r"\A-----BEGIN MIXMINION REPLY BLOCK-----\nValid: .+Z to .+Z\n")
        self.assertIn("2 reply blocks, to be answered until about ", done.err)
        self.assertEqual(len(blocks_text.find(done.out.encode())), 2)
        [box] = await self.result("mailbox", "list")
        listed = await self.result("reply-block", "list")
        self.assertEqual([each["address"] for each in listed], [box["address"]] * 2)
        shown = await self.result("identity", "show")
        self.assertEqual((shown["name"], shown["address"]), ("default", box["address"]))
        shown = await self.result("reply-block", "show", "-", stdin=done.out.encode())
        self.assertEqual([each["state"] for each in shown], ["usable", "not-yet"])
        self.assertEqual([each["own"] for each in shown], listed)
