"""No private packet key comes into the network process: its whole memory is looked through.

This process is the network process here, with real workers; another one, which alone knows
the keys, gets a copy of all memory.  The same with a whole server is in
``tests/integration/test_memory.py``: only root may read that one's memory.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from unittest import SkipTest

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from mixminion.counters import Counters
from mixminion.crypto.rng import SystemRandom
from mixminion.disk import private
from mixminion.mix.batches import Answer, Wanted
from mixminion.mix.workers import WorkerProcesses
from mixminion.sphinx import build
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.build import Hop
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from tests.memory import Needles, dump, packet_secrets

GEOMETRY = geometries.default()
NODE = bytes(32)


class NeedleTests(SyncTestCase):
    """The search itself."""

    def test_forms(self):
        """A key is found raw, in part, in hexadecimal and base64, across the border of pieces."""
        secret = SystemRandom().octets(32)
        needles = Needles({"it": secret})
        padding = SystemRandom().octets(1000)
        shown = [
            secret,
            secret[:20],
            secret.hex().encode(),
            secret.hex().upper().encode(),
            *(base64.b64encode(padding[:n] + secret + padding[:9]) for n in range(4)),
            base64.urlsafe_b64encode(b"xx" + secret),
        ]
        for form in shown:
            for at in (0, 7, len(form) // 2):
                pieces = [padding + form[:at], form[at:] + padding]
                self.assertEqual(needles.found(pieces), {"it"})
        self.assertEqual(needles.found([padding, padding]), set())

    def test_derived(self):
        """The names are of five different secrets."""
        self.assertEqual(len(set(packet_secrets(bytes(range(32))).values())), 5)


class MemoryTests(AsyncTestCase):
    """Keys are made, packets unwrapped, workers replaced: no key is here."""

    timeout = 120

    async def look(self, folder: Path) -> list[str]:
        """Which keys of *folder* are in this process."""
        return list(await deferToThread(look, folder))

    async def test_no_key(self) -> None:
        """None after the making, none while packets are unwrapped, none after a restart; a planted
        one is found."""
        if not os.access("/proc/self/mem", os.R_OK):
            raise SkipTest("this system does not show a process its memory")
        folder = Path(self.mktemp()).absolute()
        private.make_folder(folder)
        public: dict[int, bytes] = {}
        for _ in range(2):
            pool = WorkerProcesses(reactor, GEOMETRY.packet, NODE, folder, 2, Counters())
            pool.start()
            self.addCleanup(pool.stop)
            made = await pool.make([Wanted(period, GEOMETRY) for period in (1, 2)])
            public |= {each.period: each.key for each in made}
            self.assertEqual(await self.look(folder), [])
            packets = [self.packet(public[1 + n % 2]) for n in range(16)]
            for _ in range(4):
                answers = await pool.unwrap([1, 2], packets)
                self.assertTrue(all(isinstance(each, Answer) for each in answers))
            self.assertEqual(await self.look(folder), [])
            await pool.stop()
        planted = json.loads(private.read(folder / "packet-2.key"))
        self.assertEqual(await self.look(folder), ["packet-2 seed"])
        del planted

    @staticmethod
    def packet(public: bytes) -> bytes:
        """A packet that ends here."""
        random = SystemRandom()
        return build.forward(GEOMETRY, [Hop(NODE, public, 0)], random.octets(GEOMETRY.body), random)


def look(folder: Path) -> Iterable[str]:
    """Give this process's memory to one that knows the keys."""
    words = [sys.executable, "-m", "tests.memory", str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as scanner:
        assert scanner.stdin is not None and scanner.stdout is not None
        with scanner.stdin as pipe:
            for piece in dump():
                pipe.write(piece)
        found: list[str] = json.loads(scanner.stdout.read())
    return found
