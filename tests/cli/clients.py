"""The real command in a process of its own, against a network in the test's process."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from typing_extensions import override

import mixminion
from tests.client.network import NetworkCase, reactor

ROOT = str(Path(mixminion.__file__).parent.parent)


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int | None
    out: str
    err: str


class Command(ProcessProtocol):
    """One process; ``done`` fires with its :class:`Done`."""

    def __init__(self, stdin: bytes | None, watch: Callable[[Command], object]) -> None:
        self._stdin = stdin
        self._watch = watch
        self.out, self.err = bytearray(), bytearray()
        self.done: Deferred[Done] = Deferred()

    @override
    def connectionMade(self) -> None:
        if self._stdin is not None:
            self.write(self._stdin)

    @override
    def outReceived(self, data: bytes) -> None:
        self.out += data

    @override
    def errReceived(self, data: bytes) -> None:
        self.err += data
        self._watch(self)

    @override
    def processEnded(self, reason: Failure) -> None:
        error: Any = reason.value
        code = 0 if reason.check(ProcessDone) else error.exitCode
        self.done.callback(Done(code, self.out.decode(), self.err.decode()))

    def write(self, stdin: bytes) -> None:
        """All of its standard input."""
        transport: Any = self.transport
        transport.write(stdin)
        transport.closeStdin()

    def interrupt(self) -> None:
        """Control-C."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """kill -9."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        transport: Any = self.transport
        os.kill(transport.pid, number)


class CommandCase(NetworkCase):
    """``self.run_command("send", "-t", ...)`` with a configuration for the network, in a home
    of its own."""

    def setUp(self):
        super().setUp()
        self.configure()

    def configure(self, more="", sources=None):
        self.config.write_text(self.network.config(more, sources))

    def run_command(self, *arguments, **options) -> Deferred[Done]:
        """Run ``mixminion`` with *arguments*."""
        return self.start_command(*arguments, **options).done

    def start_command(
        self,
        *arguments,
        stdin=b"",
        environment=None,
        watch=lambda command: None,
        module="mixminion",
    ) -> Command:
        """Start it; *watch* is called when it says something, *stdin* None is written later."""
        command = Command(stdin, watch)
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MIXMINION")}
        reactor.spawnProcess(
            command,
            sys.executable,
            [sys.executable, "-m", module, *arguments],
            env={
                **kept,
                "HOME": str(self.folder),
                "PYTHONPATH": ROOT,
                **({"MIXMINION_CONFIG": str(self.config)} if environment is None else environment),
            },
        )
        return command

    def assertRefused(self, done, code, *parts):
        """One sentence with *parts* in it, that exit code, no result and no traceback."""
        said = [line for line in done.err.splitlines() if line.startswith("mixminion: ")]
        self.assertEqual((done.code, done.out, len(said)), (code, "", 1), done.err)
        self.assertNotIn("Traceback", done.err)
        for part in parts:
            self.assertIn(part, done.err)
