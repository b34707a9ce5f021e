"""Stores and keys that were lost or put back, as an operator meets them: real servers."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

from mixminion.directory.descriptor import Descriptor
from mixminion.disk import memory
from tests.app.kit import Home, ServerCase

SHM = Path("/dev/shm")


class StorageCase(ServerCase):
    """A server that is started and ended again and again."""

    def run_once(self, home: Home, *, kill: bool = False) -> dict[str, Any]:
        """Start, ask, end; what status says."""
        started = self.start(home, "--nodaemon")
        self.wait(lambda: self.descriptor(home).start == home.ask()["key-store"]["start"], "stale")
        status = home.ask()
        started.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        started.done()
        return status

    def descriptor(self, home: Home) -> Descriptor:
        return Descriptor.verify((home.folder / "descriptor").read_bytes(), time.time())

    def keys(self, home: Home) -> dict[int, bytes]:
        """The public packet keys by period, as published."""
        return {each.period: each.key for each in self.descriptor(home).packet_keys}

    def found(self, home: Home, status: dict[str, Any], *parts: str) -> None:
        """Status and log have a sentence with each part, in order; nothing else was found."""
        self.assertEqual(len(status["found"]), len(parts), status["found"])
        for part, sentence in zip(parts, status["found"], strict=True):
            self.assertIn(part, sentence)
            self.assertIn(sentence, status["attention"])
            self.assertIn(sentence, home.log.read_text())


class DoubtTests(StorageCase):
    """Packet keys whose tags are in doubt go; the others stay."""

    def doubt(self, home: Home, before: dict[int, bytes]) -> None:
        """The key in use is another one, those of later periods are the same."""
        after = self.keys(home)
        periods = sorted(before)
        self.assertEqual(sorted(after), periods)
        self.assertNotEqual(after[periods[0]], before[periods[0]])
        self.assertEqual(after[periods[-1]], before[periods[-1]])

    def test_put_back(self):
        """An older copy of the store; then the same keys and a start number that grows."""
        home = self.home()
        first = self.run_once(home)
        self.found(home, first)
        keys = self.keys(home)
        store, copy = home.folder / "store", home.folder / "copy"
        shutil.copytree(store, copy)
        second = self.run_once(home, kill=True)
        self.found(home, second)
        self.assertEqual(self.keys(home), keys)
        shutil.rmtree(store)
        copy.rename(store)
        third = self.run_once(home)
        self.found(home, third, "an older copy of itself", "packet keys used so far")
        self.doubt(home, keys)
        numbers = [each["key-store"]["start"] for each in (first, second, third)]
        self.assertEqual(numbers, [2, 3, 4])

    def test_missing_and_damaged(self):
        """No store, then junk in its place, which is kept aside."""
        home = self.home()
        self.run_once(home)
        keys = self.keys(home)
        shutil.rmtree(home.folder / "store")
        self.found(home, self.run_once(home), "is gone and a new one", "packet keys used so far")
        self.doubt(home, keys)
        keys = self.keys(home)
        (home.folder / "store" / "data.mdb").write_bytes(b"not LMDB" * 1000)
        self.found(
            home, self.run_once(home), "was damaged (it is not an", "packet keys used so far"
        )
        self.doubt(home, keys)
        aside = home.folder / "store.damaged-1" / "data.mdb"
        self.assertEqual(aside.read_bytes(), b"not LMDB" * 1000)


class RamTests(StorageCase):
    """Keys in memory."""

    def in_memory(self, home: Home, folder: Path) -> None:
        text = home.config.read_text()
        lines = f"[Server]\nkey-store = ram\nkey-store-path = {folder}\n"
        home.config.write_text(text.replace("[Server]\n", lines))

    def test_ram(self):
        """They survive kill -9; what a loss of power takes is said."""
        if memory.file_system(SHM).name not in memory.IN_MEMORY:
            self.skipTest("/dev/shm is not in memory")
        folder = Path(tempfile.mkdtemp(dir=SHM))
        self.addCleanup(shutil.rmtree, folder)
        home = self.home()
        self.in_memory(home, folder / "keys")
        self.run_once(home)
        status = self.run_once(home, kill=True)
        self.assertEqual(status["key-store"]["kind"], "ram")
        self.assertIn("does not survive a loss of power", status["key-store"]["promise"])
        keys = self.keys(home)
        self.found(home, self.run_once(home))
        self.assertEqual(self.keys(home), keys)
        names = {path.name.partition("-")[0] for path in (folder / "keys").iterdir()}
        self.assertEqual(names, {"packet", "storage", "commits", "start"})
        shutil.rmtree(folder / "keys")
        self.found(home, self.run_once(home), "are gone (kept in ram)")
        self.assertFalse(set(self.keys(home).values()) & set(keys.values()))

    def test_not_in_memory(self):
        """A folder on a disk is refused."""
        home = self.home()
        if memory.file_system(home.folder).name in memory.IN_MEMORY:
            self.skipTest("the home is in memory")
        self.in_memory(home, home.folder / "ram")
        self.assertRefused(home.twistd("--nodaemon").done(), 78, "not in memory", "tmpfs")
        self.assertFalse((home.folder / "ram").exists())
