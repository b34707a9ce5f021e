"""The real command in processes that are killed (SIGKILL) at their n-th step.

``python -m tests.cli.dying`` reads orders, one JSON object a line, and answers each with one.  It
has everything imported already, and forks a process for each order, so that hundreds of them take
less than starting each anew.

A step is what can leave a trace outside of the process: the begin of a transaction, its commit,
what follows that commit, a connection, octets sent and received, a file that is made sure of.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from typing_extensions import override

ROOT = Path(__file__).parents[2]


# -- in the process that dies ------------------------------------------------------------------


class Steps:
    """Counts steps; at the *last* one it kills the process.  What they were is written to
    *descriptor* first."""

    def __init__(self, last: int, descriptor: int) -> None:
        self._last = last
        self._descriptor = descriptor
        self.number = 0

    def step(self, name: str) -> None:
        """One more."""
        self.number += 1
        os.write(self._descriptor, name.encode() + b"\n")
        if self.number == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def watch(steps: Steps) -> None:
    """Have everything that leaves a trace be a step."""

    class Connection(sqlite3.Connection):
        inserted = False

        @override
        def execute(self, sql: str, *given: Any) -> Any:
            word = sql.partition(" ")[0]
            self.inserted |= sql.startswith(("INSERT INTO packets", "INSERT INTO blocks"))
            if word in ("BEGIN", "COMMIT"):
                steps.step(word)
            result = super().execute(sql, *given)
            if word == "COMMIT":
                steps.step("kept" if self.inserted else "committed")
            return result

    connect = sqlite3.connect
    sqlite3.connect = lambda *given, **options: connect(  # type: ignore[assignment]
        *given, **options, factory=Connection
    )

    def inet(name: str, *, before: bool, after: bool) -> None:
        original = getattr(socket.socket, name)

        def stepping(self: socket.socket, *given: Any) -> Any:
            outside = self.family == socket.AF_INET
            if outside and before:
                steps.step(name)
            result = original(self, *given)
            if outside and after:
                steps.step(f"after {name}")
            return result

        setattr(socket.socket, name, stepping)

    inet("connect_ex", before=True, after=False)
    inet("send", before=True, after=True)
    inet("recv", before=False, after=True)
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        steps.step("fsync")
        sync(descriptor)
        steps.step("after fsync")

    os.fsync = fsync  # type: ignore[assignment]


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Run one command in a process of its own; how that ended."""
    with tempfile.TemporaryFile() as named, tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            _become(order, named.fileno(), said.fileno())
        _, status = os.waitpid(child, 0)
        named.seek(0)
        said.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "steps": named.read().decode().splitlines(),
            "said": said.read().decode(),
        }


def _become(order: dict[str, Any], named: int, said: int) -> None:
    from mixminion.cli.main import main

    code = 70
    try:
        with tempfile.TemporaryFile() as given:
            given.write(order["stdin"].encode("latin-1"))
            given.seek(0)
            os.dup2(given.fileno(), 0)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(order["home"])
        os.environ.update(HOME=order["home"], MIXMINION_CONFIG=order["config"])
        watch(Steps(order["last"], named))
        code = main(order["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Orders in, answers out."""
    from mixminion import api
    from mixminion.cli import main, queue, reactor, send

    assert api and main and queue and reactor and send  # imported before the first fork
    assert "twisted.internet.reactor" not in sys.modules  # each process makes its own
    for line in sys.stdin:
        sys.stdout.write(json.dumps(run(json.loads(line))) + "\n")
        sys.stdout.flush()


# -- in the test's -----------------------------------------------------------------------------


class Dying(ProcessProtocol):
    """Who runs commands that die; ``await dying.run(...)``."""

    def __init__(self, reactor: Any) -> None:
        self._heard = bytearray()
        self._answer: Deferred[dict[str, Any]] | None = None
        self._ended: Deferred[None] = Deferred()
        self.said = bytearray()
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MIXMINION")}
        reactor.spawnProcess(
            self,
            sys.executable,
            [sys.executable, "-m", "tests.cli.dying"],
            env={**kept, "PYTHONPATH": str(ROOT)},
            path=str(ROOT),
        )

    def run(
        self, config: Path, arguments: Sequence[str], stdin: bytes = b"", last: int = 0
    ) -> Deferred[dict[str, Any]]:
        """Run ``mixminion`` with *arguments*, killed at step *last*; exit code (-9 when it was
        killed), the names of its steps, and all that it said."""
        order = {
            "home": str(config.parent),
            "config": str(config),
            "arguments": list(arguments),
            "stdin": stdin.decode("latin-1"),
            "last": last,
        }
        self._answer = Deferred()
        transport: Any = self.transport
        transport.write(json.dumps(order).encode() + b"\n")
        return self._answer

    def stop(self) -> Deferred[None]:
        """End it."""
        transport: Any = self.transport
        transport.closeStdin()
        return self._ended

    @override
    def outReceived(self, data: bytes) -> None:
        self._heard += data
        if self._heard.endswith(b"\n"):
            line = bytes(self._heard)
            self._heard.clear()
            self._tell(lambda answer: answer.callback(json.loads(line)))

    @override
    def errReceived(self, data: bytes) -> None:
        self.said += data

    @override
    def processEnded(self, reason: Failure) -> None:
        said = self.said.decode()
        self._tell(lambda answer: answer.errback(RuntimeError(f"it ended: {said}")))
        self._ended.callback(None)

    def _tell(self, tell: Callable[[Deferred[dict[str, Any]]], object]) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            tell(answer)


if __name__ == "__main__":
    serve()
