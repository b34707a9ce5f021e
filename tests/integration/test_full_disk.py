"""A mix whose store is full: on a full map, on a full tmpfs and on a full ext4.

Everything of the mix, its keys, its log and its store, is on the small file system.  Its
neighbours are away, an honest sender goes on until it is refused, somebody else fills the rest of
the disk, the mix is killed and started again; then the neighbours come back while the disk is full
still.
"""

from __future__ import annotations

import email
import errno
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from mixminion.directory.consensus import Consensus
from mixminion.directory.keydoc import KeyDocument
from mixminion.directory.view import View
from mixminion.testing.cases import AsyncTestCase
from mixminion.testing.commands import NetworkError
from mixminion.testing.network import LocalNetwork
from tests.integration.crash.laboratory import EXIT
from tests.integration.crash.load import Load

DISK = 160  #: MiB of the small file systems; a server leaves 128 to others
MIB = 2**20
AHEAD = 48  #: packets that wait for the mix, at least, while it is filled


class Mounted:
    """A file system at *folder*, which keeps what was there, until :meth:`unmount`."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._image = folder.with_name(folder.name + ".image")
        kept = folder.with_name(folder.name + ".kept")
        folder.rename(kept)
        folder.mkdir(mode=0o700)
        if kind == "tmpfs":
            run("mount", "-t", "tmpfs", "-o", f"size={DISK}m,mode=0700", "tmpfs", folder)
        else:
            with open(self._image, "wb") as image:
                image.truncate(DISK * MIB)
            run("mkfs.ext4", "-q", "-m", "0", self._image)
            run("mount", "-o", "loop", self._image, folder)
            (folder / "lost+found").rmdir()
            folder.chmod(0o700)
        shutil.copytree(kept, folder, dirs_exist_ok=True)

    def fill(self) -> None:
        """Somebody else takes all that is left, to the last octet."""
        with open(self._folder / "filler", "wb", buffering=0) as file:
            for size in (MIB, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """And gives it back."""
        (self._folder / "filler").unlink()

    def unmount(self) -> None:
        """Away with it."""
        run("umount", "--lazy", self._folder)
        self._image.unlink(missing_ok=True)


def run(*command: str | Path) -> None:
    """A command that has to succeed."""
    subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL)


class FullDiskTests(AsyncTestCase):
    """Nothing that was acknowledged is lost; what is refused is taken later."""

    timeout = 300

    def setUp(self) -> None:
        self.network = LocalNetwork(Path(self.mktemp()), exit_lines=EXIT)
        self.network.make()
        self.mix, *self.others = self.network.mixes
        self.disk: Mounted | None = None
        self.addCleanup(self._clean)

    async def _clean(self) -> None:
        try:
            await self.load.close()
            await deferToThread(self.network.stop)
        finally:
            if self.disk is not None:
                self.disk.unmount()

    async def test_map(self) -> None:
        """The store's own limit."""
        self._limit("16 MiB")
        await self._fill()
        await self._kill()
        await self._drain()
        await self._all_arrive()

    async def test_tmpfs(self) -> None:
        """A file system in memory."""
        await self._disk("tmpfs")

    async def test_ext4(self) -> None:
        """A disk."""
        await self._disk("ext4")

    async def test_exit(self) -> None:
        """An exit whose mail server is away: the mix before it is refused, and keeps its own."""
        self.mix = self.network.mixes[-1]
        self.others = [mix for mix in self.network.mixes if mix is not self.mix]
        self._limit("16 MiB")
        self._start_load()
        for mix in self.network.mixes:
            await deferToThread(mix.start)
        feeder = self.network.mixes[0].nickname
        while not self._counter("refused-full"):
            await self.load.top_up(feeder, AHEAD, path=f"{feeder},{self.mix.nickname}")
            await self._sleep(0.1)
        await deferToThread(self.network.start_relay)
        await self._all_arrive()

    # -- what happens ------------------------------------------------------------------------

    async def _disk(self, kind: str) -> None:
        self.disk = await deferToThread(Mounted, self.mix.home, kind)
        await self._fill()
        await deferToThread(self.disk.fill)
        await self._kill()
        await deferToThread(self.mix.stop)
        await deferToThread(self.mix.start)
        await self._drain()
        self.assertEqual(shutil.disk_usage(self.mix.home).free // 4096, 0)
        await deferToThread(self.disk.free)
        await self._all_arrive()

    async def _fill(self) -> None:
        """Until the sender is refused, and nothing that comes after it is taken."""
        self._start_load()
        await deferToThread(self.network.start_relay)
        await deferToThread(self.mix.start)
        while not self._counter("refused-full"):
            await self.load.top_up(self.mix.nickname, AHEAD)
            await self._sleep(0.05)
        self.assertIn("full", " ".join(self._status()["attention"]))
        self.assertGreater(len(self.load.acknowledged), 100)

    async def _kill(self) -> None:
        """Killed while full, and started again while full."""
        before = self._held()
        await deferToThread(self.mix.kill)
        await deferToThread(self.mix.start)
        self.assertGreaterEqual(self._held(), before)

    async def _drain(self) -> None:
        """The neighbours are back: all that was acknowledged goes."""
        acknowledged = set(self.load.acknowledged)
        for mix in self.others:
            await deferToThread(mix.start)
        await self._until(lambda: acknowledged <= self._arrived(), "what was taken does not leave")

    async def _all_arrive(self) -> None:
        """What was refused is taken and arrives, and each mail has one Message-ID; the store
        drains to nothing."""
        await self._until(lambda: not self.load.waiting, "packets are refused for ever")
        built = {b"load-%d" % n for n in range(self.load.built)}
        await self._until(lambda: built <= self._arrived(), "mail is missing")
        await self._until(lambda: self._held() == 0, "the store does not drain")
        names = {(text, name) for text, name in self._mails()}
        self.assertEqual(max(Counter(text for text, _ in names).values()), 1)

    # -- small things ------------------------------------------------------------------------

    def _limit(self, size: str) -> None:
        config = self.mix.config.read_text()
        self.assertIn("512 MiB", config)
        self.mix.config.write_text(config.replace("512 MiB", size))

    def _start_load(self) -> None:
        folder = self.mix.home / "directory"
        consensus, _ = Consensus.open((folder / "consensus").read_bytes())
        digests = {period.keys for period in consensus.key_periods}
        keys = [
            KeyDocument.read((folder / f"keys-{digest.hex()}").read_bytes(), digest)
            for digest in digests
        ]
        self.load = Load(reactor, View(consensus, keys))

    def _status(self) -> dict[str, Any]:
        return self.mix.ask("status")

    def _counter(self, name: str) -> int:
        return int(self._status()["counters"].get(name, 0))

    def _held(self) -> int:
        store = self._status()["store"]
        return int(store["incoming"]) + int(store["pooled"])

    def _mails(self) -> list[tuple[bytes, str]]:
        mails = [email.message_from_bytes(path.read_bytes()) for path in self.network.mails()]
        return [(str(m.get_payload()).strip().encode(), str(m["Message-ID"])) for m in mails]

    def _arrived(self) -> set[bytes]:
        return {text for text, _ in self._mails()}

    async def _until(self, true: Callable[[], bool], complaint: str) -> None:
        for _ in range(600):
            if await deferToThread(true):
                return
            await self._sleep(0.2)
        raise NetworkError(complaint)

    async def _sleep(self, seconds: float) -> None:
        await deferLater(reactor, seconds)
