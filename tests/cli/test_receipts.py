"""``mixminion send --receipt`` and ``mixminion receipts``."""

from __future__ import annotations

import json

from mixminion.directory.parts import Exit
from tests.cli.clients import CommandCase
from tests.client.network import DROP

MAILBOX = Exit(name="mailbox", module="mailbox", max_message=100_000, policy={"max-recipients": 1})
ANSWERING = Exit(
    name="drop", module="drop", max_message=2**25, policy={**DROP.policy, "receipts": True}
)


class ReceiptsTests(CommandCase):
    async def test_no_exit_sends_any(self):
        """Nothing is sent, and the sentence says what to do."""
        for mix in self.network.mixes[-2:]:
            mix.exits = (DROP, MAILBOX)
        self.network.sign()
        done = await self.run_command("send", "-t", "drop", "--receipt", stdin=b"hello")
        self.assertEqual(done.code, 69)
        self.assertIn("No exit 'drop' of the network sends receipts", done.err)
        self.assertEqual(self.network.arrived, [])

    async def test_waiting(self):
        """What waits is shown, and forgotten on demand."""
        done = await self.run_command("receipts", "list")
        self.assertEqual((done.code, done.out), (0, "No message waits for a receipt.\n"))
        for mix in self.network.mixes[-2:]:
            mix.exits = (ANSWERING, MAILBOX)
        self.network.sign()
        done = await self.run_command("send", "-t", "drop", "--receipt", stdin=b"hello")
        self.assertEqual(done.code, 0, done.err)
        self.assertIn("a receipt is waited for: `mixminion receipts check` fetches it", done.err)
        self.assertEqual(len(self.network.arrived), 1)
        done = await self.run_command("receipts", "list")
        self.assertRegex(done.out, r"^1: since \S+Z, sent once, waits until \S+Z\n$")
        done = await self.run_command("receipts", "list", "--json")
        [found] = json.loads(done.out)
        self.assertEqual((found["number"], found["state"], found["attempts"]), (1, "waiting", 1))
        done = await self.run_command("receipts", "forget", "1", "7")
        self.assertEqual((done.code, done.out), (0, "1 forgotten\n"))
        done = await self.run_command("receipts", "list", "--json")
        self.assertEqual(json.loads(done.out), [])

    async def test_wrong_uses(self):
        """Not with an answer to a reply block; and forgetting takes numbers."""
        done = await self.run_command("send", "-R", "letter", "--receipt", stdin=b"hello")
        self.assertEqual(done.code, 64)
        done = await self.run_command("receipts", "forget")
        self.assertEqual(done.code, 64)
