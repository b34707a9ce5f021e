"""One session with an SMTP server, for one mail after another.

Twisted's ESMTP client speaks the protocol; what it gets wrong or says too loudly is set
right here.  It stuffs dots chunk by chunk, so a message is encoded whole before it gets it
(:mod:`mixminion.mail.data`).  It takes what a server sent before STARTTLS for answers under
TLS.  It awaits the answer to every command; here the sender and all recipients leave at
once with PIPELINING (RFC 2920), and DATA when somebody is taken.  Its exceptions quote
addresses and the server's texts, so none leaves this module: a mail ends with a code for
each recipient, or with :class:`Unreachable` and a fixed word.
"""

# mypy: allow-untyped-calls
# (twisted.mail has no annotations)

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from OpenSSL.SSL import Error as TLSError
from service_identity import VerificationError
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.mail import smtp
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.errors import PeerError
from mixminion.exits import smtp_auth
from mixminion.interfaces import Clock
from mixminion.mail import data
from mixminion.mail.compose import Mail

MOST_ANSWER_LINES = 200
SUCCESS = range(200, 300)
CLOSING = 421
LOOP = "loop"
TOO_LARGE = 552
TRY_AGAIN = 452
ANY = range(1000)
QUIT_TIMEOUT = 5.0

_WORDS: Final = {
    smtp.SMTPTimeoutError: "timeout",
    smtp.TLSRequiredError: "tls-missing",
    smtp.TLSError: "tls-failed",
    smtp.SMTPProtocolError: "protocol",
}


class Unreachable(PeerError):
    """The mail server as a whole is away.  Field: ``reason``, a fixed word."""

    code = "mail-server-unreachable"
    sentence = "The mail server cannot be used now ({reason})."

    def __init__(self, reason: str, *, sent: bool = False) -> None:
        super().__init__(reason=reason)
        self.reason: str = reason
        self.sent = sent  #: whether the server may have the mail all the same


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for each answer (RFC 5321, 4.5.3.2), and how long to keep a session."""

    answer: float
    final: float  #: for the answer to a whole mail
    idle: float


@dataclass(frozen=True, slots=True)
class Envelope:
    """A mail with the addresses it is from and for.  *seal* is done to it when the far side
    has said what it takes: signatures must see what leaves."""

    sender: str
    recipients: tuple[str, ...]
    mail: Mail
    seal: Callable[[Mail], Mail] = lambda mail: mail

    def ready(self, *, eight_bit: bool) -> Mail:
        """The mail as it leaves; raises :class:`EightBit`."""
        return self.seal(self.mail if eight_bit else self.mail.seven_bit())


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak with a server: our name for EHLO, TLS, and who we are.

    *tls* is the client's side of TLS, None never starts it; with *required* nothing is sent
    without; with *implicit* the connection begins with it.  *credentials* go under TLS only.
    With *refuse_loop* a server on an address of our own is not spoken to.
    """

    hello: str
    timeouts: Timeouts
    tls: IOpenSSLClientConnectionCreator | None = None
    required: bool = False
    implicit: bool = False
    credentials: smtp_auth.Credentials | None = None
    refuse_loop: bool = False


