"""The daemon's end of the control socket, asked over real sockets."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread

from mixminion.control import server, wire
from mixminion.control.client import ask
from mixminion.control.errors import NoAnswer, NotRunning, RemoteError
from mixminion.control.server import ControlServer
from mixminion.errors import OperatorError, render
from mixminion.testing.cases import AsyncTestCase

E = TypeVar("E", bound=Exception)


class ControlTests(AsyncTestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "control"

    def serve(self, **commands: Any) -> ControlServer:
        """A server with these commands; ended after the test."""
        made = ControlServer(self.path, commands, reactor)
        made.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(made.stop()))
        return made

    def ask(self, command: str, **arguments: Any) -> Deferred[dict[str, Any]]:
        return deferToThread(ask, self.path, command, timeout=5.0, **arguments)

    async def refused(self, asked: Deferred[Any], kind: type[E]) -> E:
        """The error of this kind that asking ends with."""
        try:
            self.fail(f"answered with {await asked}")
        except kind as error:
            return error

    def raw(self, octets: bytes) -> Deferred[bytes]:
        """Everything a server says to these octets until it closes."""

        def talk() -> bytes:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(5)
                connection.connect(str(self.path))
                said = b""
                try:
                    connection.sendall(octets)
                    while part := connection.recv(65536):
                        said += part
                except ConnectionError:
                    pass
                return said

        return deferToThread(talk)

    async def test_answers(self):
        """A command is called with its arguments; it answers at once, later or as a coroutine."""

        async def slow(arguments: Any) -> Any:
            await deferLater(reactor, 0.01)
            return {"twice": arguments["x"] * 2}

        self.serve(
            now=lambda arguments: {"x": arguments["x"]},
            later=lambda arguments: deferLater(reactor, 0.01, lambda: {"x": "é"}),
            slow=slow,
        )
        self.assertEqual(await self.ask("now", x=[1, None]), {"x": [1, None]})
        self.assertEqual(await self.ask("later"), {"x": "é"})
        self.assertEqual(await self.ask("slow", x=3), {"twice": 6})

    async def test_errors(self):
        """A known error arrives as its sentence, code and exit code; the server goes on."""

        class Busy(OperatorError):
            code = "busy"
            sentence = "busy with {what}"
            exit_code = 73

        def busy(arguments: Any) -> Any:
            raise Busy(what="mail")

        self.serve(busy=busy, fine=lambda arguments: {})
        error = await self.refused(self.ask("busy"), RemoteError)
        self.assertEqual(render(error), "busy with mail")
        self.assertEqual((error.fields["code"], error.fields["exit_code"]), ("busy", 73))
        error = await self.refused(self.ask("other"), RemoteError)
        self.assertEqual(error.fields["code"], "unknown-command")
        self.assertEqual(await self.ask("fine"), {})

    async def test_fault(self):
        """A defect is logged here and told there without its text."""
        self.serve(broken=lambda arguments: arguments["secret"])
        error = await self.refused(self.ask("broken"), RemoteError)
        self.assertEqual((error.fields["code"], error.fields["exit_code"]), ("fault", 70))
        self.assertNotIn("secret", render(error))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    async def test_not_running(self):
        """No socket, and a socket that a killed process left, are both "nothing runs"."""
        error = await self.refused(self.ask("x"), NotRunning)
        self.assertEqual(error.exit_code, 69)
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(self.path))
        await self.refused(self.ask("x"), NotRunning)
        self.serve(x=lambda arguments: {})
        self.assertEqual(await self.ask("x"), {})

    async def test_mode(self):
        """The socket is 0600 under umask 0."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.serve()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    async def test_long_path(self):
        """A path longer than socket addresses are works, at both ends."""
        self.path = self.folder / ("long" * 30) / "control"
        self.path.parent.mkdir()
        made = self.serve(x=lambda arguments: {"y": 1})
        self.assertEqual(await self.ask("x"), {"y": 1})
        await made.stop()
        self.assertFalse(self.path.exists())

    async def test_bad_requests(self):
        """What is not a request gets one sentence, or nothing, and the connection ends."""
        called: list[Any] = []

        def record(arguments: Any) -> Any:
            called.append(arguments)
            return {}

        self.serve(x=record)
        for octets in [
            b"\n", b"x\n", b"[]\n", b"[" * 60000 + b"\n", b"\xff\n", b'{"version":2}\n',
            b'{"version":1,"command":1,"arguments":{}}\n',
            b'{"version":1,"command":"x"}\n', b'{"version":1,"command":"x","arguments":[]}\n',
        ]:  # fmt: skip
            said = json.loads(await self.raw(octets))
            self.assertEqual(said["error"]["exit-code"], 64, octets[:50])
        self.assertEqual(await self.raw(b"x" * (wire.MAX_REQUEST + 2)), b"")
        self.assertEqual(called, [])

    async def test_one_request(self):
        """A second request on a connection is not served."""
        called: list[Any] = []

        def record(arguments: Any) -> Any:
            called.append(arguments)
            return {}

        self.serve(x=record)
        said = await self.raw(wire.encode({"command": "x", "arguments": {}}) * 3)
        self.assertEqual(said.count(b"\n"), 1)
        self.assertEqual(len(called), 1)

    async def test_silent_client(self):
        """A connection that asks nothing is closed."""
        self.patch(server, "REQUEST_TIMEOUT", 0.05)
        self.serve()
        self.assertEqual(await self.raw(b""), b"")
        self.assertEqual(await self.raw(b"half a line"), b"")

    async def test_bounded(self):
        """Past the number of connections a newcomer is closed; the earlier ones are served."""
        self.patch(server, "MAX_CONNECTIONS", 1)
        self.serve(x=lambda arguments: deferLater(reactor, 0.3, dict))
        first = self.ask("x")
        await deferLater(reactor, 0.1)
        await self.refused(self.ask("x"), NoAnswer)
        self.assertEqual(await first, {})

    async def test_stop(self):
        """Stopping waits for the answer under way, ends idle connections, removes the socket."""
        made = self.serve(x=lambda arguments: deferLater(reactor, 0.1, dict))
        idle, asked = self.raw(b""), self.ask("x")
        await deferLater(reactor, 0.05)
        await made.stop()
        self.assertEqual(await asked, {})
        self.assertEqual(await idle, b"")
        self.assertFalse(self.path.exists())
