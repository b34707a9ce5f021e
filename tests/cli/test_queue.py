"""``mixminion queue``: what is kept, by its numbers."""

from __future__ import annotations

import json
import os

from twisted.internet.defer import Deferred, DeferredList

from mixminion import api
from mixminion.client import entries
from mixminion.interfaces import Refusal
from tests.cli.clients import CommandCase


class QueueTests(CommandCase):
    """That a kept message is sent by ``flush`` is shown with ``mixminion send``."""

    async def test_large(self):
        """A message in several packets is one line, and goes by one number."""
        self.patch(entries, "RETRY_AFTER", (0.05,))
        client = self.client()
        for mix in self.network.mixes:
            mix.intake.refusal = Refusal.FULL
        with self.assertRaises(api.NotHandedOver):
            await client.send("drop", os.urandom(100_000))
        done = await self.run_command("queue", "list")
        self.assertRegex(done.out, r"^1: since .*, 7 packets of a large message\n$")
        done = await self.run_command("queue", "list", "--json")
        ((number, packets),) = [(each["number"], each["packets"]) for each in json.loads(done.out)]
        self.assertEqual((number, packets), (1, 7))
        self.network.mixes[0].intake.refusal = None
        done = await self.run_command("queue", "clean", "1")
        self.assertEqual((done.code, done.out), (0, "7 deleted\n"))

    async def test_numbers(self):
        """Listing, sending and deleting by number; a number that is not there does nothing."""
        client = self.client()
        for mix in self.network.mixes:
            mix.intake.refusal = Refusal.FULL
        sending = [Deferred.fromCoroutine(client.send("drop", b"x")) for _ in range(3)]
        await DeferredList(sending, consumeErrors=True)
        for mix in self.network.mixes:
            mix.intake.refusal = None
        done = await self.run_command("queue", "list", "--json")
        self.assertEqual(
            [(each["number"], each["handed"]) for each in json.loads(done.out)],
            [(1, True), (2, True), (3, True)],
        )
        done = await self.run_command("queue", "flush", "2")
        self.assertEqual((done.code, done.out), (0, "1 handed over, 0 still kept\n"))
        self.assertEqual(len(self.network.arrived), 1)
        done = await self.run_command("queue", "clean")
        self.assertEqual((done.code, done.out), (0, "0 deleted\n"))
        done = await self.run_command("queue", "clean", "1", "2", "--json")
        self.assertEqual(json.loads(done.out), {"deleted": 1})
        done = await self.run_command("queue", "list")
        self.assertRegex(done.out, r"^3: since")

    async def test_carried(self):
        """Out to a file and in from one: sent once, whichever machine sends."""
        self.configure("[Client]\none-shot-notice = no\n")
        done = await self.run_command("send", "-t", "drop", "--queue", stdin=b"x")
        self.assertEqual(done.code, 0)
        self.assertIn("not sent, but kept as number 1: `mixminion queue flush` sends it", done.err)
        packets = self.folder / "packets"
        done = await self.run_command("queue", "export", "-o", str(packets), "--json")
        self.assertEqual(json.loads(done.out), {"packets": 1, "file": str(packets)})
        done = await self.run_command("queue", "flush")
        self.assertEqual((done.out, self.network.arrived), ("0 handed over, 0 still kept\n", []))
        done = await self.run_command("queue", "import", "-i", str(packets))
        self.assertEqual((done.code, done.out), (0, "1 kept: `mixminion queue flush` sends them\n"))
        done = await self.run_command("queue", "import", "-i", str(packets), "--json")
        self.assertEqual(json.loads(done.out), {"numbers": []})
        done = await self.run_command("queue", "flush")
        self.assertEqual(done.out, "1 handed over, 0 still kept\n")
        self.assertEqual(len(self.network.arrived), 1)

    async def test_send_to_a_file(self):
        """Packets that leave in a file at once; one that is there stays as it is."""
        packets = self.folder / "packets"
        to_file = ("send", "-t", "drop", "-o", str(packets))
        done = await self.run_command(*to_file, "--json", stdin=os.urandom(100_000))
        result = json.loads(done.out)
        self.assertEqual((result["sent"], result["packets"]), (False, 7))
        self.assertEqual(result["file"], str(packets))
        self.assertIn(f"not sent: 7 packets are written to {packets}\n", done.err)
        self.assertNotIn("unobservable", done.err)
        done = await self.run_command("queue", "list")
        self.assertEqual(done.out, "Nothing is kept.\n")
        done = await self.run_command(*to_file, stdin=b"x")
        self.assertRefused(done, 73, "name another")

    async def test_wrong_files(self):
        """None, one that is something else, and nothing that could go into one."""
        done = await self.run_command("queue", "import", "-i", "nowhere")
        self.assertRefused(done, 65, "'nowhere'")
        done = await self.run_command("queue", "import", "-i", str(self.config))
        self.assertRefused(done, 65, "no file of packets")
        done = await self.run_command("queue", "export", "-o", str(self.folder / "x"))
        self.assertRefused(done, 64, "Nothing of that is kept")

    async def test_kept_long(self):
        """What is kept for long is said at every command that works with what is kept."""
        client = self.client()
        await client.send("drop", b"x", hand_over=False)
        await self.age(client, 30)
        for command in (("queue", "list"), ("list-servers",)):
            done = await self.run_command(*command)
            self.assertIn("warning: 1 packet is kept since", done.err)
        self.configure("[Outbox]\nwarn-after = 1 hour\ndelete-after = 20 hours\n")
        done = await self.run_command("queue", "list")
        self.assertIn("as delete-after in [Outbox] says; not sent", done.err)
        self.assertEqual(done.out, "Nothing is kept.\n")
        self.assertEqual((await self.run_command("queue", "list")).err, "")

    async def age(self, client, hours):
        """Have everything been kept for so long."""
        query = f"UPDATE packets SET hour = hour - {hours * 3600}"
        await client._parts.database.run(lambda connection: connection.execute(query) and None)
