"""What comes for a client, as a program waits for it: one thing after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.client.mailbox import FRAMES
from mixminion.client.opened import Kind, Opened
from mixminion.crypto.rng import SystemRandom
from mixminion.errors import MixminionError
from mixminion.interfaces import Clock, Random
from mixminion.util import faults

if TYPE_CHECKING:
    from mixminion.client.client import Client

log = Logger()

NOT_FOR_PEOPLE = (Kind.PART, Kind.AGAIN)


class Incoming:
    """Messages and replies from all mailboxes of *client*, an asynchronous iterator: ``async for
    message in incoming``, or :meth:`when_next` for who has Deferreds.

    Each counts as read, and is forgotten, when the next one is asked for: after a crash it may come
    once more, and none is lost.  What cannot be opened comes as :attr:`Kind.CLOSED
    <mixminion.api.Kind>`, once.  Mailboxes are visited by a client that runs, in its own time; with
    *every* also from here, at random moments that lie so many seconds apart on average.
    *passphrase* opens protected identities.
    """

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        every: float | None = None,
        passphrase: bytes | None = None,
        random: Random | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._every = every
        self._passphrase = passphrase
        self._random = SystemRandom() if random is None else random
        self._queued: list[Opened] = []
        self._given: Opened | None = None
        self._shown: set[tuple[int, ...]] = set()
        self._turn: Deferred[None] | None = None
        self._news = True
        self._timer: IDelayedCall | None = None
        self._visiting: Deferred[None] | None = None
        client.on_visit(self._visited)
        self._wind()

    def __aiter__(self) -> Incoming:
        """Itself."""
        return self

    async def __anext__(self) -> Opened:
        """The next thing that came; waits for it."""
        if self._given is not None:
            given, self._given = self._given, None
            await self._client.inbox.mark_read([given])
        while not self._queued:
            if not self._news:
                self._turn = Deferred()
                await self._turn
            self._news = False
            await self._look()
        self._given = self._queued.pop(0)
        return self._given

    def when_next(self) -> Deferred[Opened]:
        """The same as a Deferred; one at a time."""
        return Deferred.fromCoroutine(self.__anext__())

    async def check(self) -> None:
        """Visit every mailbox now; who watches the line may see that somebody wants to know."""
        for mailbox in await self._client.mailboxes():
            await self._client.visit_mailbox(mailbox.number, FRAMES)
        self._visited()

    async def stop(self) -> None:
        """Visit no more; what was given last counts as read."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._every = None
        if self._visiting is not None:
            self._visiting.cancel()
        if self._given is not None:
            given, self._given = self._given, None
            await self._client.inbox.mark_read([given])

    async def _look(self) -> None:
        found = await self._client.inbox.unread(passphrase=self._passphrase)
        quiet = [each for each in found if each.kind in NOT_FOR_PEOPLE]
        await self._client.inbox.mark_read(quiet)
        for each in found:
            if each.kind not in NOT_FOR_PEOPLE and each.marks.items not in self._shown:
                self._shown.add(each.marks.items)
                self._queued.append(each)

    def _visited(self, *_: Any) -> None:
        self._news = True
        if self._turn is not None:
            turn, self._turn = self._turn, None
            turn.callback(None)

    def _wind(self) -> None:
        if self._every is not None:
            self._timer = self._clock.callLater(self._random.exponential(self._every), self._point)

    def _point(self) -> None:
        self._visiting = Deferred.fromCoroutine(self.check())
        _ = self._visiting.addBoth(self._over)

    def _over(self, result: Failure | None) -> None:
        self._visiting = None
        if isinstance(result, Failure) and not result.check(CancelledError):
            error: Any = result.value
            if isinstance(error, MixminionError):
                log.info("A mailbox could not be visited ({code}); later.", code=error.code)
            else:
                log.error("A visit broke off: {report}", report=faults.report(error))
        self._wind()
