"""``mixminion count-packets``: the number that ``send`` would send."""

from __future__ import annotations

import json
import os

from tests.cli.clients import CommandCase


class CountTests(CommandCase):
    async def count(self, text, *arguments):
        done = await self.run_command("count-packets", *arguments, "--json", stdin=text)
        self.assertEqual(done.code, 0, done.err)
        return json.loads(done.out)

    async def test_small(self):
        """One packet, also for what fits it deflated."""
        done = await self.run_command("count-packets", stdin=b"Hello\n")
        self.assertEqual((done.code, done.out), (0, "1 packet\n"))
        self.assertEqual((await self.count(os.urandom(14_000).hex().encode()))["packets"], 1)
        self.assertEqual(self.network.arrived, [])

    async def test_large(self):
        """As many as are sent then."""
        text = os.urandom(60_000)
        counted = await self.count(text, "-t", "drop")
        self.assertGreater(counted["packets"], counted["needed"])
        done = await self.run_command("count-packets", "-t", "drop", stdin=text)
        needed = counted["needed"]
        self.assertEqual(done.out, f"{counted['packets']} packets, of which {needed} are enough\n")
        done = await self.run_command("send", "-q", "-t", "drop", stdin=text)
        self.assertEqual(done.code, 0, done.err)
        self.assertEqual(len(self.network.arrived), counted["packets"])

    async def test_too_large(self):
        """More than messages are meant to take is said."""
        done = await self.run_command("count-packets", "-t", "drop", stdin=os.urandom(900_000))
        self.assertEqual(done.code, 0)
        self.assertIn("at most 40: send wants --large", done.err)

    async def test_copies(self):
        """A small message in copies is sent in several packets."""
        self.assertGreaterEqual(
            (await self.count(b"a", "--copies", "2", "-t", "drop"))["packets"], 2
        )

    async def test_wrong(self):
        """What cannot be sent is not counted."""
        done = await self.run_command("count-packets", "-t", "nowhere", stdin=b"a")
        self.assertRefused(done, 64, "'nowhere'")
        done = await self.run_command("count-packets", "-i", str(self.folder / "none"))
        self.assertRefused(done, 65, "No such file")
