"""The daemon's end of the control socket."""

from __future__ import annotations

import os
import stat
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.control import wire
from mixminion.control.errors import UnknownCommand
from mixminion.errors import EX_SOFTWARE, Fault, MixminionError, UserError, render

log = Logger()

Command: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any] | Awaitable[Mapping[str, Any]]]
"""Takes the arguments; answers, now or later, with JSON values."""

MAX_CONNECTIONS = 32
REQUEST_TIMEOUT = 10.0
"""Seconds a connection has for its request, and afterwards for reading its answer."""


class ControlServer:
    """Listens on the socket *path* and answers with *commands*.

    A command that raises is answered with the error's sentence; the daemon goes on.
    """

    def __init__(self, path: Path, commands: Mapping[str, Command], reactor: Any) -> None:
        self._path = path
        self._factory = _SessionFactory(commands, reactor)
        self._reactor = reactor
        self._port: Any = None
        self._name = ExitStack()

    def start(self) -> None:
        """Listen.  A socket that an earlier process left is removed, so the home has to be
        held; the socket is 0600 before anybody can connect."""
        name = self._name.enter_context(wire.named(self._path))
        if os.path.exists(name) and stat.S_ISSOCK(os.lstat(name).st_mode):
            os.unlink(name)
        self._port = self._reactor.listenUNIX(name, self._factory, mode=0o600)

    async def stop(self) -> None:
        """Close the socket, let answers under way go out, and wait until all is closed."""
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
            self._port = None
        await self._factory.end()
        self._name.close()


class _Session(LineOnlyReceiver):
    """One connection: one request, one answer."""

    delimiter = b"\n"
    MAX_LENGTH = wire.MAX_REQUEST

    def __init__(self, factory: _SessionFactory) -> None:
        self._factory = factory
        self._answering: Deferred[None] | None = None
        self._deadline: IDelayedCall | None = None

    @override
    def connectionMade(self) -> None:
        if not self._factory.admit(self):
            self._abort()
            return
        self._limit(REQUEST_TIMEOUT)

    @override
    def lineReceived(self, line: bytes) -> None:
        if self._answering is None:
            self._limit(None)
            self._answering = Deferred.fromCoroutine(self._answer(line))

    @override
    def lineLengthExceeded(self, line: bytes) -> None:
        self._abort()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._limit(None)
        self._factory.gone(self)

    def end(self) -> None:
        """Close, unless an answer is under way, after which it closes by itself."""
        if self._answering is None:
            self._abort()

    async def _answer(self, line: bytes) -> None:
        try:
            octets = wire.encode({"answer": await self._factory.answer(line)})
        except Exception as error:  # whatever a command does, the daemon goes on
            octets = wire.encode({"error": _error(error)})
        if self.connected:
            transport: Any = self.transport
            transport.write(octets)
            transport.loseConnection()
            self._limit(REQUEST_TIMEOUT)

    def _limit(self, seconds: float | None) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        if seconds is not None:
            self._deadline = self._factory.reactor.callLater(seconds, self._abort)

    def _abort(self) -> None:
        transport: Any = self.transport
        transport.abortConnection()


class _SessionFactory(Factory):
    """The sessions of one server, and the commands they call."""

    noisy = False

    def __init__(self, commands: Mapping[str, Command], reactor: Any) -> None:
        self.reactor = reactor
        self._commands = commands
        self._sessions: set[_Session] = set()
        self._ended: Deferred[None] | None = None

    @override
    def buildProtocol(self, addr: IAddress | None) -> _Session:
        return _Session(self)

    def admit(self, session: _Session) -> bool:
        """Count a connection; whether it may stay."""
        self._sessions.add(session)
        return len(self._sessions) <= MAX_CONNECTIONS

    def gone(self, session: _Session) -> None:
        """A connection has ended."""
        self._sessions.discard(session)
        if self._ended is not None and not self._sessions:
            ended, self._ended = self._ended, None
            ended.callback(None)

    async def end(self) -> None:
        """End all connections; returns when they have."""
        if self._sessions:
            ended = self._ended = Deferred()
            for session in list(self._sessions):
                session.end()
            await ended

    async def answer(self, line: bytes) -> Mapping[str, Any]:
        """What goes back for one request."""
        try:
            request = wire.decode(line)
        except ValueError as error:
            raise UserError(problem="The request is not of this version's form.") from error
        match request:
            case {"command": str(name), "arguments": dict(arguments)}:
                pass
            case _:
                raise UserError(problem="The request is not of this version's form.")
        if name not in self._commands:
            raise UnknownCommand(command=name)
        answer = self._commands[name](arguments)
        return answer if isinstance(answer, Mapping) else await answer


def _error(error: Exception) -> Mapping[str, Any]:
    known = error if isinstance(error, MixminionError) else Fault()
    if known.exit_code == EX_SOFTWARE:
        log.failure("A control command failed", Failure(error))
    return {"code": known.code, "sentence": render(known), "exit-code": known.exit_code}
