"""What a process gets of the operating system for its safety: real processes."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable

from mixminion.mix.protection import Protection
from mixminion.testing.cases import SyncTestCase

PR_CAPBSET_DROP, CAP_IPC_LOCK = 24, 14

PROGRAM = """
import os, sys
from mixminion.app.process import harden, lock_memory
harden()
found = lock_memory(int(sys.argv[1]))
more = bytearray(2**24)
sys.stdout.buffer.write(found.encode())
"""


def process(spare: int = 2**24, before: Callable[[], object] | None = None) -> Protection:
    """How a process with cryptography in it is protected."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, str(spare)],
        capture_output=True,
        preexec_fn=before,
        check=True,
    )
    return Protection.decode(done.stdout)


def small_limit() -> None:
    """In the child: without the right to lock more than 64 kB."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (2**16, 2**16))
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0)  # from its exec on


class ProcessTests(SyncTestCase):
    def test_hard(self):
        """Not dumpable after its exec, no core; locked whole, or the reason why not."""
        found = process()
        self.assertEqual((found.dumpable, found.core), (False, 0))
        assert found.size is not None and found.locked is not None
        if found.unlocked is None:
            self.assertGreater(found.locked, 0.95 * found.size)
        else:
            self.assertEqual(found.locked, 0)
            self.assertIn("LimitMEMLOCK", next(found.complaints()))

    def test_small_limit(self):
        """A low limit is no reason to die, then or later, and nothing is half locked."""
        found = process(before=small_limit)
        self.assertEqual((found.locked, found.limit, found.dumpable), (0, 64, False))
        assert found.needed is not None and found.size is not None
        self.assertEqual(found.needed, found.size + 16_384)
        (sentence,) = found.complaints()
        self.assertRegex(sentence, r"LimitMEMLOCK=\d+M")

    def test_soft_limit(self):
        """A soft limit below the hard one is raised."""
        _, most = resource.getrlimit(resource.RLIMIT_MEMLOCK)

        def low() -> None:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (2**16, most))

        wanted = None if most == resource.RLIM_INFINITY else most // 1024
        self.assertEqual(process(before=low).limit, wanted)

    def test_no_room(self):
        """Where the memory that is still to come does not fit, all is given back."""
        found = process(spare=2**46)
        self.assertIsNotNone(found.unlocked)
        self.assertEqual(found.locked, 0)

    def test_status(self):
        """What status shows is JSON."""
        shown = process().for_status()
        self.assertEqual(json.loads(json.dumps(shown)), shown)
        self.assertEqual((shown["dumpable"], shown["core-limit-kB"]), (False, 0))
