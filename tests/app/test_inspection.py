"""What ``check-store`` says of a home: store, keys and descriptor together."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
from twisted.internet.task import Clock

from mixminion.app import configuration
from mixminion.app.certify import change_passphrase
from mixminion.app.inspection import Report, check_store
from mixminion.app.usual import Which
from mixminion.config.secret import Kind as Source
from mixminion.config.secret import SecretSource
from mixminion.crypto.rng import SystemRandom
from mixminion.disk import lock, private
from mixminion.disk.errors import HomeInUse
from mixminion.disk.keystore import KeyStore, Kind
from mixminion.store import InlineExecutor, Pooled, Step, Store
from mixminion.testing.cases import SyncTestCase
from tests.app.kit import Home
from tests.store.test_inspection import contents


class InspectionCase(SyncTestCase):
    """A home whose store has three packets under the packet key in use."""

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        self.home = Home(folder / "home")
        self.folder = self.home.folder
        self.store = self.folder / "store"
        self.keys = self.home.keys
        self.clock = Clock()
        self.clock.advance(time.time())
        self.periods = sorted(
            int(path.stem.partition("-")[2]) for path in self.keys.glob("packet-*.key")
        )
        self.fill()

    def fill(self, period: int | None = None) -> None:
        """Start a store, and have it take three packets."""
        store = Store.open(
            self.store,
            map_size=512 * 2**20,
            in_thread=InlineExecutor(self.clock),
            random=SystemRandom(),
            keys=KeyStore(Kind.DISK, self.keys),
            free_reserve=0,
        )
        for destination in (b"n" * 32, b"exit:drop", b"exit:drop"):
            taken = store.take_in(b"packet")
            self.clock.advance(0)
            pooled = Pooled(destination, int(self.clock.seconds() * 1000), b"record")
            step = Step(
                self.successResultOf(taken), period or self.periods[0], os.urandom(16), pooled
            )
            done = store.unwrapped([step])
            self.clock.advance(0)
            self.successResultOf(done)
        closed = store.close()
        self.clock.advance(0)
        self.successResultOf(closed)

    def check(self) -> Report:
        """Check it; nothing in the home is changed."""
        before = contents(self.folder)
        report = check_store(
            configuration.load(self.home.config), self.clock, lambda done, of: None
        )
        self.assertEqual(contents(self.folder), before)
        return report

    def wrong(self, *parts: str, notes: int = 0) -> Report:
        """Check it: one sentence with each of *parts* is all that is wrong."""
        report = self.check()
        self.assertEqual(len(report.wrong), len(parts), report.wrong)
        for sentence, part in zip(report.wrong, parts, strict=True):
            self.assertIn(part, sentence)
        self.assertEqual(len(report.notes), notes, report.notes)
        return report


class GoodTests(InspectionCase):
    def test_counts(self):
        """All of it, without an identity."""
        counts = dict(self.wrong().counts())
        self.assertGreater(counts.pop("used"), 0)
        self.assertGreater(counts.pop("limit"), 2**20)
        self.assertEqual(
            counts,
            {
                "store": str(self.store),
                "format": 2,
                "start": 2,
                "incoming": 0,
                "pool": {"mix": 1, "exit": 2},
                "oldest-due": time.strftime(
                    "%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.seconds())
                ),
                "tags": {str(self.periods[0]): 3},
            },
        )

    def test_new(self):
        """A home that was never started."""
        shutil.rmtree(self.store)
        for path in [*self.keys.glob("storage-*"), self.keys / "commits", self.keys / "start"]:
            path.unlink()
        report = self.wrong(notes=1)
        self.assertEqual([*report.notes.values()], ["store-new"])
        self.assertIsNone(report.counts()["pool"])

    def test_in_use(self):
        """A home that somebody holds is refused."""
        held = lock.HomeLock(self.folder)
        held.acquire()
        self.assertRaises(HomeInUse, self.check)
        held.release()
        self.wrong()

    def test_protected(self):
        """Packet keys with a passphrase are noted and not opened; nobody is asked for it."""
        secret = self.folder / "secret"
        private.write(secret, b"correct horse\n")
        config = configuration.load(self.home.config)
        change_passphrase(config, Which.ALL, None, None, SecretSource(Source.FILE, secret))
        report = self.wrong(notes=1)
        self.assertIn("Packet keys have a passphrase (3 of them)", next(iter(report.notes)))

    def test_identity_elsewhere(self):
        """A server does not need its identity key."""
        (self.keys / "identity.key").unlink()
        self.wrong()


class DoubtTests(InspectionCase):
    """Where tags are in doubt, it is said what becomes of packet keys."""

    def doubt(self, part: str) -> None:
        self.wrong(part, "the next start erases the packet keys used so far")

    def test_missing(self):
        """The store is gone."""
        shutil.rmtree(self.store)
        self.doubt("is gone; the next start begins a new one")

    def test_put_back(self):
        """The store is an older copy."""
        shutil.copytree(self.store, self.folder / "copy")
        self.fill()
        shutil.rmtree(self.store)
        (self.folder / "copy").rename(self.store)
        self.doubt("is an older copy of itself")

    def test_damaged(self):
        """The store is no store any more."""
        (self.store / "data.mdb").write_bytes(b"not LMDB" * 1000)
        self.doubt("is damaged (it is not an LMDB file); the next start moves it aside")


class KeyTests(InspectionCase):
    """Keys and documents beside the store."""

    def test_files(self):
        """Whatever cannot be read is told by its name, with what mends it."""
        keys = self.keys
        cases: list[tuple[Path, bytes, str]] = [
            (keys / "identity.pub", b"x", "is no key of 64 hexadecimal digits"),
            (keys / "identity.key", b"x", "is no key of 64 hexadecimal digits"),
            (keys / "signing.key", b"x", "is no key of 64 hexadecimal digits"),
            (keys / "signing.der", b"x", "mixminion server certify"),
            (keys / "signing.json", b"x", "mixminion server certify"),
            (keys / f"packet-{self.periods[1]}.key", b"x", "cannot be read. Move it away"),
            (keys / "storage-1.key", b"x", "move it away and start again"),
            (self.folder / "descriptor", b"x", "the next start makes a new one"),
        ]
        for path, octets, part in cases:
            good = path.read_bytes()
            path.write_bytes(octets)
            report = self.check()
            self.assertEqual(len(report.wrong), 1, (path, report.wrong))
            self.assertIn(part, next(iter(report.wrong)))
            path.write_bytes(good)
        self.wrong()

    def test_modes(self):
        """What others could read is told once, with the command that mends it."""
        packet_key = self.keys / f"packet-{self.periods[0]}.key"
        for path in (self.keys, self.keys / "signing.key", packet_key, self.store / "data.mdb"):
            mode = path.stat().st_mode
            path.chmod(mode | 0o044)
            self.wrong(f"chmod {mode & 0o777:o} {path}")
            path.chmod(mode)

    def test_missing(self):
        """A file that every server has."""
        (self.keys / "signing.der").unlink()
        self.wrong("signing.der is missing")

    def test_tags_of_unknown_keys(self):
        """Of a key that should be there, and of one whose time is over."""
        (self.keys / f"packet-{self.periods[0]}.key").rename(self.folder / "kept")
        report = self.wrong(notes=1)
        self.assertIn("erased are left (1 of these keys)", next(iter(report.notes)))
        (self.folder / "kept").rename(self.keys / f"packet-{self.periods[0]}.key")
        self.fill(self.periods[1])
        (self.keys / f"packet-{self.periods[1]}.key").unlink()
        self.fill(self.periods[-1] + 1)
        self.wrong("Packet keys that have accepted packets are gone (2 of them)")

    def test_unfinished(self):
        """Half of a packet key."""
        private.write(self.keys / ".packet-7.key.x", b"half")
        report = self.wrong(notes=1)
        self.assertIn("(1 of them)", next(iter(report.notes)))


class RoomTests(InspectionCase):
    def test_filling(self):
        """A store that is nearly full is told with what to do."""
        self.spoil(
            lambda txn, tags: [txn.put(os.urandom(16), b"", db=tags) for _ in range(300_000)]
        )
        text = self.home.config.read_text()
        self.home.config.write_text(text.replace("512 MiB", "16 MiB"))
        self.wrong("% full, and at 100 % packets are refused: wait until it has drained")

    def spoil(self, work: Callable[[Any, Any], object]) -> None:
        environment = lmdb.open(str(self.store), max_dbs=16, map_size=2**29)
        with environment, environment.begin(write=True) as txn:
            name = b"tags/1/%016x" % self.periods[0]
            work(txn, environment.open_db(name, txn=txn))
