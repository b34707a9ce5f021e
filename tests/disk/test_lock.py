"""One process per home."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mixminion.disk import lock
from mixminion.disk.errors import HomeInUse
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase

HOLD = """
import os, pathlib, sys
from mixminion.disk.lock import HomeLock
held = HomeLock(pathlib.Path(sys.argv[1]))
held.acquire()
if os.fork():
    os._exit(0)
held.note_pid()
print(os.getpid(), flush=True)
sys.stdin.read()
"""


class LockTests(SyncTestCase):
    def setUp(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.home)

    def test_twice(self):
        """The second is refused with exit code 73 and the pid of the first."""
        first, second = lock.HomeLock(self.home), lock.HomeLock(self.home)
        first.acquire()
        with self.assertRaises(HomeInUse) as caught:
            second.acquire()
        self.assertEqual(caught.exception.exit_code, 73)
        self.assertIn(f"process {os.getpid()};", render(caught.exception))
        self.assertEqual(lock.holder(self.home), os.getpid())
        first.release()
        self.assertIsNone(lock.holder(self.home))
        second.acquire()
        second.release()

    def test_never_held(self):
        """Nobody holds a home that was never locked."""
        self.assertIsNone(lock.holder(self.home))

    def test_undisturbed(self):
        """Who only looks writes nothing, keeps others from beginning, and lets others look."""
        held = lock.HomeLock(self.home)
        with lock.undisturbed(self.home):  # a home that nobody ever had
            self.assertEqual(os.listdir(self.home), [])
        held.acquire()
        file = self.home / "lock"
        with self.assertRaises(HomeInUse) as caught, lock.undisturbed(self.home):
            self.fail("it is in use")
        self.assertIn(f"process {os.getpid()};", render(caught.exception))
        held.release()
        file.write_text("4711\n")  # killed
        with lock.undisturbed(self.home), lock.undisturbed(self.home):
            with self.assertRaises(HomeInUse) as caught:
                held.acquire()
            self.assertIn("process (unknown);", render(caught.exception))
            self.assertIsNone(lock.holder(self.home))
        self.assertEqual(file.read_text(), "4711\n")
        held.acquire()
        held.release()

    def test_taken_meanwhile(self):
        """A home that had no lock to hold, and that somebody took while another looked."""
        held = lock.HomeLock(self.home)
        with self.assertRaises(HomeInUse), lock.undisturbed(self.home):
            held.acquire()
        held.release()

    def test_survives_a_fork(self):
        """It is held until the last child is gone, and names it; kill -9 lets go of it."""
        child = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(self.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None and child.stdin is not None
        grandchild = int(child.stdout.readline())
        child.wait()
        self.assertEqual(lock.holder(self.home), grandchild)
        self.assertRaises(HomeInUse, lock.HomeLock(self.home).acquire)
        os.kill(grandchild, 9)
        child.stdout.read()
        child.stdout.close()
        child.stdin.close()
        self.assertIsNone(lock.holder(self.home))
        lock.HomeLock(self.home).acquire()
