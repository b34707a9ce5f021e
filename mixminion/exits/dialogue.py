"""The client's side of protocols in which a line asks and a three-digit code answers: LMTP, NNTP.

A :class:`Dialogue` is one connection, used by one coroutine: it asks, awaits the answer, and
asks again.  Whatever goes wrong ends the connection and is :class:`Away` with a fixed word; of
answers only codes and words that programs made are kept apart from the far side's prose.
"""

# mypy: allow-untyped-calls
# (twisted.protocols has no annotations)

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from OpenSSL.SSL import Error as TLSError
from service_identity import VerificationError
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectionDone,
    ConnectionRefusedError,
    DNSLookupError,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.errors import PeerError
from mixminion.interfaces import Clock

MOST_LINES = 1000
"""Lines that the far side may be ahead of us, or that one answer may have."""
LONGEST_LINE = 4096
GRACE = 10.0
"""Seconds that a stop leaves to what is under way."""

_CODE = re.compile(r"[1-5][0-9][0-9]", re.ASCII)
_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "refused"),
    (TimeoutError, "timeout"),
    (DNSLookupError, "dns"),
    (CancelledError, "stopping"),
)


class Away(PeerError):
    """The far side as a whole cannot be used.  Field: ``reason``, a fixed word."""

    code = "far-side-away"
    sentence = "The server cannot be used now ({reason})."

    def __init__(self, reason: str) -> None:
        super().__init__(reason=reason)
        self.reason: str = reason


@dataclass(frozen=True, slots=True)
class Answer:
    """A code and the texts behind it, one for each line."""

    code: int
    texts: tuple[str, ...]


class Dialogue(LineReceiver):
    """See the module.  *timeout* is in seconds, for each line; *closed* is called once."""

    delimiter = b"\r\n"
    MAX_LENGTH = LONGEST_LINE
    transport: Any

    def __init__(self, clock: Clock, timeout: float, closed: Callable[[Dialogue], object]) -> None:
        self._clock = clock
        self._timeout = timeout
        self._closed = closed
        self._lines: deque[str] = deque()
        self._waiting: Deferred[None] | None = None
        self._ending: str | None = None
        self._lost = False

    # -- for the coroutine -----------------------------------------------------------------

    async def ask(self, line: str, *, timeout: float | None = None) -> Answer:
        """Send *line* and await its answer.

        :raises Away: there was none.
        """
        self.sendLine(line.encode("ascii"))
        return await self.answer(timeout)

    async def answer(self, timeout: float | None = None) -> Answer:
        """The next answer; ``123-text`` goes on in the next line, ``123 text`` ends it."""
        texts: list[str] = []
        while len(texts) < MOST_LINES:
            line = await self._line(timeout)
            code, sign, text = line[:3], line[3:4], line[4:]
            if not (_CODE.fullmatch(code) and sign in ("", " ", "-")):
                break
            texts.append(text)
            if sign != "-":
                return Answer(int(code), tuple(texts))
        raise self.give_up("protocol")

    async def block(self) -> list[str]:
        """The lines that follow an answer, up to a line with a dot alone, dots unstuffed."""
        lines: list[str] = []
        while len(lines) < MOST_LINES:
            line = await self._line(None)
            if line == ".":
                return lines
            lines.append(line.removeprefix("."))
        raise self.give_up("protocol")

    async def hand_over(self, data: bytes, timeout: float) -> Answer:
        """Send *data*, encoded already (:mod:`mixminion.mail.data`), and the dot that ends it."""
        self.transport.write(data + b".\r\n")
        return await self.answer(timeout)

    def start_tls(self, tls: IOpenSSLClientConnectionCreator) -> None:
        """Speak TLS from here on.

        :raises Away: something came in the clear that would be taken for said under TLS.
        """
        if self._lines or self.clearLineBuffer():
            raise self.give_up("protocol")
        self.transport.startTLS(tls)

    def leave(self) -> None:
        """Take leave, and wait for nothing."""
        if not self._lost and self._ending is None:
            self._ending = "closed"
            self.sendLine(b"QUIT")
            self.transport.loseConnection()

    def give_up(self, reason: str) -> Away:
        """End it now; the exception to raise."""
        self._ending = self._ending or reason
        if not self._lost:
            self.transport.abortConnection()
        return Away(self._ending)

    async def _line(self, timeout: float | None) -> str:
        if not self._lines:
            if self._ending is not None:
                raise Away(self._ending)
            self._waiting = Deferred(self._cancelled)
            limit = self._clock.callLater(timeout or self._timeout, self.give_up, "timeout")
            try:
                await self._waiting
            except CancelledError:
                raise Away("stopping") from None
            finally:
                self._waiting = None
                if limit.active():
                    limit.cancel()
        return self._lines.popleft()

    def _cancelled(self, waiting: Deferred[None]) -> None:
        self.give_up("stopping")

    # -- for the transport -----------------------------------------------------------------

    @override
    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)

    @override
    def lineReceived(self, line: bytes) -> None:
        if self._ending is not None:
            return
        if len(self._lines) >= MOST_LINES:
            self.give_up("protocol")
            return
        self._lines.append(line.decode("latin-1"))
        if self._waiting is not None and not self._waiting.called:
            self._waiting.callback(None)

    @override
    def lineLengthExceeded(self, line: bytes) -> None:
        self.give_up("protocol")

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._lost = True
        self._ending = self._ending or _word(reason)
        self._closed(self)
        if self._waiting is not None and not self._waiting.called:
            self._waiting.errback(Away(self._ending))


class Dialogues:
    """Opens dialogues with one server, and ends them all at a stop."""

    def __init__(self, clock: Clock, endpoint: IStreamClientEndpoint, timeout: float) -> None:
        self._clock = clock
        self._endpoint = endpoint
        self._timeout = timeout
        self._open: set[Dialogue] = set()
        self._connecting: set[Deferred[Any]] = set()
        self._stopped: Deferred[None] | None = None

    async def open(self) -> Dialogue:
        """A new connection; the far side's greeting is the first answer.

        :raises Away: there is none.
        """
        if self._stopped is not None:
            raise Away("stopping")
        made = Dialogue(self._clock, self._timeout, self._is_closed)
        connecting = self._endpoint.connect(Factory.forProtocol(lambda: made))
        self._connecting.add(connecting)
        try:
            await connecting
        except Exception as error:
            word = next((word for kind, word in _WORDS if isinstance(error, kind)), "unreachable")
            raise Away(word) from None
        finally:
            self._connecting.discard(connecting)
        self._open.add(made)
        return made

    async def stop(self) -> None:
        """Let what is under way end, :data:`GRACE` seconds at most; fires with nothing open."""
        stopped: Deferred[None] = Deferred()
        self._stopped = stopped
        for connecting in list(self._connecting):
            connecting.cancel()
        if self._open:
            limit = self._clock.callLater(GRACE, self._abort)
            await stopped
            if limit.active():
                limit.cancel()

    def _abort(self) -> None:
        for each in list(self._open):
            each.give_up("stopping")

    def _is_closed(self, dialogue: Dialogue) -> None:
        self._open.discard(dialogue)
        if not self._open and self._stopped is not None and not self._stopped.called:
            self._stopped.callback(None)


def _word(reason: Failure) -> str:
    if reason.check(TLSError, VerificationError) is not None:
        return "tls-failed"
    return "closed" if reason.check(ConnectionDone) is not None else "disconnected"
