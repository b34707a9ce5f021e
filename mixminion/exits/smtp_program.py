"""Mail handed to a program that is called as sendmail is: ``PROGRAM -i -f SENDER -- RECIPIENT...``.

No shell sees an address, and none of them begins with ``-``.  The program reads the mail, lines
ended by LF, and says by its exit code what became of it (sysexits.h).  What it writes goes
nowhere: it quotes addresses.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.config.values import Value
from mixminion.exits.smtp_session import Envelope, Unreachable
from mixminion.interfaces import Outcome, OutcomeKind

GRACE = 10.0
"""Seconds that a stop leaves to programs under way."""

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

DATA_ERROR, NO_USER, NO_HOST = 65, 67, 68
USAGE, CONFIGURATION = 64, 78

PERMANENT = frozenset({DATA_ERROR, NO_USER, NO_HOST})
"""About the mail or its recipients, for good."""

UNUSABLE = frozenset({USAGE, CONFIGURATION})
"""About the program as a whole."""


def _command(text: str) -> tuple[str, ...]:
    words = tuple(shlex.split(text))
    if not words or not PurePosixPath(words[0]).is_absolute():
        raise ValueError
    return words


command: Value[tuple[str, ...]] = Value(
    "a program by its full path, and arguments if any", _command, shlex.join
)


class Sendmail:
    """A way out; as many programs at once as mails are given to it at once."""

    def __init__(self, reactor: Any, command: tuple[str, ...], timeout: float) -> None:
        self._reactor = reactor
        self._command = command
        self._timeout = timeout
        self._running: set[_Program] = set()
        self._stopping = False

    async def send(self, envelope: Envelope) -> Mapping[str, Outcome]:
        """See :class:`~mixminion.exits.answers.Way`.  What fails for good for several
        recipients at once is tried for each alone: one of them may be the reason."""
        octets = envelope.ready(eight_bit=True).octets().replace(b"\r\n", b"\n")
        outcome = await self._run(envelope.sender, envelope.recipients, octets)
        if outcome.kind is not OutcomeKind.PERMANENT or len(envelope.recipients) == 1:
            return dict.fromkeys(envelope.recipients, outcome)
        return {
            recipient: await self._run(envelope.sender, [recipient], octets)
            for recipient in envelope.recipients
        }

    async def _run(self, sender: str, recipients: Iterable[str], octets: bytes) -> Outcome:
        if self._stopping:
            raise Unreachable("stopping")
        if not os.access(self._command[0], os.X_OK):
            raise Unreachable("program-missing")
        arguments = [*self._command, "-i", "-f", sender, "--", *recipients]
        program = _Program(octets)
        # The program keeps no pipe of ours but the one it reads from.
        nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            process = self._reactor.spawnProcess(
                program,
                arguments[0],
                arguments,
                env=_ENVIRONMENT,
                path="/",
                childFDs={0: "w", 1: nowhere, 2: nowhere},
            )
        finally:
            os.close(nowhere)
        self._running.add(program)
        limit = self._reactor.callLater(self._timeout, program.kill, "timeout")
        try:
            return _outcome(await program.ended, program.killed)
        finally:
            self._running.discard(program)
            if limit.active():
                limit.cancel()
            program.kill("stopping")  # when it was not awaited to its end
            process.loseConnection()

    async def stop(self) -> None:
        """See :class:`~mixminion.exits.answers.Way`; programs that go on for :data:`GRACE`
        seconds are killed."""
        self._stopping = True
        running = list(self._running)
        calls = [self._reactor.callLater(GRACE, each.kill, "stopping") for each in running]
        await DeferredList([ensureDeferred(each.gone()) for each in running])
        for call in calls:
            if call.active():
                call.cancel()


class _Program(ProcessProtocol):
    """One program; ``ended`` fires with its exit code, None when a signal ended it."""

    transport: Any

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._waiting: list[Deferred[None]] = []
        self._over = False
        self.ended: Deferred[int | None] = Deferred()
        self.killed: str | None = None  #: why we ended it

    @override
    def connectionMade(self) -> None:
        self.transport.write(self._octets)
        self.transport.closeStdin()

    @override
    def processExited(self, reason: Failure) -> None:
        # Not processEnded: that waits for whoever has inherited the pipe.
        self._over = True
        self.ended.callback(getattr(reason.value, "exitCode", None))
        for waiting in self._waiting:
            waiting.callback(None)

    def kill(self, why: str) -> None:
        """End it at once, if it has not ended."""
        if not self._over and self.killed is None:
            self.killed = why
            with suppress(ProcessExitedAlready):  # we are about to hear of it
                self.transport.signalProcess("KILL")

    async def gone(self) -> None:
        """Fires when it has ended."""
        if not self._over:
            waiting: Deferred[None] = Deferred()
            self._waiting.append(waiting)
            await waiting


def _outcome(code: int | None, killed: str | None) -> Outcome:
    if killed is not None:
        return Outcome(OutcomeKind.TEMPORARY, killed)
    if code is None:
        return Outcome(OutcomeKind.TEMPORARY, "killed")
    if code == 0:
        return Outcome(OutcomeKind.DELIVERED, "exit-0")
    if code in UNUSABLE:
        raise Unreachable(f"exit-{code}")
    permanent = code in PERMANENT
    kind = OutcomeKind.PERMANENT if permanent else OutcomeKind.TEMPORARY
    return Outcome(kind, f"exit-{code}")
