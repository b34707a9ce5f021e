"""``mixminion server check-store`` on a real server that was stopped, or killed, with packets."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from mixminion.benchmarks.parts import view_of
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.view import View
from mixminion.payload import message
from mixminion.sphinx import build
from mixminion.sphinx.build import Hop
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.commands import wait_until
from mixminion.testing.network import LocalNetwork, Mix
from tests.app import kit
from tests.cli.test_main import run
from tests.store.test_inspection import contents

SECONDS = 60.0


def check(mix: Mix, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Check the store of a mix; nothing in its home is changed by that."""
    before = contents(mix.home)
    done = run("server", "check-store", "--home", str(mix.home), *arguments)
    assert contents(mix.home) == before
    return done


def packet(view: View, hops: int, exit: str, *recipients: str) -> bytes:
    """A packet for an exit, over so many of the network's servers, the first one first."""
    random, now = SystemRandom(), time.time()
    path = [
        Hop(server.node_id, view.packet_key(server.identity, view.current_period(now)), 0)
        for server in view.servers[:hops]
    ]
    body = message.to_body(kit.GEOMETRY, exit, recipients, b"Subject: x\r\n\r\n", random)
    return build.forward(kit.GEOMETRY, path, body, random)


class RealTests(AsyncTestCase):
    """Two mixes of which one runs, and a mail server that does not: what the first takes stays."""

    timeout = 180

    async def setUp(self) -> None:  # type: ignore[override]
        self.network = LocalNetwork(Path(self.mktemp()), mixes=2)
        await deferToThread(self.network.make)
        self.addCleanup(deferToThread, self.network.stop)
        self.view = view_of(self.network.folder)
        addresses = [str(address) for address in self.view.servers[0].addresses]
        [self.mix] = [mix for mix in self.network.mixes if mix.address in addresses]

    async def load(self) -> None:
        """Five packets for the other mix, three mails; all are pooled."""
        packets = [packet(self.view, 2, "drop") for _ in range(5)]
        packets += [packet(self.view, 1, "smtp", "bob@example.test") for _ in range(3)]
        sender = await kit.send(self.view, self.mix.address, packets)
        self.assertEqual(len(sender.received_keys), 8)
        counters = lambda: self.mix.ask("status")["counters"].get("pooled")  # noqa: E731
        await deferToThread(wait_until, lambda: counters() == 8, SECONDS, "not pooled")

    async def checked(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return await deferToThread(check, self.mix, *arguments)

    def assertHolds(self, done: subprocess.CompletedProcess[str], start: int) -> dict[str, Any]:
        """Nothing is wrong, and all eight are there."""
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        found: dict[str, Any] = json.loads(done.stdout)
        self.assertEqual((found["findings"], found["notes"]), ([], []))
        self.assertEqual((found["incoming"], found["pool"]), (0, {"mix": 5, "exit": 3}))
        self.assertEqual([*found["tags"].values()], [8])
        self.assertEqual((found["format"], found["start"]), (2, start))
        return found

    async def test_real(self) -> None:
        """New, running, killed, started again and stopped, and then its store gone."""
        done = await self.checked()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.splitlines()[0], "OK")
        self.assertIn("Note: There is no store in", done.stdout)
        await deferToThread(self.mix.start)
        await self.load()
        home = str(self.mix.home)
        refused = [
            await deferToThread(run, "server", command, "--home", home)
            for command in ("check-store", "start")
        ]
        self.assertEqual([each.returncode for each in refused], [73, 73])
        self.assertEqual(refused[0].stderr, refused[1].stderr)
        self.assertIn(f"in use by process {self.mix.pid}", refused[0].stderr)

        await deferToThread(self.mix.kill)
        killed = self.assertHolds(await self.checked("--json"), 2)
        await deferToThread(self.mix.start)
        await deferToThread(self.mix.stop)
        stopped = self.assertHolds(await self.checked("--json"), 3)
        for name in ("used", "oldest-due", "tags"):
            self.assertEqual(stopped[name], killed[name])

        data = self.mix.home / "store" / "data.mdb"
        octets = data.read_bytes()
        data.unlink()
        done = await self.checked()
        self.assertEqual((done.returncode, done.stderr), (65, ""))
        first, second, empty, *_ = done.stdout.splitlines()
        self.assertIn("is gone; the next start begins a new one", first)
        self.assertIn("Also: So that no packet is taken twice, the next start erases", second)
        self.assertEqual(empty, "")
        data.write_bytes(octets)
        data.chmod(0o600)
        self.assertHolds(await self.checked("--json"), 3)


class ProgressTests(SyncTestCase):
    def test_terminal(self):
        """On a terminal a line says how far it has come, and is gone at the end; elsewhere there
        is none."""
        code = (
            "from mixminion.cli.server_check_store import Progress\n"
            "progress = Progress()\n"
            "for done in range(0, 5001, 1000): progress.show(done, 5000)\n"
            "progress.end()\n"
        )
        self.assertEqual(run(code=code).stderr, "")
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        done = subprocess.run([sys.executable, "-c", code], stderr=theirs, capture_output=False)
        os.close(theirs)
        self.assertEqual(done.returncode, 0)
        shown = os.read(ours, 4096).decode()
        parts = shown.split("\r")
        self.assertEqual(parts[1:7], [f"Checked {n} %" for n in range(0, 101, 20)])
        self.assertEqual(parts[7:], [" " * 13, ""])
