"""Wrong inputs through the commands people type: one sentence that says what to do, a
documented exit code, no traceback.

What a server finds wrong as it starts is in ``test_server``, what its operator's commands
say besides in ``tests.cli.test_server`` and ``test_server_start``, what a sender can get
wrong in ``tests.cli.test_send``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from msgspec.structs import replace

from mixminion.crypto import sign
from mixminion.directory.parameters import Parameters
from mixminion.disk import private
from mixminion.testing.directory import sign_directory
from tests.app.kit import DIRECTORY, Done, Home, ServerCase, template


def run(*words: str, stdin: str = "") -> Done:
    """``mixminion`` with *words*."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "mixminion", *words],
            input=stdin,
            stdout=out,
            stderr=err,
            text=True,
            timeout=60,
            env={k: v for k, v in os.environ.items() if not k.startswith("MIXMINION")},
        )
        out.seek(0)
        err.seek(0)
        return Done(done.returncode, out.read(), err.read())


def sign_anew(home: Home, *secrets: bytes, valid: int = 60) -> None:
    """Another directory for the server in *home*, *valid* for so many seconds."""
    sign_directory(
        [(home.folder / "descriptor").read_bytes()],
        secrets,
        now=time.time(),
        parameters=replace(Parameters.local_demo(), consensus_fresh=1, consensus_valid=valid),
    ).write(home.folder / "directory")


class ServerTests(ServerCase):
    """``mixminion server start``, in the background and in the foreground."""

    def refused(self, home: Home, code: int, *parts: str) -> None:
        for more in ((), ("--foreground",)):
            self.assertRefused(
                run("server", "start", "--config", str(home.config), *more), code, *parts
            )
            self.assertOver(home)

    def test_unknown_key(self):
        """Unknown configuration key: file, line, key."""
        home = self.home()
        text = home.config.read_text()
        home.config.write_text(text + "[Log]\nlevle = info\n")
        line = len(text.splitlines()) + 2
        self.refused(home, 78, f"{home.config}:{line}: [Log] levle: ")

    def test_stranger(self):
        """A directory signed by a stranger."""
        home = self.home()
        sign_anew(home, sign.generate()[0])
        self.refused(home, 78, "signed by 0 of the 3 authorities", "check the authorities' keys")

    def test_not_ready(self):
        """No time for it to begin: the server runs, and is not said to work."""
        home = self.home()
        done = run("server", "start", "--config", str(home.config), "--timeout", "0")
        self.assertRefused(done, 69, f"(process {home.pid}) is not ready", f"look into {home.log}")

    def test_damaged_packet_key(self):
        """The key and what to do about it, before there is a daemon."""
        home = self.home()
        path, *_ = home.keys.glob("packet-*.key")
        private.write(path, b"{}")
        self.refused(home, 78, f"The packet key {path} cannot be read. Move it away")

    def test_expired(self):
        """An expired directory: the server serves those who have it, too, and asks for help."""
        home = self.home()
        sign_anew(home, *DIRECTORY.secrets, valid=1)
        end = time.time() + 1.0
        self.start(home, "--nodaemon")
        self.wait(lambda: time.time() > end, "time stands still")
        done = run("server", "status", "--home", str(home.folder))
        self.assertEqual((done.code, done.err), (0, ""))
        first = done.out.splitlines()[0]
        self.assertRegex(first, r"\AThe directory ended at .* \[Directory\]\.\Z")


class SenderTests(ServerCase):
    """``mixminion send`` with a configuration that is wrong, before anything is fetched."""

    def test_unknown_key(self):
        """Unknown configuration key: file, line, key."""
        config = template().folder / "wrong.conf"
        config.write_text("[Client]\nhoome = x\n")
        self.addCleanup(config.unlink)
        config.chmod(0o600)
        done = run("--config", str(config), "send", "-t", "drop", stdin="Hello")
        self.assertRefused(done, 78, f"{config}:2: [Client] hoome: ")
