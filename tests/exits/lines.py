"""A server on loopback that answers lines as it is told: for LMTP and NNTP."""

from __future__ import annotations

# mypy: allow-untyped-calls
# (twisted.protocols has no annotations)
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from typing_extensions import override

Answer = str | Callable[[str], str]

CUT = "cut"
SILENCE = "silence"
HANG_UP = "hang up"


@dataclass
class Script:
    """Answers by the first word of a command, in capitals; several lines are separated by CRLF.

    :data:`CUT` resets the connection, :data:`SILENCE` says nothing, :data:`HANG_UP` closes.
    """

    greeting: str = "220 ready"
    answers: Mapping[str, Answer] = field(default_factory=dict)
    data: str = "DATA"  #: the command that data follows
    go_on: str = "354 go on"
    ends: tuple[str, ...] = ("250 taken",)  #: said to whole data
    tls: Any = None  #: what STARTTLS begins with; the answer is the script's


class LineServer(ServerFactory):
    """What was said to it, and the data it got, dots unstuffed."""

    noisy = False

    def __init__(self, script: Script) -> None:
        self.script = script
        self.said: list[str] = []
        self.data: list[bytes] = []
        self.sessions: list[Session] = []

    @override
    def buildProtocol(self, addr: IAddress | None) -> Session:
        session = Session(self)
        self.sessions.append(session)
        return session


class Session(LineReceiver):
    """One connection."""

    transport: Any
    MAX_LENGTH = 1 << 20

    def __init__(self, server: LineServer) -> None:
        self._server = server
        self._data: list[bytes] | None = None
        self.open = True
        self.tls = False

    @override
    def connectionMade(self) -> None:
        self._say(self._server.script.greeting)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.open = False

    @override
    def lineReceived(self, line: bytes) -> None:
        script = self._server.script
        if self._data is not None:
            if line != b".":
                self._data.append(line.removeprefix(b".") + b"\r\n")
                return
            self._server.data.append(b"".join(self._data))
            self._data = None
            for each in script.ends:
                self._say(each)
            return
        text = line.decode("ascii")
        self._server.said.append(text)
        word = text.partition(" ")[0].upper()
        answer = script.answers.get(word, script.go_on if word == script.data else "250 yes")
        said = answer(text) if callable(answer) else answer
        self._say(said)
        if word == script.data and said == script.go_on:
            self._data = []
        if word == "STARTTLS" and script.tls is not None:
            self.transport.startTLS(script.tls)
            self.tls = True

    def _say(self, text: str) -> None:
        if text == CUT:
            self.transport.abortConnection()
        elif text == HANG_UP:
            self.transport.loseConnection()
        elif text != SILENCE:
            self.transport.write(text.encode() + b"\r\n")
