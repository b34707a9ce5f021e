"""``mixminion send -R``: answers to reply blocks."""

from __future__ import annotations

import json

from mixminion.client import blocks_text
from mixminion.crypto.rng import SeededRandom
from tests.cli.clients import CommandCase
from tests.client.answers import Owner


class AnsweringTests(CommandCase):
    """The network is the client tests': whoever reads the answers is in this process."""

    def setUp(self):
        super().setUp()
        self.owner = Owner(self.network, SeededRandom(b"answering"))
        self.configure("[Client]\none-shot-notice = no\n")
        self.received = self.folder / "received"
        text = "Hello!\n\n" + blocks_text.encode([self.owner.block(), self.owner.block()])
        self.received.write_text(text)

    async def test_answer(self):
        """The message that was received is enough; blocks that were used are passed over."""
        for number, text in enumerate((b"one", b"two")):
            done = await self.run_command("send", "-R", str(self.received), stdin=text)
            self.assertEqual((done.code, done.out), (0, ""))
            said = "answers with 1 reply block; %s more could be used now" % (1 - number)
            self.assertIn(said, done.err)
        self.assertIn("reply block 1 is passed over: it was used before", done.err)
        contents = sorted(inside.content for _, inside in self.owner.arrived())
        self.assertEqual(contents, [b"one", b"two"])
        done = await self.run_command("send", "-R", str(self.received), stdin=b"three")
        self.assertRefused(done, 65, "None of the reply blocks", "used before", "Ask for new ones")
        done = await self.run_command("send", "-R", str(self.received), "--again", stdin=b"three")
        self.assertEqual(done.code, 0)

    async def test_input(self):
        """The answer is in a file, the blocks are on standard input; the result for programs."""
        answer = self.folder / "answer"
        answer.write_bytes(b"from a file")
        done = await self.run_command(
            "send", "-R", "-", "-i", str(answer), "--json", stdin=self.received.read_bytes()
        )
        self.assertTrue(json.loads(done.out)["sent"])
        [(_, inside)] = self.owner.arrived()
        self.assertEqual(inside.content, b"from a file")

    async def test_too_large(self):
        """An answer that takes more blocks than there are."""
        content = self.owner.random.octets(50_000)
        done = await self.run_command("send", "-R", str(self.received), stdin=content)
        self.assertRefused(done, 65, "takes 3 reply blocks, of which 2", "nothing was sent or kept")
        self.assertEqual(self.network.arrived, [])

    async def test_wrong(self):
        """Files without blocks, options that do not go together."""
        file = str(self.received)
        done = await self.run_command("send", "-R", "/nowhere", stdin=b"x")
        self.assertRefused(done, 65, "/nowhere")
        empty = self.folder / "empty"
        empty.write_bytes(b"Hello\n")
        done = await self.run_command("send", "-R", str(empty), stdin=b"x")
        self.assertRefused(done, 65, "There is no reply block in", "whole")
        for options in (
            (),
            ("--again", "-t", "drop"),
            ("-R", file, "-t", "drop"),
            ("-R", file, "--cc", "a@example.org"),
            ("-R", file, "--copies", "2"),
            ("-R", "-"),
        ):
            done = await self.run_command("send", *options, stdin=b"x")
            self.assertEqual(done.code, 64, options)
        self.assertEqual(self.network.arrived, [])
