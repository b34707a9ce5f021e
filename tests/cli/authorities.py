"""An authority's home for the tests of its commands, and ``mixminion authority`` as a process."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mixminion.disk import lock
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import free_port

SECONDS = 60.0


class AuthorityHomeCase(SyncTestCase):
    """Tests with a home; whatever runs there is stopped."""

    def setUp(self) -> None:
        self.home = Path(tempfile.mkdtemp()) / "home"
        self.addCleanup(shutil.rmtree, self.home.parent)
        self.config = self.home / "authority.conf"
        self.port = free_port(["127.0.0.1"])
        self.url = f"http://127.0.0.1:{self.port}/"

    def authority(
        self, command: str, *arguments: str, text: str = "", code: int | None = 0
    ) -> subprocess.CompletedProcess[str]:
        """``mixminion authority ...``, which has to end with *code*.

        What it says goes through files: a daemon would keep a pipe open.
        """
        words = [sys.executable, "-m", "mixminion", "authority", command, *arguments]
        words += [] if "--home" in arguments else ["--home", str(self.home)]
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                words, input=text, stdout=out, stderr=err, timeout=SECONDS, text=True
            )
            out.seek(0)
            err.seek(0)
            said = subprocess.CompletedProcess(words, done.returncode, out.read(), err.read())
        if code is not None:
            self.assertEqual(said.returncode, code, said.stdout + said.stderr)
        return said

    def answer(self, command: str, *arguments: str) -> Any:
        """What it prints with ``--json``."""
        return json.loads(self.authority(command, *arguments, "--json").stdout)

    def init(self, *arguments: str) -> Any:
        """Make the home; what it printed as JSON."""
        return self.answer(
            "init", "--nickname", "moria", "--url", self.url, "--listen",
            f"127.0.0.1:{self.port}", "--test-network", *arguments,
        )  # fmt: skip

    def start(self) -> None:
        """Start it, to be stopped after the test."""
        self.addCleanup(self.end)
        self.authority("start")

    def end(self) -> None:
        """Stop it, if it runs."""
        if lock.holder(self.home) is not None:
            self.authority("stop")

    def change(self, before: str, after: str) -> None:
        """Change the configuration."""
        text = self.config.read_text()
        self.assertIn(before, text)
        self.config.write_text(text.replace(before, after))

    def refused(self, done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
        """One sentence on stderr with these parts, nothing on stdout, this exit code."""
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        self.assertTrue(done.stderr.startswith("mixminion: "), done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def post(self, octets: bytes) -> bytes:
        """Publish a descriptor over plain HTTP; the answer's body."""
        head = b"POST /mixminion/2/descriptor HTTP/1.1\r\nConnection: close\r\n"
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(octets) + octets)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        status, _, body = answer.partition(b"\r\n\r\n")
        self.assertIn(b" 200 ", status)
        return body
