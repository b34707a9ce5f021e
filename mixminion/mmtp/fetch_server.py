"""The server's sessions with owners of mailboxes, on transports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.counters import Counters
from mixminion.interfaces import Clock, IMailboxes, Message
from mixminion.mmtp.actions import End, Send
from mixminion.mmtp.errors import SessionError
from mixminion.mmtp.fetch_frames import EXPORTED, EXPORTER, Closing, to_sign
from mixminion.mmtp.serving import Action, Find, Finish, ServingSession, Taken
from mixminion.mmtp.sessions import Session, SessionFactory
from mixminion.net.tls import exported
from mixminion.util import faults

log = Logger()

NOBODY = 0
"""No item: asked for where there is none, so that an empty answer takes as long as another."""


def export(transport: object) -> bytes:
    """What binds a proof to the TLS session of a transport."""
    return exported(transport, EXPORTER, EXPORTED)


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """Of a server: sessions at a time, frames of one, and deadlines in seconds."""

    sessions: int = 200
    frames: int = 4096
    session: float = 600.0  #: the longest a session may be
    idle: float = 60.0  #: without a request, or with a frame that the client does not read
    closing: float = 10.0  #: between our close and the connection's end
    memory: int = 32 * 2**20  #: octets of items under way that are kept in memory, of all sessions


class FetchSession(Session):
    """One client's session.  No more than one frame is ever on its way to it."""

    def __init__(self, factory: FetchServerFactory) -> None:
        super().__init__(factory.clock)
        self._factory = factory
        self._kept: Message | None = None  # the item of which a part was given

    # -- from the transport

    @override
    def connectionMade(self) -> None:
        factory = self._factory
        limits = factory.limits
        bound = to_sign(factory.identity, factory.export(self.transport))
        self._machine = ServingSession(factory.packet_length, bound, limits.frames)
        full = len(factory.sessions) >= limits.sessions
        factory.sessions.add(self)
        self._start("session", limits.session, self.close, Closing.OVER)
        self._start("idle", limits.idle, self.close, Closing.IDLE)
        if factory.stopping or full:
            self.close(Closing.STOPPING if factory.stopping else Closing.BUSY)

    @override
    def dataReceived(self, data: bytes) -> None:
        actions = self._machine.received(data)
        if actions and not self._ending:
            self._start("idle", self._factory.limits.idle, self.close, Closing.IDLE)
        self._perform(actions)

    # -- from the factory and the timers

    @override
    def stop(self) -> None:
        """End now."""
        self.close(Closing.STOPPING)

    @override
    def _over(self, error: SessionError | None) -> None:
        self._keep(None)
        self._factory.ended(self, error)

    def close(self, why: Closing) -> None:
        """End now; what was not acknowledged stays held."""
        self._perform(self._machine.close(why))

    def _cut(self) -> None:
        self._transport.abortConnection()

    # -- the machine's actions

    def _perform(self, actions: list[Action]) -> None:
        mailboxes = self._factory.mailboxes
        for action in actions:
            if isinstance(action, Find):
                _ = Deferred.fromCoroutine(self._find(action.item)).addErrback(self._failed)
            elif isinstance(action, Send):
                self._transport.write(action.octets)
            elif isinstance(action, Taken):
                mailboxes.taken(self._machine.capability, action.item)
            elif isinstance(action, Finish):
                held = len(mailboxes.waiting(self._machine.capability))
                self._perform(self._machine.finish(held))
            else:
                self._end(action)

    async def _find(self, part: int) -> None:
        """Read the rest of *part*, or what comes next.  What is gone, because the same owner has
        fetched it in another session, is passed over."""
        machine, mailboxes = self._machine, self._factory.mailboxes
        held, kept = mailboxes.waiting(machine.capability), self._kept
        if kept is not None and part in held:  # reading it all for each piece would cost too much
            await mailboxes.read(machine.capability, NOBODY)
            self._give(part, kept)
            return
        items = [item for item in held if item == part]
        items += [item for item in held if item not in machine.given]
        for item in items or [NOBODY]:
            message = await mailboxes.read(machine.capability, item)
            if message is not None:
                self._give(item, message)
                return
        self._keep(None)
        self._perform(machine.nothing())

    def _give(self, item: int, message: Message) -> None:
        self._perform(self._machine.found(item, message))
        self._keep(message if self._machine.part else None)

    def _keep(self, message: Message | None) -> None:
        """Have an item in memory until its last piece, while there is room for it."""
        factory, before = self._factory, self._kept
        if before is not None:
            factory.kept -= len(before.content)
        if message is not None and (
            self not in factory.sessions
            or factory.kept + len(message.content) > factory.limits.memory
        ):
            message = None
        if message is not None:
            factory.kept += len(message.content)
        self._kept = message

    def _failed(self, failure: Failure) -> None:
        assert failure.value is not None
        log.error("what is held could not be read: {report}", report=faults.report(failure.value))
        self.close(Closing.BUSY)

    def _end(self, end: End) -> None:
        self._error = end.error
        self._ending = True
        self._stop("idle")
        self._stop("session")
        self._transport.loseConnection()
        self._start("closing", self._factory.limits.closing, self._cut)


class FetchServerFactory(SessionFactory[FetchSession]):
    """Makes a session of each connection; goes behind ``mmtp-fetch/1`` of a link factory.

    *identity* is the server's, 32 octets.  Counts ``link-broken``.
    """

    side = "fetching"

    def __init__(
        self,
        mailboxes: IMailboxes,
        identity: bytes,
        clock: Clock,
        packet_length: int,
        counters: Counters,
        limits: FetchLimits | None = None,
        export: Callable[[object], bytes] = export,
    ) -> None:
        super().__init__(clock, packet_length, counters)
        self.mailboxes = mailboxes
        self.identity = identity
        self.limits = limits or FetchLimits()
        self.export = export
        self.kept = 0  #: octets of items that sessions keep in memory

    @override
    def buildProtocol(self, addr: IAddress | None) -> FetchSession:
        return FetchSession(self)
