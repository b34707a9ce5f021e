"""A mail server that keeps what it gets and answers as it is told.

``python -m mixminion.testing.smtp --listen 127.0.0.1:2525 --folder DIR`` runs one: it prints
``listening on HOST:PORT`` once, and puts each mail into ``DIR/new`` as a file that appears
whole: Return-Path and Delivered-To, then the mail's own octets.
"""

from __future__ import annotations

# mypy: allow-untyped-calls
# (twisted.mail has no annotations)
import argparse
import os
import sys
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IOpenSSLServerConnectionCreator,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import ServerFactory, connectionDone
from twisted.mail import smtp
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.errors import EX_UNAVAILABLE
from mixminion.util.hostport import HostPort

COMMAND, DATA, AUTH = smtp.COMMAND, smtp.DATA, smtp.AUTH


@dataclass(frozen=True, slots=True)
class Received:
    """One mail: the envelope, what MAIL said beside the address, and the octets between 354
    and the end, lines ended by CRLF and dots unstuffed."""

    sender: str
    recipients: tuple[str, ...]
    parameters: str
    octets: bytes
    tls: bool

    @property
    def body(self) -> bytes:
        """What follows the empty line."""
        return self.octets.partition(b"\r\n\r\n")[2]

    def header(self, name: str) -> str:
        """The first field called *name*, unfolded; empty when there is none."""
        head = self.octets.partition(b"\r\n\r\n")[0].decode().replace("\r\n ", " ")
        fields = (line.partition(": ") for line in head.split("\r\n"))
        return next((value for key, _, value in fields if key.lower() == name.lower()), "")


@dataclass(slots=True)
class Script:
    """What the server answers; may be changed while it runs."""

    greeting: int = 220
    esmtp: bool = True
    extensions: tuple[bytes, ...] = (b"8BITMIME", b"SIZE 52428800", b"PIPELINING")
    mail: int = 250
    recipient: Callable[[str], int] = field(default=lambda address: 250)
    data: int = 354
    end: int = 250
    delay: float = 0.0  #: seconds before the answer to a whole mail
    cut_after: int | None = None  #: octets of a mail after which the connection is cut
    cut_before_answer: bool = False  #: keep the mail, then cut the connection unanswered
    early_answer: int | None = None  #: said in the middle of a mail
    silent: bytes | None = None  #: a command that is never answered
    cut: bytes | None = None  #: a command at which the connection is cut
    users: Mapping[str, str] = field(default_factory=dict)  #: passwords by name; AUTH if any
    mechanisms: tuple[bytes, ...] = (b"PLAIN", b"LOGIN")
    injected: bytes = b""  #: sent in the clear together with the answer to STARTTLS


class Sink(ServerFactory):
    """The server; *keep* gets each mail before it is acknowledged."""

    noisy = False

    def __init__(
        self,
        clock: IReactorTime,
        *,
        keep: Callable[[Received], None] | None = None,
        tls: IOpenSSLServerConnectionCreator | None = None,
        script: Script | None = None,
    ) -> None:
        self.clock = clock
        self.tls = tls
        self.script = script or Script()
        self.received: list[Received] = []
        self.sessions: list[SinkSession] = []  #: every one so far
        self.keep = keep or self.received.append

    @override
    def buildProtocol(self, addr: IAddress | None) -> SinkSession:
        session = SinkSession(self)
        self.sessions.append(session)
        return session


