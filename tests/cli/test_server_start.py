"""``mixminion server start`` with the real server: it works, or says why it does not."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mixminion.cli.waiting import wait_until
from mixminion.crypto import sign
from mixminion.directory.parameters import Parameters
from mixminion.disk import lock
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.directory import sign_directory

SECONDS = 30.0
SH = 'umask "$1"; shift; exec "$@"'


class StartTests(SyncTestCase):
    """A network of one server, stopped after each test."""

    def setUp(self) -> None:
        self.home = Path(tempfile.mkdtemp()) / "home"
        self.addCleanup(shutil.rmtree, self.home.parent)
        self.busy = socket.socket()
        self.addCleanup(self.busy.close)
        self.busy.bind(("127.1.0.1", 0))
        self.address = f"127.1.0.1:{self.busy.getsockname()[1]}"

    def make(self, umask: str = "022") -> None:
        """Make the server and its network's directory, and let go of its port."""
        secret, public = sign.generate()
        made = self.server(
            "init", "--nickname", "mix1", "--address", self.address, "--listen", self.address,
            "--test-network", "--store-limit", "64 MiB", "--authority", public.hex(), umask=umask,
        )  # fmt: skip
        self.assertEqual(made.returncode, 0, made.stderr)
        directory = sign_directory(
            [(self.home / "descriptor").read_bytes()],
            [secret],
            now=time.time(),
            parameters=Parameters.local_demo(),
        )
        directory.write(self.home / "directory")
        self.busy.close()
        self.addCleanup(self.end)

    def server(
        self, command: str, *arguments: str, umask: str = "022"
    ) -> subprocess.CompletedProcess[str]:
        """``mixminion server ...`` under this umask.

        What it says goes through files: a daemon would keep a pipe open.
        """
        words = [sys.executable, "-m", "mixminion", "server", command, "--home", str(self.home)]
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            done = subprocess.run(
                ["sh", "-c", SH, "sh", umask, *words, *arguments],
                stdout=out,
                stderr=err,
                timeout=SECONDS,
            )
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(words, done.returncode, out.read(), err.read())

    def end(self) -> None:
        """A server that still runs is stopped, its workers with it."""
        if lock.holder(self.home) is not None:
            self.assertEqual(self.server("stop").returncode, 0)

    def test_umask(self):
        """Under every umask it is made, starts, answers and stops; all its files are private."""
        self.make("0777")
        for umask in ("0", "077", "0777"):
            started = self.server("start", umask=umask)
            self.assertEqual(started.returncode, 0, started.stderr)
            self.assertIn(f"process {lock.holder(self.home)}", started.stdout)
            self.assertRegex(self.server("status").stdout, r"\A(OK\n|Packet keys .*LimitMEMLOCK)")
            for folder, _, names in os.walk(self.home):
                for name in names:
                    mode = stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode)
                    self.assertEqual(mode, 0o600, f"{name} under {umask}")
            stopped = self.server("stop")
            self.assertEqual(stopped.returncode, 0, stopped.stderr)
            self.assertIsNone(lock.holder(self.home))
            self.assertFalse((self.home / "twistd.pid").exists())

    def test_ended_after_the_fork(self):
        """What only the daemon could find wrong: a code, and where the reason is; no lock is held,
        and the next start works."""
        self.make()
        (self.home / "control").mkdir()
        done = self.server("start")
        self.assertEqual(done.returncode, 69, done.stderr)
        log = self.home / "log" / "mixminion.log"
        self.assertIn(f"ended while it started; the reason is in {log}.", done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertIn("The server could not start.", log.read_text())
        self.assertTrue(wait_until(lambda: lock.holder(self.home) is None, SECONDS))
        (self.home / "control").rmdir()
        self.assertEqual(self.server("start").returncode, 0)

    def test_after_a_kill(self):
        """kill -9 leaves a pid and a socket that do not keep it from starting, even when the pid
        is somebody else's by now."""
        self.make()
        self.assertEqual(self.server("start").returncode, 0)
        pid = lock.holder(self.home)
        assert pid
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(wait_until(lambda: lock.holder(self.home) is None, SECONDS))
        self.assertEqual((self.home / "lock").read_text().strip(), str(pid))
        (self.home / "lock").write_text(str(os.getpid()))
        again = self.server("start")
        self.assertEqual(again.returncode, 0, again.stderr)

    def test_foreground(self):
        """In the foreground it stays the process that was started, and logs to the screen."""
        self.make()
        words = [sys.executable, "-m", "mixminion", "server", "start", "--foreground"]
        child = subprocess.Popen(
            [*words, "--home", str(self.home)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.kill)
        self.assertTrue(
            wait_until(lambda: self.server("status").returncode == 0, SECONDS), "no answer"
        )
        self.assertEqual(lock.holder(self.home), child.pid)
        self.assertEqual(self.server("stop").returncode, 0)
        self.assertEqual(child.wait(SECONDS), 0)
        self.assertIn("mixminiond.conf", child.stdout.read())

    def test_refused(self):
        """What keeps it from starting is told in one sentence with its code, in the foreground
        and as a daemon, and nothing stays behind."""
        self.make()
        config, key = self.home / "mixminiond.conf", self.home / "keys" / "signing.key"
        text, taken = config.read_text(), socket.socket()
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.addCleanup(taken.close)
        held = lock.HomeLock(self.home)

        def port() -> None:
            host, _, number = self.address.rpartition(":")
            taken.bind((host, int(number)))
            taken.listen()

        cases: list[tuple[Callable[[], object], Callable[[], object], int, str]] = [
            (lambda: config.write_text("x" + text), lambda: config.write_text(text), 78, ":1: "),
            (lambda: key.chmod(0o644), lambda: key.chmod(0o600), 77, f"chmod 600 {key}"),
            (held.acquire, held.release, 73, f"process {os.getpid()};"),
            (
                lambda: key.rename(self.home / "k"),
                lambda: (self.home / "k").rename(key),
                78,
                "init",
            ),
            (port, taken.close, 69, self.address),
        ]
        for spoil, mend, code, part in cases:
            spoil()
            for more in ((), ("--foreground",)):
                done = self.server("start", *more)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(part, done.stderr)
                self.assertNotIn("Traceback", done.stderr + done.stdout)
            mend()
        started = self.server("start")
        self.assertEqual(started.returncode, 0, started.stderr)
