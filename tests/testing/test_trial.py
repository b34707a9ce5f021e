"""Our trial finds lost failures, and leaves out what it is told to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mixminion.testing.cases import SyncTestCase
from mixminion.testing.trial import expand

LOST = """
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.trial.unittest import SynchronousTestCase

class Tests(SynchronousTestCase):
    def test_lost(self):
        async def fail():
            raise ValueError("lost")
        ensureDeferred(fail())

    def test_fine(self):
        pass
"""

FINE = """
from twisted.trial.unittest import SynchronousTestCase

class Tests(SynchronousTestCase):
    def test_fine(self):
        pass
"""

DYING = """
import os
from twisted.trial.unittest import SynchronousTestCase

class Tests(SynchronousTestCase):
    def test_dying(self):
        os._exit(0)
"""


class TrialTests(SyncTestCase):
    def test_a_lost_failure_fails_its_test(self) -> None:
        """A failed coroutine that nobody waits for is a failed test, and the exit code says so."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "planted_lost.py").write_text(LOST)
        command = [sys.executable, "-m", "mixminion.testing.trial", "planted_lost"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        self.assertIn("FAILED (errors=1,", done.stdout)
        self.assertEqual(done.returncode, 1)

    def test_in_processes(self) -> None:
        """Processes share the modules, each is run once, failures count, and so does a death."""
        folder = Path(self.mktemp())
        (folder / "planted").mkdir(parents=True)
        texts = {"__init__": "", "test_lost": LOST} | {f"test_{n}": FINE for n in range(5)}
        for name, text in texts.items():
            (folder / "planted" / f"{name}.py").write_text(text)
        command = [sys.executable, "-m", "mixminion.testing.trial", "planted", "--jobs", "2"]

        def run() -> tuple[int, str]:
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            return done.returncode, done.stdout.splitlines()[-1]

        code, last = run()
        self.assertIn(": 7 passed, 1 failed, 0 skipped", last)
        self.assertEqual(code, 1)
        (folder / "planted" / "test_lost.py").unlink()
        code, last = run()
        self.assertIn(": 5 passed, 0 failed, 0 skipped", last)
        self.assertEqual(code, 0)
        (folder / "planted" / "test_9.py").write_text(DYING)
        code, last = run()
        self.assertIn(" 1 failed, 0 skipped", last)
        self.assertEqual(code, 1)

    def test_leaving_out(self) -> None:
        """A package without one module is all its others; a module without itself is nothing."""
        self.assertEqual(list(expand("tests", ["mixminion"])), ["tests"])
        self.assertEqual(list(expand("tests.testing", ["tests"])), [])
        names = list(expand("tests", ["tests.integration"]))
        self.assertIn("tests.testing", names)
        self.assertIn("tests.test_bans", names)
        self.assertNotIn("tests.integration", names)
        inner = list(expand("tests", ["tests.testing.test_trial"]))
        self.assertIn("tests.testing.test_clock", inner)
        self.assertIn("tests.integration", inner)
        self.assertNotIn("tests.testing.test_trial", inner)
