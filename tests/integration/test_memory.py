"""Where private keys are while a server runs: the memory of its processes is looked through.

As root, since nobody else may read the memory of processes that are not dumpable.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from unittest import SkipTest

from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import deferToThread

from mixminion.disk import private
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import mixminion
from tests.app import kit
from tests.app.kit import Home, ServerCase
from tests.memory import Needles, identity_key, packet_keys, scan

PACKETS = 200


def status_of(pid: int, name: str) -> int:
    """A figure of proc(5)'s status."""
    text = Path(f"/proc/{pid}/status").read_text()
    match = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
    assert match is not None
    return int(match[1])


class MemoryTests(AsyncTestCase):
    """A server of twistd's, with two workers, which makes its packet keys itself."""

    timeout = 300

    def setUp(self) -> None:
        if os.geteuid() != 0:
            raise SkipTest("only root reads the memory of a process that is not dumpable")
        self.case = ServerCase()
        self.addCleanup(lambda: deferToThread(self.case.doCleanups))

    async def start(self, home: Home) -> tuple[int, list[int]]:
        """The network process and the workers."""
        await deferToThread(self.case.start, home, "--nodaemon")
        server, *workers = await deferToThread(kit.processes, home)
        self.assertEqual(len(workers), 2)
        return server, workers

    async def flow(self, home: Home) -> None:
        """Have packets come, be unwrapped and handed over."""
        before = (await deferToThread(home.ask))["counters"].get("delivered", 0)
        packets = [kit.packet(home.view, os.urandom(9000)) for _ in range(PACKETS)]
        sender = await kit.send(home.view, home.address, packets)
        self.assertEqual(len(sender.received_keys), PACKETS)

        def arrived() -> bool:
            return bool(home.ask()["counters"].get("delivered", 0) >= before + PACKETS)

        await deferToThread(self.case.wait, arrived, "packets are missing")

    async def test_keys_stay_in_workers(self) -> None:
        """The network process never has a packet key: not after making one, not under load, not
        after a restart.  Workers have those they use.  The identity key nobody has."""
        home = await deferToThread(self.case.home)
        made = max(home.keys.glob("packet-*.key"))
        made.unlink()  # the last of three periods: made again by a worker of the server
        for _ in range(2):
            server, workers = await self.start(home)
            self.assertTrue(made.exists())
            packet, identity = packet_keys(home.keys), identity_key(home.keys)
            self.assertEqual(len(packet.names), 3 * 5)
            self.assertEqual(await self.found(server, packet, identity), set())
            during = ensureDeferred(self.found(server, packet, identity))
            await self.flow(home)
            self.assertEqual(await during, set())
            self.assertEqual(await self.found(server, packet, identity), set())
            for pid in workers:
                self.assertIn("x25519", str(await self.found(pid, packet)))
                self.assertEqual(await self.found(pid, identity), set())
            os.kill(server, 15)
            await deferToThread(self.case.wait, lambda: home.pid is None, "it does not stop")

    async def test_protected_keys_stay_in_workers(self) -> None:
        """With a passphrase, which opens them in workers only."""
        home = await deferToThread(self.case.home)
        packet, identity = packet_keys(home.keys), identity_key(home.keys)
        secret = home.folder.parent / "passphrase"
        private.write(secret, b"correct horse\n")
        options = ["--home", str(home.folder), "--new-passphrase-file", str(secret)]
        await deferToThread(mixminion, "server", "change-passphrase", *options)
        text = home.config.read_text()
        home.config.write_text(
            text.replace("[Server]\n", f"[Server]\npassphrase = file {secret}\n")
        )
        server, workers = await self.start(home)
        during = ensureDeferred(self.found(server, packet, identity))
        await self.flow(home)
        self.assertEqual(await during, set())
        self.assertEqual(await self.found(server, packet, identity), set())
        for pid in workers:
            self.assertIn("x25519", str(await self.found(pid, packet)))
            self.assertEqual(await self.found(pid, identity), set())
            self.assertGreater(status_of(pid, "VmLck"), 0.98 * status_of(pid, "VmSize"))

    async def test_a_planted_key_is_found(self) -> None:
        """Handed to the network process over its own control socket, as a line without end."""
        home = await deferToThread(self.case.home)
        server, _ = await self.start(home)
        packet, identity = packet_keys(home.keys), identity_key(home.keys)
        self.assertEqual(await self.found(server, packet, identity), set())
        for needles in (packet, identity):
            whole = sorted(name for name, each in needles.secrets.items() if b"\n" not in each)
            for name in whole[:2]:
                with socket.socket(socket.AF_UNIX) as control:
                    control.connect(os.path.relpath(home.folder / "control"))
                    control.sendall(needles.secrets[name])
                    await self.appears(server, needles, name)

    async def appears(self, pid: int, needles: Needles, name: str) -> None:
        """Wait until it has been read."""
        for _ in range(20):
            if name in await self.found(pid, needles):
                return
        self.fail(f"{name} is not found")

    async def test_protection(self) -> None:
        """Workers are locked whole and say so; no process is dumpable or dumps core."""
        home = await deferToThread(self.case.home)
        server, workers = await self.start(home)
        await self.flow(home)
        status = await deferToThread(home.ask)
        self.assertEqual(status["attention"], kit.attention(status))
        told = status["protection"]
        self.assertEqual(len(told["workers"]), 2)
        for pid, each in zip(workers, told["workers"], strict=True):
            self.assertGreater(each["locked-kB"], 0.98 * each["size-kB"])
            self.assertGreater(status_of(pid, "VmLck"), 0.98 * status_of(pid, "VmSize"))
        self.assertEqual(status_of(server, "VmLck"), 0)
        for pid, each in zip([server, *workers], [told["server"], *told["workers"]], strict=True):
            self.assertEqual((each["dumpable"], each["core-limit-kB"]), (False, 0))
            limits = Path(f"/proc/{pid}/limits").read_text()
            self.assertRegex(limits, r"Max core file size +0 +0 ")

    async def test_without_locks(self) -> None:
        """Where memory cannot be locked the server works, and status and log say what to do."""
        home = await deferToThread(self.case.home)
        words = ["setpriv", "--bounding-set", "-ipc_lock", "sh", "-c", 'ulimit -l 64; exec "$@"']
        started = kit.Started([*words, "sh", *home.words("--nodaemon")], home.folder, "077")
        self.addCleanup(started.kill)
        await deferToThread(self.case.wait, lambda: home.ready, "it does not answer")
        await self.flow(home)
        status = await deferToThread(home.ask)
        (sentence,) = set(status["attention"]) - set(kit.attention(status))
        self.assertIn("may lock 64 kB", sentence)
        self.assertIn("LimitMEMLOCK=", sentence)
        self.assertEqual([each["locked-kB"] for each in status["protection"]["workers"]], [0, 0])
        self.assertIn(sentence, home.log.read_text())

    async def found(self, pid: int, *needles: Needles) -> set[str]:
        """Which of them the process has."""
        found: set[str] = set()
        for each in needles:
            found |= await deferToThread(scan, pid, each)
        return found