class _Chain:
    """Octet strings as one file to read."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._files = deque(map(BytesIO, parts))

    def read(self, n: int) -> bytes:
        """At most *n* octets, none at the end."""
        while self._files:
            octets = self._files[0].read(n)
            if octets:
                return octets
            self._files.popleft()
        return b""


class Session(smtp.ESMTPClient):
    """See the module.  *idle* is called each time the session is ready for a mail, the first
    time included; *closed* once with the reason when it is over."""

    debug = False
    transport: Any
    timeout: Any
    _expected: Any

    def __init__(
        self,
        clock: Clock,
        manner: Manner,
        idle: Callable[[Session], None],
        closed: Callable[[Session, str], None],
    ) -> None:
        tls = None if manner.implicit else manner.tls
        super().__init__(None, tls, manner.hello.encode("ascii"))
        self.requireTransportSecurity = manner.required
        self.requireAuthentication = manner.credentials is not None
        self._clock = clock
        self._manner = manner
        self._timeouts = manner.timeouts
        self._idle = idle
        self._closed = closed
        self._extensions: Mapping[bytes, list[bytes]] = {}
        self._unsaid: deque[bytes] = deque()
        self._asked: list[bytes] = []
        self._answers: list[int] = []
        self._envelope: Envelope | None = None
        self._data: tuple[bytes, ...] = ()
        self._sending = False
        self._sent = False
        self._result: Deferred[Mapping[str, int]] | None = None
        self._ending: str | None = None

    # -- for the relay ---------------------------------------------------------------------

    def send(self, envelope: Envelope) -> Deferred[Mapping[str, int]]:
        """Send one mail while idle; fires with the server's code for each recipient.

        :raises EightBit: at once, when the server takes 7-bit mail only.
        :raises Unreachable: by the Deferred.
        """
        mail = envelope.ready(eight_bit=b"8BITMIME" in self._extensions)
        # Each by itself is as good as both at once, for the header ends in CRLF; and a large body
        # is not copied behind it.
        self._data = tuple(map(data.encode, mail.parts()))
        size = sum(map(len, self._data))
        if 0 < self._largest() < size:
            self._data = ()
            self._idle(self)
            return succeed(dict.fromkeys(envelope.recipients, TOO_LARGE))
        self._envelope = envelope
        self._sent = False
        self._result = Deferred()
        command = f"MAIL FROM:<{envelope.sender}>"
        if b"SIZE" in self._extensions:
            command += f" SIZE={size}"
        if mail.eight_bit:
            command += " BODY=8BITMIME"
        commands = [command, *(f"RCPT TO:<{name}>" for name in envelope.recipients)]
        self._answers = []
        self._asked = [each.encode("ascii") for each in commands]
        self._expected = ANY
        self._okresponse = self._answered
        self.setTimeout(self._timeouts.answer)
        if b"PIPELINING" in self._extensions:
            self.transport.writeSequence([each + b"\r\n" for each in self._asked])
        else:
            self.sendLine(self._asked[0])
        return self._result

    def _largest(self) -> int:
        """The octets of the largest mail that the server takes; 0 when it does not say."""
        said = self._extensions.get(b"SIZE") or [b"0"]
        return int(said[0]) if said[0].isdigit() and len(said[0]) < 19 else 0

    def quit(self) -> None:
        """Take leave; for an idle session."""
        self.setTimeout(QUIT_TIMEOUT)
        self._failresponse = self.smtpState_disconnect
        self._disconnectFromServer()

    def abort(self, reason: str) -> None:
        """End it now, whatever is under way."""
        self._ending = self._ending or reason
        self.transport.abortConnection()

    # -- what the protocol asks --------------------------------------------------------------

    @override
    def getMailData(self) -> _Chain:
        self._sending = True
        return _Chain(self._data)

    @override
    def transformChunk(self, chunk: bytes) -> bytes:
        self.resetTimeout()
        return chunk

    @override
    def finishedFileTransfer(self, lastsent: bytes) -> None:
        self._sending = False
        self._sent = True
        self.setTimeout(self._timeouts.final)
        self.sendLine(b".")

    @override
    def sendError(self, exc: Exception) -> None:
        """Everything the protocol gives up for ends the session under a word of ours."""
        code = getattr(exc, "code", -1)
        known = next((word for kind, word in _WORDS.items() if isinstance(exc, kind)), None)
        self.abort(known or (f"smtp-{code}" if code > 0 else "disconnected"))

    # -- steps that differ from Twisted's ----------------------------------------------------

    @override
    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:
        return self._clock.callLater(period, func)

    @override
    def connectionMade(self) -> None:
        self.timeout = self._timeouts.answer
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)  # 40 ms less for each mail
        super().connectionMade()
        if self._manner.refuse_loop:
            here, there = self.transport.getHost(), self.transport.getPeer()
            if here.host == there.host:
                self.abort(LOOP)

    @override
    def lineReceived(self, line: bytes) -> None:
        if self._ending is not None:
            return
        if len(self.resp) >= MOST_ANSWER_LINES:
            self.abort("protocol")
        elif line.startswith(b"%d" % CLOSING):
            self.abort(f"smtp-{CLOSING}")
        else:
            super().lineReceived(line)

    @override
    def lineLengthExceeded(self, line: bytes) -> None:
        self.abort("protocol")

    @override
    def esmtpState_serverConfig(self, code: int, resp: bytes) -> None:
        words = [line.upper().split() for line in resp.splitlines()[1:]]
        self._extensions = {word[0]: word[1:] for word in words if word}
        self.tryTLS(code, resp, dict.fromkeys(self._extensions))

    @override
    def authenticate(self, code: int, resp: bytes, items: object) -> None:
        credentials = self._manner.credentials
        if credentials is None:
            self.smtpState_from(code, resp)
            return
        said = smtp_auth.lines(self._extensions.get(b"AUTH", []), credentials)
        if not self._tlsMode or said is None:
            self.abort("auth-missing" if self._tlsMode else "tls-missing")
            return
        self._unsaid = deque(said)
        self._expected = [235, 334]
        self._okresponse = self._challenged
        self._failresponse = self.esmtpAUTHDeclined
        self._challenged(334, resp)

    def _challenged(self, code: int, resp: bytes) -> None:
        """Whatever the challenge says: the mechanisms that we speak need none."""
        if code == 235:
            self._unsaid.clear()
            self.smtpState_from(code, resp)
        elif self._unsaid:
            self.sendLine(self._unsaid.popleft())
        else:
            self.abort("protocol")

    @override
    def esmtpState_starttls(self, code: int, resp: bytes) -> None:
        if self.clearLineBuffer():
            self.abort("protocol")
            return
        self.transport.startTLS(self.context)
        self._tlsMode = True
        self.esmtpState_ehlo(code, resp)

    @override
    def smtpState_from(self, code: int, resp: bytes) -> None:
        """Ready for a mail.  Whatever the server says now it was not asked for."""
        self._expected = ()
        self._failresponse = self.smtpState_disconnect
        self.setTimeout(self._timeouts.idle)
        self._idle(self)

    def _answered(self, code: int, resp: bytes) -> None:
        """One more answer to MAIL or to a RCPT.  The answers to all that was said are awaited,
        or a later mail would take them for its own."""
        self._answers.append(code)
        said = len(self._answers)
        if said < len(self._asked):
            if b"PIPELINING" in self._extensions:
                return
            if self._answers[0] == 250:
                self.sendLine(self._asked[said])
                return
        if self._answers[0] != 250:
            self.smtpState_msgSent(self._answers[0], resp)
        elif any(answer in SUCCESS for answer in self._answers[1:]):
            self._expected = [354]
            self._okresponse = self.smtpState_data
            self._failresponse = self.smtpTransferFailed
            self.sendLine(b"DATA")
        else:
            self.smtpState_msgSent(self._answers[-1], resp)

    @override
    def smtpState_msgSent(self, code: int, resp: bytes) -> None:
        assert self._envelope is not None
        if code in SUCCESS and not self._sent:
            # A mail is accepted by the answer to its end, and by nothing said before.
            self.abort("protocol")
            return
        codes = self._codes(self._envelope.recipients, code)
        result, self._result = self._result, None
        self._envelope = None
        self._data = ()
        if self._sending:
            self.abort("early-answer")
        elif code in SUCCESS:
            self.smtpState_from(code, resp)
        else:
            self.setTimeout(self._timeouts.answer)
            self._expected = SUCCESS
            self._okresponse = self.smtpState_from
            self._failresponse = self.smtpState_disconnect
            self.sendLine(b"RSET")
        if result is not None:
            result.callback(codes)

    def _codes(self, recipients: tuple[str, ...], code: int) -> dict[str, int]:
        """The code of each recipient: his own refusal, or *code*, which concerns the mail.

        552 for a recipient is an old way to say 452 (RFC 5321, 4.5.3.1.10).
        """
        if self._answers[0] != 250:
            return dict.fromkeys(recipients, code)
        own = [TRY_AGAIN if answer == TOO_LARGE else answer for answer in self._answers[1:]]
        return {
            recipient: code if answer in SUCCESS else answer
            for recipient, answer in zip(recipients, own, strict=True)
        }

    @override
    def timeoutConnection(self) -> None:
        if self._result is None and self._expected == ():
            self.quit()
        else:
            self.abort("timeout")

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        word = self._ending or _lost(reason)
        result, self._result = self._result, None
        self._closed(self, word)
        if result is not None:
            result.errback(Unreachable(word, sent=self._sent))


def _lost(reason: Failure) -> str:
    if reason.check(TLSError, VerificationError) is not None:
        return "tls-failed"
    return "closed" if reason.check(ConnectionDone) is not None else "disconnected"
