"""Asking, and what a bad answer is."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mixminion.control.client import ask
from mixminion.control.errors import NoAnswer, PathTooLong
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase


class ClientTests(SyncTestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def answered(self, octets: bytes, timeout: float = 5.0) -> NoAnswer:
        """The error that these octets as an answer make."""
        path = self.folder / "control"
        code = (
            "import socket,sys,time\n"
            "s=socket.socket(socket.AF_UNIX);s.bind(sys.argv[1]);s.listen()\n"
            "print(flush=True);c=s.accept()[0];c.recv(999);c.sendall(eval(sys.argv[2]))\n"
            "time.sleep(float(sys.argv[3]))"
        )
        pause = str(timeout * 2 if timeout < 5 else 0)
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(path), repr(octets), pause], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        try:
            ask(path, "x", timeout=timeout)
        except NoAnswer as error:
            return error
        finally:
            child.stdout.close()
            child.wait()
            path.unlink()
        self.fail("an answer was believed")

    def test_bad_answers(self):
        """Nothing, half a line, junk or another shape are one sentence each."""
        for octets in [
            b"",
            b"{",
            b"x\n",
            b'{"version":1,"answer":3}\n',
            b'{"version":1,"error":1}\n',
        ]:
            self.assertIn("look into its log", render(self.answered(octets)))

    def test_silence(self):
        """A server that says nothing is given up after the timeout."""
        self.assertIn("did not answer", render(self.answered(b"", timeout=0.2)))

    def test_no_name(self):
        """A last part that is longer than any address is refused with a sentence."""
        self.assertRaises(PathTooLong, ask, self.folder / ("x" * 120), "x")

    def test_imports(self):
        """Asking needs nothing of Twisted."""
        code = "import mixminion.control.client, sys; sys.exit('twisted' in sys.modules)"
        subprocess.run([sys.executable, "-c", code], check=True)
