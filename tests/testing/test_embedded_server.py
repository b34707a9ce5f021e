"""A mix server inside another Twisted program, on a network of processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from mixminion.testing import embedding
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import wait_until
from tests.source import ROOT

EXAMPLE = ROOT / "contrib" / "embedding" / "server.py"


class ServerTests(SyncTestCase):
    def test_runs(self) -> None:
        """It takes packets and sends them on while the program does something else, and ends with
        it, in order."""
        with embedding.processes(folder=Path(self.mktemp())) as net:
            mix = net.mixes[0]
            mix.stop()
            said = net.folder / "program.log"
            with open(said, "wb") as output:
                program = subprocess.Popen(
                    [sys.executable, EXAMPLE, mix.config], stdout=output, stderr=output, cwd=ROOT
                )
            try:
                wait_until(lambda: mix.pid == program.pid, 30.0, "the server did not start")
                wait_until(
                    lambda: b"something else" in said.read_bytes(), 30.0, "nothing else runs"
                )
                for path in ("mix1,mix2,mix3,mix5", "mix2,mix1,mix3,mix5"):
                    net.mixminion("send", "-t", "bob@example.test", "-P", path, text="Hello\n")
                wait_until(lambda: len(net.mails()) == 2, 60.0, "no mail arrived")
                program.send_signal(signal.SIGTERM)
                self.assertEqual(program.wait(30), 0, said.read_text())
                self.assertIsNone(mix.pid)
            finally:
                program.kill()
                program.wait()