class SinkSession(smtp.ESMTP):
    """One session, following the script of its sink."""

    noisy = False
    timeout: Any = None
    transport: Any

    def __init__(self, sink: Sink) -> None:
        super().__init__(None, sink.tls)
        self.factory = sink
        self.host = b"sink.test"
        self.mails = 0
        self.open = True
        self.user = ""  #: who logged in
        self.turns = 0  #: how often it got something while it waited for a command
        self._sink = sink
        self._said: list[bytes] = []
        self._parameters = ""
        self._accepted: list[str] = []
        self._sender = ""
        self._lines: list[bytes] = []
        self._size = 0
        self._later: IDelayedCall | None = None

    @property
    def script(self) -> Script:
        """The sink's."""
        return self._sink.script

    @override
    def connectionMade(self) -> None:
        if self.script.greeting == 220:
            super().connectionMade()
        else:
            self.sendCode(self.script.greeting, b"as scripted")
            self.transport.loseConnection()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.open = False
        if self._later is not None and self._later.active():
            self._later.cancel()
        super().connectionLost(reason)

    @override
    def extensions(self) -> dict[bytes, None]:
        named = list(self.script.extensions)
        if self.canStartTLS and not self._under_tls:
            named.append(b"STARTTLS")
        if self.script.users:
            named.append(b"AUTH " + b" ".join(self.script.mechanisms))
        return dict.fromkeys(named)

    @property
    def _under_tls(self) -> bool:
        return bool(self.startedTLS) or ISSLTransport.providedBy(self.transport)

    @override
    def dataReceived(self, data: bytes) -> None:
        self.turns += self.mode == COMMAND
        super().dataReceived(data)

    @override
    def state_COMMAND(self, line: bytes) -> None:
        said = line.upper()
        if self.script.cut is not None and said.startswith(self.script.cut):
            self.transport.abortConnection()
        elif self.script.silent is None or not said.startswith(self.script.silent):
            super().state_COMMAND(line)

    @override
    def ext_AUTH(self, rest: bytes) -> None:
        mechanism, _, initial = rest.partition(b" ")
        self._said = [initial] if initial else []
        if mechanism not in self.script.mechanisms:
            self.sendCode(504, b"as scripted")
        elif mechanism == b"PLAIN" and initial:
            self._log_in(*b64decode(initial).split(b"\0")[1:])
        else:
            self.mode = AUTH
            self.sendCode(334, b"VXNlcm5hbWU6")

    @override
    def state_AUTH(self, line: bytes) -> None:
        """The rest of a LOGIN: the name, then the password."""
        self._said.append(line)
        if len(self._said) == 1:
            self.sendCode(334, b"UGFzc3dvcmQ6")
        else:
            self.mode = COMMAND
            self._log_in(*map(b64decode, self._said))

    def _log_in(self, user: bytes, password: bytes) -> None:
        if self.script.users.get(user.decode()) == password.decode():
            self.user = user.decode()
            self.sendCode(235, b"as scripted")
        else:
            self.sendCode(535, b"as scripted")

    @override
    def do_EHLO(self, rest: bytes) -> None:
        if self.script.esmtp:
            super().do_EHLO(rest)
        else:
            self.sendCode(502, b"as scripted")

    @override
    def ext_STARTTLS(self, rest: bytes) -> None:
        if self.script.injected:
            self.transport.write(b"220 go\r\n" + self.script.injected)
        else:
            super().ext_STARTTLS(rest)

    @override
    def do_MAIL(self, rest: bytes) -> None:
        self._parameters = rest.partition(b">")[2].strip().decode()
        self._accepted = []
        if self.script.users and not self.user:
            self.sendCode(530, b"as scripted")
        elif self.script.mail == 250:
            super().do_MAIL(rest)
        else:
            self.sendCode(self.script.mail, b"as scripted")

    @override
    def validateFrom(self, helo: object, origin: smtp.Address) -> smtp.Address:
        self._sender = str(origin)
        return origin

    @override
    def validateTo(self, user: smtp.User) -> smtp.User:
        code = self.script.recipient(str(user.dest))
        if code != 250:
            raise smtp.SMTPServerError(code, f"<{user.dest}> as scripted")
        self._accepted.append(str(user.dest))
        return user

    @override
    def do_DATA(self, rest: bytes) -> None:
        if self.script.data != 354:
            self.sendCode(self.script.data, b"as scripted")
            return
        self.mode = DATA
        self._lines, self._size = [], 0
        self.sendCode(354, b"go on")

    @override
    def dataLineReceived(self, line: bytes) -> None:
        if line == b".":
            self._end()
            return
        line = line.removeprefix(b".")
        self._lines.append(line + b"\r\n")
        self._size += len(line) + 2
        script = self.script
        if script.cut_after is not None and self._size >= script.cut_after:
            self.transport.abortConnection()
        elif script.early_answer is not None and len(self._lines) == 1:
            self.sendCode(script.early_answer, b"as scripted")

    state_DATA = dataLineReceived

    def _end(self) -> None:
        self.mode = COMMAND
        self._from = None
        if self.script.end == 250:
            self.mails += 1
            octets = b"".join(self._lines)
            self._sink.keep(
                Received(
                    self._sender, tuple(self._accepted), self._parameters, octets, self._under_tls
                )
            )
        if self.script.cut_before_answer:
            self.transport.abortConnection()
        elif self.script.delay:
            self._later = self._sink.clock.callLater(self.script.delay, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        self.sendCode(self.script.end, b"as scripted")


class Folder:
    """Keeps mails as files, each appearing whole under its final name in ``new``."""

    def __init__(self, path: Path, clock: IReactorTime) -> None:
        self._path = path
        self._clock = clock
        self._count = count(1)
        for name in ("tmp", "new"):
            (path / name).mkdir(parents=True, exist_ok=True)

    def keep(self, mail: Received) -> None:
        """Write one mail."""
        name = f"{self._clock.seconds():.6f}.{os.getpid()}_{next(self._count)}.sink"
        envelope = [f"Return-Path: <{mail.sender}>"]
        envelope += [f"Delivered-To: {recipient}" for recipient in mail.recipients]
        head = "".join(f"{line}\r\n" for line in envelope).encode()
        (self._path / "tmp" / name).write_bytes(head + mail.octets)
        os.replace(self._path / "tmp" / name, self._path / "new" / name)


def main(arguments: Sequence[str]) -> None:
    """Run a sink until a signal ends it."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    parser = argparse.ArgumentParser(prog="python -m mixminion.testing.smtp")
    parser.add_argument("--listen", required=True, type=HostPort.parse)
    parser.add_argument("--folder", required=True, type=Path)
    options = parser.parse_args(arguments)
    sink = Sink(reactor, keep=Folder(options.folder, reactor).keep)
    try:
        port = reactor.listenTCP(options.listen.port, sink, interface=options.listen.host)
    except CannotListenError:
        print(f"cannot listen on {options.listen}", file=sys.stderr)
        sys.exit(EX_UNAVAILABLE)
    print(f"listening on {HostPort(port.getHost().host, port.getHost().port)}", flush=True)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1:])
