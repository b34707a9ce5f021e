"""Opening, and disks that fail."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import resource
import signal
import stat
import subprocess
import sys
from pathlib import Path

import lmdb
from twisted.python.failure import Failure

from mixminion.crypto.rng import SystemRandom
from mixminion.disk.errors import PrivateFileError, WriteFailed
from mixminion.disk.keystore import KeyStore, Kind
from mixminion.errors import render
from mixminion.store import (
    Pooled,
    Step,
    Store,
    StoreError,
    StoreFull,
    StoreTooNew,
    StoreUnusable,
)
from mixminion.store.keyring import Keyring
from mixminion.store.opening import check
from mixminion.store.room import PAGE, RESERVE
from mixminion.store.witness import Witness
from tests.store.cases import MAP, NODE, PACKET, StoreCase


class OpenTests(StoreCase):
    """What is opened, and what is refused."""

    def test_modes(self):
        """0600 in 0700 whatever the umask, and writable at once under the strangest."""
        for umask in (0o000, 0o077, 0o777):
            with self.subTest(umask=umask):
                self.path = self.path.parent / f"store-{umask:o}"
                old = os.umask(umask)
                try:
                    store = self.open()
                finally:
                    os.umask(old)
                self.result(store.take_in(b"packet"))
                modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in self.path.iterdir()}
                self.assertEqual(modes, {"data.mdb": 0o600, "lock.mdb": 0o600})
                self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o700)

    def test_others_may_read(self):
        """A store that others can read is refused with the command that mends it."""
        self.result(self.open().close())
        (self.path / "data.mdb").chmod(0o644)
        with self.assertRaises(PrivateFileError) as caught:
            self.open()
        self.assertIn("chmod 600", render(caught.exception))

    def test_too_new(self):
        """A later format is refused with a sentence that names both, and stays as it was."""
        self.result(self.open().close())
        with lmdb.open(str(self.path), max_dbs=8) as environment:
            meta = environment.open_db(b"meta")
            with environment.begin(write=True) as txn:
                self.assertEqual(txn.get(b"format", db=meta), b"2")
                txn.put(b"format", b"3", db=meta)
        with self.assertRaises(StoreTooNew) as caught:
            self.open()
        self.assertIn("format 3", render(caught.exception))
        self.assertIn("up to 2", render(caught.exception))
        self.assertEqual(caught.exception.exit_code, 73)

    def test_synced(self):
        """Commits are synced: nothing is acknowledged that a power loss would take."""
        environment = self.open()._spool._environment
        assert environment is not None
        flags = environment.flags()
        self.assertTrue(flags["sync"] and flags["metasync"])
        self.assertFalse(flags["writemap"] or flags["map_async"])


class DiskErrorTests(StoreCase):
    """Real failures of real writes."""

    def limit_files(self, size: int) -> None:
        """From now on files of this process end at *size* octets: EFBIG, as ENOSPC would be."""
        old_handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
        self.addCleanup(signal.signal, signal.SIGXFSZ, old_handler)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, old)
        self.lift = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, old)

    def test_no_space(self):
        """A write the disk refuses fails alone; what needs no new page goes on; after it the
        store works as if nothing had been."""
        store = self.open()
        kept = [self.pooled(store, bytes(PACKET)) for _ in range(30)]
        self.result(store.delete(kept[:10]))
        self.result(store.barrier(PACKET))
        environment = store._spool._environment
        assert environment is not None
        self.limit_files((environment.info()["last_pgno"] + 1) * 4096)
        large = store.take_in(bytes(4 * 2**20))
        deleted = store.delete(kept[10:12])
        read = store.read([kept[20]])
        small = store.take_in(b"small")
        self.clock.advance(0)
        self.failureResultOf(large, StoreError)
        self.successResultOf(deleted)
        self.assertEqual(self.successResultOf(read), [bytes(PACKET)])
        taken = self.successResultOf(small)
        self.lift()
        again = self.result(store.take_in(bytes(4 * 2**20)))
        self.assertEqual(self.result(store.waiting()).incoming, [taken, again])
        self.assertEqual(self.result(store.counts()).pooled, 18)
        self.result(store.close())
        self.assertEqual(len(self.result(self.open().waiting()).pooled), 18)

    def test_opened_on_a_full_disk(self):
        """Wherever the disk ends, what is done before the fork says so in a sentence, or the start
        works; nothing that was left keeps the next from working."""
        outcomes = []
        for size in range(0, 40 * PAGE, PAGE):
            self.path = self.path.with_name(f"store-{size}")
            self.keys = KeyStore(Kind.DISK, self.path.with_name(f"keys-{size}"))
            self.limit_files(size)
            try:
                Keyring(self.keys, SystemRandom(), 1)
                Witness(self.keys).close()
                check(self.path, MAP)
            except (StoreUnusable, WriteFailed) as error:
                self.assertEqual(error.exit_code, 73)
                self.assertRegex(render(error), "File too large|may be full")
                outcomes.append(False)
            else:
                for _ in range(5):
                    self.result(self.open().close())
                outcomes.append(True)
            self.lift()
            store = self.open()
            self.assertEqual([f for f in store.started.findings if f.doubtful], [])
            self.pooled(store, bytes(PACKET))
            self.result(store.close())
        self.assertEqual(outcomes, sorted(outcomes))
        self.assertEqual((outcomes[0], outcomes[-1]), (False, True))

    def test_small_disks(self):
        """A disk of any size is filled until it refuses, and drained to nothing, in any order,
        while it has not a page more to give; nothing fails on the way."""
        dice = random.Random(1)
        for size in (2**17, 2**18, 2**19, 2**20, 3 * 2**20, 7 * 2**20):
            self.path = self.path.with_name(f"store-{size}")
            self.keys = KeyStore(Kind.DISK, self.path.with_name(f"keys-{size}"))
            store = self.open()
            self.limit_files(size)
            for _ in range(5):
                held = self.fill(store)
                counts = self.result(store.counts())
                self.assertLessEqual(counts.limit, max(size // 4, size - RESERVE))
                self.assertEqual(bool(held), size > 2**17)
                self.drain(store, held, dice)
                counts = self.result(store.counts())
                self.assertEqual((counts.incoming, counts.pooled), (0, 0))
            self.lift()

    def fill(self, store: Store) -> list[int]:
        """Take in until it is full."""
        ids: list[int] = []
        refused: list[Failure] = []
        while not refused:
            taken = store.take_in(os.urandom(PACKET))
            self.clock.advance(0)
            _ = taken.addCallbacks(ids.append, refused.append)
        self.assertIsInstance(refused[0].value, StoreFull)
        return ids

    def drain(self, store: Store, held: list[int], dice: random.Random) -> None:
        """Unwrap and delete, in any order, in batches of any size."""
        pooled: list[int] = []
        dice.shuffle(held)
        while held or pooled:
            count = dice.randint(1, 16)
            if held and dice.random() < 0.7:
                batch, held = held[:count], held[count:]
                made = Pooled(NODE, 1, bytes(PACKET))
                steps = [Step(n, 1, os.urandom(16), made) for n in batch]
                pooled += [n for n in self.result(store.unwrapped(steps)) if isinstance(n, int)]
            else:
                self.result(store.delete(pooled[:count]))
                pooled = pooled[count:]

    def test_meta_page_lost(self):
        """When LMDB wants to be opened again after a failed write, it is."""
        store = self.open()
        kept = self.pooled(store, b"kept")
        descriptor = synced_descriptor(self.path / "data.mdb")
        blind = os.open(self.path / "data.mdb", os.O_RDONLY)
        os.dup2(blind, descriptor)
        os.close(blind)
        failed = store.take_in(b"packet")
        self.clock.advance(0)
        self.failureResultOf(failed, StoreError)
        taken = self.result(store.take_in(b"packet"))
        waiting = self.result(store.waiting())
        self.assertEqual(waiting.incoming, [taken])
        self.assertEqual([entry.id for entry in waiting.pooled], [kept])

    def test_tags_after_failure(self):
        """The handle of a sub-database that a failed transaction made is not used again."""
        store = self.open()
        ids = self.results([store.take_in(b"packet") for _ in range(3)])
        too_large = Pooled(NODE, 1, bytes(MAP))
        failed = store.unwrapped([Step(ids[0], 5, b"t" * 16, too_large)])
        done = store.unwrapped([Step(ids[1], 6, b"t" * 16, Pooled(NODE, 1, b"record"))])
        self.clock.advance(0)
        self.failureResultOf(failed, StoreError)
        self.assertIsInstance(self.successResultOf(done)[0], int)
        waiting = self.result(store.waiting())
        self.assertEqual(waiting.tag_keys, [6])
        self.assertEqual(waiting.incoming, [ids[0], ids[2]])
        self.assertEqual(
            self.result(store.unwrapped([Step(ids[2], 6, b"t" * 16)]))[0].name, "REPLAY"
        )

    def test_our_mistake(self):
        """A defect fails its own operation with the exception it made, and nothing else."""
        store = self.open()
        wrong = store.take_in("text")  # type: ignore[arg-type]
        right = store.take_in(b"packet")
        self.clock.advance(0)
        self.failureResultOf(wrong, TypeError)
        self.successResultOf(right)


CHILD = """
import os, sys
from pathlib import Path
from queue import SimpleQueue
from mixminion.crypto.rng import SystemRandom
from mixminion.disk.keystore import KeyStore, Kind
from mixminion.store import REPLAY, Pooled, Step, Store, ThreadExecutor

