"""What sessions of a server have in common, whatever they speak: deadlines by name, an end that is
judged once, and a factory that waits for all of them."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.counters import Counters, Name
from mixminion.interfaces import Clock
from mixminion.mmtp.errors import NotClosed, SessionError

log = Logger()


class Session(Protocol):
    """One client's session; ``_machine`` is its pure part."""

    _machine: Any

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._error: SessionError | None = None
        self._ending = False
        self._timers: dict[str, IDelayedCall] = {}

    def stop(self) -> None:
        """The server stops: end as the protocol says."""
        raise NotImplementedError

    def _over(self, error: SessionError | None) -> None:
        """The connection is gone; *error* unless it ended as it should."""
        raise NotImplementedError

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        for name in list(self._timers):
            self._stop(name)
        truncated = self._machine.lost()
        error = self._error or truncated
        if error is None and not self._ending and reason.check(ConnectionDone) is None:
            error = NotClosed()
        self._over(error)

    @property
    def _transport(self) -> Any:
        return self.transport

    def _start(self, name: str, seconds: float, function: Any, *args: object) -> None:
        """Call *function* after so many seconds; under one name there is one deadline."""
        self._stop(name)
        self._timers[name] = self._clock.callLater(seconds, function, *args)

    def _stop(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()


S = TypeVar("S", bound=Session)


class SessionFactory(Factory, Generic[S]):
    """Goes behind a protocol of a link factory.  Counts ``link-broken``."""

    noisy = False
    side: str  #: in the log

    def __init__(self, clock: Clock, packet_length: int, counters: Counters) -> None:
        self.clock = clock
        self.packet_length = packet_length
        self.counters = counters
        self.sessions: set[S] = set()
        self.stopping = False
        self._stopped: list[Deferred[None]] = []

    def stop(self) -> Deferred[None]:
        """End every session, each as its protocol says; fires when all have ended.  Call it once
        the port accepts no more."""
        self.stopping = True
        for session in list(self.sessions):
            session.stop()
        if not self.sessions:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        return stopped

    def ended(self, session: S, error: SessionError | None) -> None:
        """A session is over."""
        self.sessions.discard(session)
        if error is not None:
            self.counters.add(Name.LINK_BROKEN)
            log.info("session ended: {code} ({side})", code=error.code, side=self.side)
        if not self.sessions:
            waiting, self._stopped = self._stopped, []
            for stopped in waiting:
                stopped.callback(None)
