"""A mail server as one thing to send through: sessions opened, used again, and closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError, DNSLookupError, TimeoutError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory

from mixminion.exits import answers
from mixminion.exits.smtp_session import Envelope, Manner, Session, Unreachable
from mixminion.interfaces import Clock, Outcome
from mixminion.mail.errors import EightBit

GRACE = 10.0
"""Seconds that a stop leaves to mails under way."""

_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectionRefusedError, "refused"),
    (TimeoutError, "timeout"),
    (DNSLookupError, "dns"),
    (CancelledError, "stopping"),
)


class Relay:
    """Sends mails; as many sessions at once as mails are given to it at once.

    A session that is idle takes the next mail.  *endpoint* begins with TLS by itself when
    *manner* says so.
    """

    def __init__(self, clock: Clock, endpoint: IStreamClientEndpoint, manner: Manner) -> None:
        self._clock = clock
        self._endpoint = endpoint
        self._manner = manner
        self._opening: dict[Session, Deferred[None]] = {}
        self._connecting: set[Deferred[Any]] = set()
        self._sessions: set[Session] = set()
        self._idle: list[Session] = []
        self._under_way = 0
        self._stopping: list[Deferred[None]] | None = None

    @property
    def unused(self) -> bool:
        """Whether there is nothing that would have to be stopped."""
        return not (self._sessions or self._connecting or self._under_way)

    async def send(self, envelope: Envelope) -> Mapping[str, Outcome]:
        """The server's answer for each recipient.

        :raises EightBit: the server takes 7-bit mail only and this one cannot be made so.
        :raises Unreachable: there was no complete answer.
        """
        if self._stopping is not None:
            raise Unreachable("stopping")
        self._under_way += 1
        try:
            codes = await self._send(envelope)
            return {name: answers.of_code(code) for name, code in codes.items()}
        finally:
            self._under_way -= 1
            self._check_stopped()

    async def _send(self, envelope: Envelope) -> Mapping[str, int]:
        if self._idle:
            try:
                return await self._through(self._idle.pop(), envelope)
            except Unreachable as error:
                if error.sent:
                    raise
        # No idle session, or one that the server had left meanwhile.
        return await self._through(await self._open(), envelope)

    async def _through(self, session: Session, envelope: Envelope) -> Mapping[str, int]:
        try:
            result = session.send(envelope)
        except EightBit:
            self._is_idle(session)
            raise
        return await result

    async def _open(self) -> Session:
        session = Session(self._clock, self._manner, self._is_idle, self._is_closed)
        opened: Deferred[None] = Deferred()
        self._opening[session] = opened
        connecting = self._endpoint.connect(Factory.forProtocol(lambda: session))
        self._connecting.add(connecting)
        try:
            await connecting
        except Exception as error:
            del self._opening[session]
            word = next((word for kind, word in _WORDS if isinstance(error, kind)), "unreachable")
            raise Unreachable(word) from None
        finally:
            self._connecting.discard(connecting)
        self._sessions.add(session)
        await opened
        self._idle.remove(session)
        return session

    def _is_idle(self, session: Session) -> None:
        if self._stopping is not None:
            session.quit()
            return
        self._idle.append(session)
        opened = self._opening.pop(session, None)
        if opened is not None:
            opened.callback(None)

    def _is_closed(self, session: Session, reason: str) -> None:
        self._sessions.discard(session)
        if session in self._idle:
            self._idle.remove(session)
        opened = self._opening.pop(session, None)
        if opened is not None:
            opened.errback(Unreachable(reason))
        self._check_stopped()

    # -- stopping ------------------------------------------------------------------------------

    async def stop(self) -> None:
        """Let mails under way end, :data:`GRACE` seconds at most; fires with no session left."""
        if self._stopping is None:
            self._stopping = []
            for connecting in list(self._connecting):
                connecting.cancel()
            for session in list(self._opening):
                if session in self._sessions:
                    session.abort("stopping")
            while self._idle:
                self._idle.pop().quit()
        if not (self._sessions or self._under_way):
            return
        stopped: Deferred[None] = Deferred()
        self._stopping.append(stopped)
        limit = self._clock.callLater(GRACE, self._abort)
        await stopped
        if limit.active():
            limit.cancel()

    def _abort(self) -> None:
        for session in list(self._sessions):
            session.abort("stopping")

    def _check_stopped(self) -> None:
        if self._stopping and not (self._sessions or self._under_way):
            waiting, self._stopping = self._stopping, []
            for stopped in waiting:
                stopped.callback(None)
