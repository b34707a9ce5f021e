"""The server's side of LMTP (RFC 2033), for the operator's own mail server: small, bounded, silent.

Each recipient of a mail gets its own answer, when something is done for him.  A mail is the mail
server's until it is answered; whatever cannot be done now is left there for another try.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.interfaces import Clock
from mixminion.util import faults

log = Logger()

LONGEST_MAIL = 1 << 20
"""Octets of a mail."""
LONGEST_COMMAND = 2048
MOST_RECIPIENTS = 20
MOST_CONNECTIONS = 20
MOST_COMMANDS = 1000
"""Of one session."""
IDLE = 300.0
"""Seconds without a line after which a session is cut."""

_PATH = re.compile(rb"<([\x21-\x7e]*)>(?: .*)?", re.ASCII)

TOO_LARGE = 552
LATER = 451
_TEXTS = {
    250: b"2.0.0 Done",
    LATER: b"4.3.0 Not now, try again",
    550: b"5.1.1 Nobody of that name",
    TOO_LARGE: b"5.3.4 Too large",
}


class Post(Protocol):
    """What is done with mails."""

    def knows(self, recipient: str) -> bool:
        """Whether mail for this address is taken."""

    def take(self, sender: str, recipient: str, octets: bytes) -> Awaitable[int]:
        """Do what has to be done, and answer with one of the codes above.  *sender* is the
        envelope's, empty for a bounce; lines of *octets* end in CRLF."""


class LmtpFactory(Factory):
    """Sessions that bring mails to *post*."""

    noisy = False

    def __init__(self, post: Post, host_name: str, clock: Clock) -> None:
        self.post = post
        self.host_name = host_name.encode("ascii", "replace")
        self.clock = clock

    @override
    def buildProtocol(self, addr: IAddress | None) -> LmtpSession:
        return LmtpSession(self)


class LmtpSession(LineReceiver):
    """One session."""

    delimiter = b"\r\n"
    MAX_LENGTH = LONGEST_MAIL
    transport: Any

    def __init__(self, factory: LmtpFactory) -> None:
        self._factory = factory
        self._greeted = False
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._lines: list[bytes] | None = None  # while a mail comes
        self._size = 0
        self._commands = 0
        self._deadline: IDelayedCall | None = None

    @override
    def connectionMade(self) -> None:
        self._wait()
        self._say(220, self._factory.host_name + b" LMTP")

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()

    @override
    def lineLengthExceeded(self, line: bytes) -> None:
        self.transport.abortConnection()

    @override
    def lineReceived(self, line: bytes) -> None:
        self._wait()
        if self._lines is not None:
            self._data(line)
            return
        self._commands += 1
        if self._commands > MOST_COMMANDS or len(line) > LONGEST_COMMAND:
            self.transport.abortConnection()
            return
        verb, _, rest = line.partition(b" ")
        act = self._ACTS.get(verb.upper())
        if act is None:
            self._say(500, b"5.5.1 Not a command of this server")
        elif not self._greeted and verb.upper() not in {b"LHLO", b"QUIT"}:
            self._say(503, b"5.5.1 Say LHLO first")
        else:
            act(self, rest.strip())

    # -- commands ------------------------------------------------------------------------------

    def _lhlo(self, rest: bytes) -> None:
        self._greeted = True
        self._reset()
        extensions = (b"PIPELINING", b"8BITMIME", b"ENHANCEDSTATUSCODES")
        for each in (self._factory.host_name, *extensions):
            self.transport.write(b"250-" + each + b"\r\n")
        self._say(250, b"SIZE %d" % LONGEST_MAIL)

    def _mail(self, rest: bytes) -> None:
        found = _PATH.fullmatch(rest[5:].strip()) if rest[:5].upper() == b"FROM:" else None
        if found is None or self._sender is not None:
            self._say(501, b"5.5.4 Expected MAIL FROM:<address>, once")
            return
        self._sender = found[1].decode("ascii")
        self._say(250, b"2.1.0 Go on")

    def _rcpt(self, rest: bytes) -> None:
        found = _PATH.fullmatch(rest[3:].strip()) if rest[:3].upper() == b"TO:" else None
        if found is None or self._sender is None:
            self._say(501, b"5.5.4 Expected RCPT TO:<address>, after MAIL")
        elif len(self._recipients) >= MOST_RECIPIENTS:
            self._say(452, b"4.5.3 Too many recipients")
        elif not self._factory.post.knows(found[1].decode("ascii")):
            self._say(550)
        else:
            self._recipients.append(found[1].decode("ascii"))
            self._say(250, b"2.1.5 Go on")

    def _begin_data(self, rest: bytes) -> None:
        if not self._recipients:
            self._say(503, b"5.5.1 No recipients")
            return
        self._lines, self._size = [], 0
        self._say(354, b"Go on")

    def _rset(self, rest: bytes) -> None:
        self._reset()
        self._say(250)

    def _noop(self, rest: bytes) -> None:
        self._say(250)

    def _vrfy(self, rest: bytes) -> None:
        self._say(252, b"2.5.0 Send some mail and see")

    def _quit(self, rest: bytes) -> None:
        self._say(221, b"2.0.0 Bye")
        self.transport.loseConnection()

    _ACTS: dict[bytes, Callable[[LmtpSession, bytes], None]] = {
        b"LHLO": _lhlo,
        b"MAIL": _mail,
        b"RCPT": _rcpt,
        b"DATA": _begin_data,
        b"RSET": _rset,
        b"NOOP": _noop,
        b"VRFY": _vrfy,
        b"QUIT": _quit,
    }

    # -- a mail --------------------------------------------------------------------------------

    def _data(self, line: bytes) -> None:
        assert self._lines is not None
        if line == b".":
            lines, self._lines = self._lines, None
            self.pauseProducing()  # type: ignore[no-untyped-call]
            _ = ensureDeferred(self._answer(b"\r\n".join([*lines, b""])))
            return
        self._size += len(line) + 2
        if self._size <= LONGEST_MAIL:
            self._lines.append(line.removeprefix(b"."))
        else:
            self._lines.clear()  # nothing of it is kept, to its end

    async def _answer(self, octets: bytes) -> None:
        for recipient in self._recipients:
            code = LATER
            if self._size > LONGEST_MAIL:
                code = TOO_LARGE
            else:
                try:
                    code = await self._factory.post.take(self._sender or "", recipient, octets)
                except Exception as error:
                    log.error("A mail is put off: {report}", report=faults.report(error))
            if self.connected:
                self._say(code)
        self._reset()
        if self.connected:
            self._wait()
            self.resumeProducing()  # type: ignore[no-untyped-call]

    def _reset(self) -> None:
        self._sender = None
        self._recipients = []
        self._lines = None

    def _say(self, code: int, text: bytes | None = None) -> None:
        self.transport.write(b"%d %s\r\n" % (code, text or _TEXTS[code]))

    def _wait(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = self._factory.clock.callLater(IDLE, self.transport.abortConnection)