class Turns:
    def __init__(self):
        self.calls = SimpleQueue()
    def callFromThread(self, function, *arguments):
        self.calls.put((function, arguments))

turns = Turns()
store = Store.open(Path(sys.argv[1]), map_size=2**28, in_thread=ThreadExecutor(turns),
                   random=SystemRandom(), period=1,
                   keys=KeyStore(Kind.DISK, Path(sys.argv[1]).parent / "keys"))
first = int(sys.argv[2])

def say(word, number):
    os.write(1, f"{word} {number}\\n".encode())

def taken(incoming, number):
    say("taken", number)
    record = number.to_bytes(8) * 4000
    step = Step(incoming, 1, number.to_bytes(16), Pooled(b"n" * 32, number, record))
    store.unwrapped([step]).addCallback(pooled, number)

def pooled(verdicts, number):
    say("pooled", number)
    if number % 3 == 0:
        store.delete(verdicts).addCallback(lambda _: say("deleted", number))

while True:
    for _ in range(5):
        store.take_in(first.to_bytes(8) * 4096).addCallback(taken, first)
        first += 1
    function, arguments = turns.calls.get()
    function(*arguments)
"""


class KillTests(StoreCase):
    """kill -9 in the middle of commits, again and again, over one store."""

    def test_acknowledged_is_there(self):
        """Every packet that was acknowledged is in the store, whole, in one place; what was
        not acknowledged is there or not, but never twice."""
        taken: set[int] = set()
        pooled: set[int] = set()
        deleted: set[int] = set()
        for turn in range(4):
            for word, number in self.run_and_kill(1 + turn * 100_000, 150 + 61 * turn):
                {"taken": taken, "pooled": pooled, "deleted": deleted}[word].add(number)
            store = self.open(map_size=2**28)
            waiting = self.result(store.waiting())
            packets = self.result(store.read_incoming(waiting.incoming))
            incoming = [self.number(packet, 4096) for packet in packets]
            records = self.result(store.read([entry.id for entry in waiting.pooled]))
            in_pool = [self.number(record, 4000) for record in records]
            self.result(store.close())
            self.assertEqual([entry.due_ms for entry in waiting.pooled], in_pool)
            self.assertEqual(len(set(incoming + in_pool)), len(incoming + in_pool))
            self.assertFalse(pooled - deleted - set(in_pool) - self.being_deleted(pooled))
            self.assertFalse(
                taken - pooled - set(incoming) - set(in_pool) - self.being_deleted(taken)
            )
            self.assertFalse(deleted & set(in_pool))
            self.assertFalse(pooled & set(incoming))

    def being_deleted(self, numbers: set[int]) -> set[int]:
        """Those whose deletion may have been committed and not told."""
        return {n for n in numbers if n % 3 == 0}

    def number(self, octets: bytes | None, times: int) -> int:
        assert octets is not None
        self.assertEqual(octets, octets[:8] * times)
        return int.from_bytes(octets[:8])

    def run_and_kill(self, first: int, lines: int) -> list[tuple[str, int]]:
        """Let a child work until it has told *lines* things, kill it; all it has told."""
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(self.path), str(first)],
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        told = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        told += child.stdout.read().splitlines(keepends=True)
        child.stdout.close()
        self.assertEqual(child.wait(), -signal.SIGKILL)
        split = [line.split() for line in told if line.endswith(b"\n")]
        return [(word.decode(), int(number)) for word, number in split]


def synced_descriptor(path: Path) -> int:
    """The descriptor by which LMDB writes its meta pages."""
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            same = os.path.samestat(os.fstat(number), path.stat())
            if same and fcntl.fcntl(number, fcntl.F_GETFL) & os.O_DSYNC:
                return number
    raise AssertionError("LMDB has no such descriptor")
