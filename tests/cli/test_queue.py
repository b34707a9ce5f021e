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
