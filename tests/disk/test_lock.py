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
