"""One real server, started by twistd itself, and what a sender hands to it."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import deferLater

from mixminion.benchmarks.parts import view_of
from mixminion.control.client import ask
from mixminion.control.errors import NoAnswer, NotRunning
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.view import View
from mixminion.disk import lock
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import connect
from mixminion.net.tls import client_tls
from mixminion.payload import message
from mixminion.sphinx import build
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.build import Hop
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.commands import free_port, wait_until
from mixminion.testing.directories import ByHand
from mixminion.testing.network import LocalNetwork
from mixminion.testing.sender import Sender

TWISTD = [sys.executable, "-P", "-c", "from twisted.scripts.twistd import run; run()"]
SH = 'umask "$1"; shift; exec "$@"'
SECONDS = 30.0
GEOMETRY = geometries.default()


DIRECTORY = ByHand()


@cache
def template() -> LocalNetwork:
    """A network of one server that was never started, made once."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    network = LocalNetwork(folder / "network", mixes=1, workers=2, directory=DIRECTORY)
    network.make()
    return network


@dataclass(frozen=True, slots=True)
class Done:
    """How a process ended, and what it said."""

    code: int
    out: str
    err: str


class Started:
    """``twistd mixminion``, under way."""

    def __init__(self, words: Sequence[str], folder: Path, umask: str) -> None:
        # Through files, since a daemon may keep a pipe open.
        self._said = [Path(tempfile.mkdtemp(dir=folder.parent)) / name for name in ("out", "err")]
        with open(self._said[0], "w") as out, open(self._said[1], "w") as err:
            self.process = subprocess.Popen(
                ["sh", "-c", SH, "sh", umask, *words],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def done(self) -> Done:
        """Wait for its end, or for the daemon's beginning."""
        try:
            code = self.process.wait(SECONDS)
        finally:
            self.kill()
        return Done(code, *(path.read_text() for path in self._said))

    def kill(self) -> None:
        """It has no more time."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Home:
    """A server's home of its own, with a free port."""

    def __init__(self, folder: Path) -> None:
        (mix,) = template().mixes
        self.folder = folder
        shutil.copytree(mix.home, folder)
        self.config = folder / "mixminiond.conf"
        self.keys = folder / "keys"
        self.log = folder / "log" / "mixminion.log"
        self.pidfile = folder / "twistd.pid"
        self.port = free_port(["127.1.0.1"])
        self.address = f"127.1.0.1:{self.port}"
        text = self.config.read_text()
        self.config.write_text(re.sub(r"127\.1\.0\.1:\d+", self.address, text))

    def twistd(self, *options: str, umask: str = "022") -> Started:
        """Start the server in a process of its own."""
        return Started(self.words(*options), self.folder, umask)

    def words(self, *options: str) -> list[str]:
        """The command that starts the server."""
        return [*TWISTD, *options, "mixminion", "--config", str(self.config)]

    def ask(self, command: str = "status") -> dict[str, Any]:
        """What the running server answers."""
        return ask(self.folder / "control", command)

    @property
    def ready(self) -> bool:
        """Whether it works."""
        try:
            return bool(self.ask()["ready"])
        except (NotRunning, NoAnswer):
            return False

    @property
    def pid(self) -> int | None:
        """The network process."""
        return lock.holder(self.folder)

    @property
    def view(self) -> View:
        """The network of this one server."""
        return view_of(template().folder)


class ServerCase(SyncTestCase):
    """Tests of one server; whatever they start is ended, by its pid."""

    def home(self) -> Home:
        """A new home."""
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        home = Home(folder / "home")
        self.addCleanup(end, home)
        return home

    def start(self, home: Home, *options: str, umask: str = "022") -> Started:
        """Start a server and wait until it works."""
        started = home.twistd(*options, umask=umask)
        self.addCleanup(started.kill)
        self.wait(lambda: home.ready or started.process.poll(), "it does not answer")
        self.assertTrue(home.ready, home.log.read_text() if home.log.exists() else "no log")
        return started

    def wait(self, true: Callable[[], object], complaint: str) -> None:
        """Look until it is true, but not for ever."""
        wait_until(true, SECONDS, complaint)

    def assertOver(self, home: Home) -> None:
        """Nothing of it is left: no process holds the home, no pid file, no socket."""
        self.wait(lambda: home.pid is None, "the home is still held")
        self.wait(lambda: not home.pidfile.exists(), "its pid file is still there")
        self.assertFalse((home.folder / "control").exists())

    def assertRefused(self, done: Done, code: int, *parts: str) -> None:
        """One sentence with *parts* on stderr, that exit code, nothing else."""
        self.assertEqual((done.code, done.out), (code, ""), done.err)
        self.assertTrue(done.err.startswith("mixminion: "), done.err)
        self.assertEqual(done.err.count("mixminion: "), 1, done.err)
        self.assertNotIn("Traceback", done.err)
        for part in parts:
            self.assertIn(part, done.err)


def attention(status: dict[str, Any]) -> list[str]:
    """What there is to do, but for what a low limit on locked memory makes of this machine."""
    return [sentence for sentence in status["attention"] if "locked memory" not in sentence]


def end(home: Home) -> None:
    """Kill the home's server, if it runs, and wait for it and its workers."""
    pids = processes(home) if home.pid else []
    for pid in pids:
        kill(pid)
    wait_until(lambda: not any(map(alive, pids)), SECONDS, "it survived SIGKILL")


def processes(home: Home) -> list[int]:
    """The network process and its workers."""
    try:
        return [int(pid) for pid in home.ask()["pids"]]
    except (NotRunning, NoAnswer):
        return [home.pid] if home.pid else []


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process that may be gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def alive(pid: int) -> bool:
    """Whether that process is there, and not only waiting to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


# -- a sender ----------------------------------------------------------------------------------


def packet(view: View, text: bytes, exit: str = "drop", recipients: Sequence[str] = ()) -> bytes:
    """A packet of one hop without delay, for an exit of the view's first server."""
    random = SystemRandom()
    server = view.servers[0]
    key = view.packet_key(server.identity, view.current_period(time.time()))
    body = message.to_body(GEOMETRY, exit, list(recipients), text, random)
    return build.forward(GEOMETRY, [Hop(server.node_id, key, 0)], body, random)


async def send(view: View, address: str, packets: Sequence[bytes]) -> Sender:
    """Hand packets to the view's first server, at *address*; all are answered."""
    clock: Any = reactor
    host, _, port = address.rpartition(":")
    sender = Sender(packets)
    _ = connect(
        clock,
        HostnameEndpoint(clock, host, int(port)),
        client_tls(view.servers[0].identity, None, [ALPN], clock),
        GEOMETRY.packet,
        sender,
    ).addErrback(sender.failed)
    while not sender.over:
        await deferLater(clock, 0.01)
    return sender


async def until(true: Callable[[], object]) -> None:
    """Look until it is true, in a test that runs in the reactor, for a minute at most."""
    for _ in range(600):
        if true():
            return
        await deferLater(reactor, 0.1)
    raise AssertionError("it did not come to that")
