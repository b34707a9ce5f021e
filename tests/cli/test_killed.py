"""kill -9 of the real command at every step of a send: nothing lost, nothing sent twice.

The servers here keep whatever arrives, twice if it comes twice: nobody's replay protection helps.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

from mixminion.client import blocks_text, packet_file
from mixminion.client.outbox_errors import NotPackets
from mixminion.crypto.rng import SeededRandom
from tests.cli.dying import Dying
from tests.client.answers import Owner
from tests.client.network import NetworkCase, reactor

PATH = ("-P", "mix1,*2,mix5")


class KilledCase(NetworkCase):
    timeout = 600
    least = 20  #: a send has more steps than this

    async def setUp(self):  # type: ignore[override]
        """A home that knows the network, so that no step of a send is a fetch."""
        super().setUp()
        self.intake = self.network.mix("mix1").intake
        self.dying = Dying(reactor)
        self.addCleanup(self.dying.stop)
        self.begun = self.folder / "begun"
        self.begun.mkdir(mode=0o700)
        config = self.begun / "mixminion.conf"
        config.write_text(self.network.config("[Client]\none-shot-notice = no\n"))
        done = await self.dying.run(config, ["update", "-q"])
        self.assertEqual(done["code"], 0, done["said"])
        done = await self.dying.run(config, ["queue", "list"])
        self.assertEqual(done["code"], 0, done["said"])

    async def killed(
        self, arguments: tuple[str, ...], stdin: bytes = b""
    ) -> AsyncIterator[tuple[Path, list[str]]]:
        """Killed at step 1, 2, ... until the command passes: its configuration and its steps,
        the last of them the one at which it died."""
        last, passed = 0, False
        while not passed:
            last += 1
            self.intake.packets.clear()
            home = self.folder / f"home{last}"
            shutil.copytree(self.begun, home)
            config = home / "mixminion.conf"
            given = [each.replace("HOME", str(home)) for each in arguments]
            done = await self.dying.run(config, given, stdin, last)
            passed = done["code"] != -9
            if passed:
                self.assertEqual(done["code"], 0, done["said"])
            yield config, done["steps"]
            shutil.rmtree(home)
        self.assertGreater(last, self.least)

    async def flush(self, config: Path) -> int:
        """Send what is kept; how many packets were handed over by that."""
        before = len(self.intake.packets)
        done = await self.dying.run(config, ["queue", "flush"])
        self.assertEqual(done["code"], 0, done["said"])
        done = await self.dying.run(config, ["queue", "list"])
        self.assertIn("Nothing is kept.", done["said"])
        return len(self.intake.packets) - before


class KilledTests(KilledCase):
    async def sent_once(self, arguments: tuple[str, ...], stdin: bytes, packets: int) -> None:
        """Killed anywhere, and flushed: all packets arrive if the message was kept, else none;
        and one arrives again only if it arrived before the kill, as it was."""
        repeated = 0
        async for config, steps in self.killed(arguments, stdin):
            before = Counter(self.intake.packets)
            self.assertFalse([n for n in before.values() if n > 1], steps)
            flushed = await self.flush(config)
            arrived = Counter(self.intake.packets)
            self.assertEqual(len(arrived), packets if "kept" in steps else 0, steps)
            again = [packet for packet, n in arrived.items() if n > 1]
            self.assertLessEqual(set(again), set(before), steps)
            self.assertEqual(arrived.total(), before.total() + flushed, steps)
            repeated += len(again)
            self.check(set(arrived), stdin)
        self.assertGreater(repeated, 0)  # the window in which nobody can know was met

    def check(self, packets: set[bytes], content: bytes) -> None:
        """That the packets are different ones: one message, or as many fragments."""
        opened = [self.network.open(packet)[2] for packet in packets]
        if len(opened) == 1:
            self.assertEqual(opened[0], ("drop", (), content))
        else:
            numbers = {(each.whole.id, each.block, each.index) for each in opened}
            self.assertEqual(len(numbers), len(opened))
            self.assertLessEqual(len({name for name, _, _ in numbers}), 1)

    async def test_one_packet(self):
        """A message of one packet."""
        await self.sent_once(("send", "-t", "drop", *PATH), b"x", 1)

    async def test_several_packets(self):
        """A message in fragments."""
        await self.sent_once(("send", "-t", "drop", *PATH), os.urandom(40_000), 4)

    async def test_answer(self):
        """An answer to a reply block: the block is used when the answer is kept and not before, and
        no block is ever used twice."""
        owner = Owner(self.network, SeededRandom(b"killed"))
        blocks = self.begun / "blocks"
        blocks.write_text(blocks_text.encode([owner.block()]))
        answer = ("send", "-R", "HOME/blocks", "-P", "mix1,*3")
        async for killed, steps in self.killed(answer, b"Yes"):
            before = set(self.intake.packets)
            flushed = await self.flush(killed)
            arrived = Counter(self.intake.packets)
            self.assertEqual(len(arrived), 1 if "kept" in steps else 0, steps)
            again = {packet for packet, n in arrived.items() if n > 1}
            self.assertLessEqual(again, before, steps)
            self.assertEqual(arrived.total(), len(before) + flushed, steps)
            once_more = [each.replace("HOME", str(killed.parent)) for each in answer]
            done = await self.dying.run(killed, once_more, b"Yes")
            self.assertEqual(done["code"], 65 if "kept" in steps else 0, done["said"])

    async def test_flush(self):
        """A flush of what was kept before: killed anywhere, the next one ends it."""
        config = self.begun / "mixminion.conf"
        done = await self.dying.run(config, ["send", "-t", "drop", *PATH, "--queue"], b"x")
        self.assertEqual(done["code"], 0, done["said"])
        async for killed, steps in self.killed(("queue", "flush")):
            before = set(self.intake.packets)
            await self.flush(killed)
            self.assertEqual(len(set(self.intake.packets)), 1, steps)
            self.assertLessEqual(len(self.intake.packets), 1 + len(before), steps)

    async def test_export(self):
        """Packets on their way to a file: sent from here, or in the file, or still to be put into
        one; never both."""
        config = self.begun / "mixminion.conf"
        done = await self.dying.run(config, ["send", "-t", "drop", *PATH, "--queue"], b"x")
        self.assertEqual(done["code"], 0, done["said"])
        seen = set()
        self.least = 5
        async for killed, steps in self.killed(("queue", "export", "-o", "HOME/packets")):
            file, other = killed.parent / "packets", killed.parent / "other"
            done = await self.dying.run(killed, ["queue", "flush"])
            sent = len(self.intake.packets)
            written = self.written(file)
            done = await self.dying.run(killed, ["queue", "export", "-o", str(other)])
            again = self.written(other)
            self.assertFalse(sent and (written or again), steps)
            self.assertTrue(sent or written or again, steps)
            self.assertLessEqual(len(set(written + again)), 1, steps)
            seen.add((sent, len(written), len(again)))
        self.assertLessEqual({(1, 0, 0), (0, 0, 1), (0, 1, 0)}, seen)

    def written(self, file: Path) -> list[bytes]:
        """The packets of a file, if it is one."""
        try:
            return [each.octets for each in packet_file.parse(file.read_bytes())]
        except (FileNotFoundError, NotPackets):
            return []
