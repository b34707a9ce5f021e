"""kill -9 of the real command at every step of an answer, and of reading one."""

from __future__ import annotations

import json
from pathlib import Path

from mixminion.client import blocks_text
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parts import Exit
from tests.cli.test_killed import PATH, KilledCase
from tests.client.answers import Owner

EXIT = Exit(name="mailbox", module="mailbox", max_message=2**20)
ANSWER = b"an answer"


class KilledAnswerTests(KilledCase):
    async def setUp(self):  # type: ignore[override]
        await super().setUp()
        self.owner = Owner(self.network, SeededRandom(b"killed"))

    async def test_answering(self):
        """A block is used exactly when its answer is kept, and that arrives as one packet."""
        text = blocks_text.encode([self.owner.block()])
        (self.begun / "received").write_text(text)
        used = set()
        async for config, steps in self.killed(("send", "-R", "HOME/received", *PATH), ANSWER):
            kept = "kept" in steps
            await self.flush(config)
            self.assertEqual(len(set(self.intake.packets)), int(kept), steps)
            answer = ("send", "-R", str(config.parent / "received"), *PATH)
            done = await self.dying.run(config, answer, b"another")
            self.assertEqual(done["code"], 65 if kept else 0, done["said"])
            self.assertEqual(len(set(self.intake.packets)), 1, steps)
            used.add(kept)
        self.assertEqual(used, {False, True})

    async def received(self) -> Path:
        """A sealed answer to a block of ours, in a file."""
        self.network.mix("mix5").exits += (EXIT,)
        self.network.sign()
        config = self.begun / "mixminion.conf"
        blocks = str(self.begun / "blocks")
        for arguments in (
            ("update", "-q"),
            ("reply-block", "create", "-o", blocks),
            ("send", "-q", "-R", blocks),
        ):
            done = await self.dying.run(config, arguments, ANSWER)
            self.assertEqual(done["code"], 0, done["said"])
        [(_, answer)] = self.owner.delivered()
        file = self.begun / f"1-{answer.surb_id.hex()}.reply"
        file.write_bytes(answer.payload)
        for mix in self.network.mixes:
            mix.intake.packets.clear()
        return file

    async def test_reading(self):
        """An answer that was not written can be read by the next command, and its block counts as
        used only once it was."""
        file = await self.received()
        self.least = 5
        seen = set()
        options = ("decode", "-i", f"HOME/{file.name}", "-o", "HOME/answer")
        async for config, steps in self.killed(options):
            home = config.parent
            written = (home / "answer").exists()
            if written:
                self.assertEqual((home / "answer").read_bytes(), ANSWER, steps)
            done = await self.dying.run(config, ["reply-block", "list", "--json"])
            used = any(each["used"] for each in json.loads(done["said"]))
            self.assertTrue(written or not used, steps)
            done = await self.dying.run(config, ["decode", "-i", str(home / file.name)])
            self.assertEqual(ANSWER.decode() in done["said"], not used, done["said"])
            seen.add((written, used))
        self.assertEqual(seen, {(False, False), (True, False), (True, True)})
