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
