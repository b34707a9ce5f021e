"""One message on its way out, as a program watches it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, ParamSpec

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from mixminion.client.errors import Withdrawn
from mixminion.client.progress import Event, Kept, PathChosen, Progress, Sent, silent
from mixminion.client.withdrawing import Cancelled
from mixminion.errors import MixminionError

P = ParamSpec("P")

NOTHING = Cancelled(None, 0, 0)
"""Nothing was kept that could be deleted."""


class Outgoing:
    """A message that is being sent: what happens to it, how it ends, and a way to call it back.

    ``async for event in outgoing`` gives every event from the first one on, to as many readers as
    there are, and ends when the message has been handed over; it raises what :meth:`when_done`
    fails with.  A failure that nobody asks for is logged, as that of a Deferred is.
    """

    def __init__(
        self,
        send: Callable[[Progress], Coroutine[Any, Any, Sent]],
        withdraw: Callable[[int], Awaitable[Cancelled]],
    ) -> None:
        """*send* does it, and *withdraw* deletes what the outbox has under a number."""
        self._withdraw = withdraw
        self._events: list[Event] = []
        self._turns: list[Deferred[None]] = []
        self._kept: list[Deferred[int]] = []
        self._done: list[Deferred[Sent]] = []
        self._result: Sent | Failure | None = None
        self._began = self._cancelled = False
        self._id: int | None = None
        self._work = Deferred.fromCoroutine(send(self._tell))
        _ = self._work.addBoth(self._ended)

    @property
    def events(self) -> tuple[Event, ...]:
        """What has happened so far."""
        return tuple(self._events)

    @property
    def id(self) -> int | None:
        """The number of the message in the outbox, once it is kept there."""
        return self._id

    def when_kept(self) -> Deferred[int]:
        """Fires with that number: from then on the message is lost by no crash.

        :raises MixminionError: it was not kept, and nothing was sent (as failure).
        """
        waiting: Deferred[int] = Deferred()
        if self._id is not None:
            waiting.callback(self._id)
        elif isinstance(self._result, Failure):
            waiting.errback(self._seen(self._result))
        else:
            self._kept.append(waiting)
        return waiting

    def when_done(self) -> Deferred[Sent]:
        """Fires when the first server of each of its paths has it on disk.

        :raises NotHandedOver: they have not, but it is kept (as failure).
        :raises Withdrawn: it was called back.
        :raises MixminionError: anything else: nothing was sent or kept.
        """
        waiting: Deferred[Sent] = Deferred()
        if self._result is None:
            self._done.append(waiting)
        elif isinstance(self._result, Failure):
            waiting.errback(self._seen(self._result))
        else:
            waiting.callback(self._result)
        return waiting

    async def cancel(self) -> Cancelled:
        """Call the message back; see :meth:`Client.cancel <mixminion.api.Client.cancel>`.

        :raises AlreadyHandedOver: all of it was given to a server, or may have been.
        """
        if self._result is None and not self._began:
            self._cancelled = True  # nothing is written yet, and nothing will be
            self._work.cancel()
        elif self._result is None and self._id is None:
            with suppress(MixminionError):  # then it was not kept
                await self.when_kept()
        return NOTHING if self._id is None else await self._withdraw(self._id)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """See the class."""
        given = 0
        while True:
            while given < len(self._events):
                given += 1
                yield self._events[given - 1]
            if self._result is not None:
                break
            turn: Deferred[None] = Deferred()
            self._turns.append(turn)
            await turn
        if isinstance(self._result, Failure):
            self._seen(self._result).raiseException()

    def _tell(self, event: Event) -> None:
        if isinstance(event, PathChosen):
            self._began = True
        self._events.append(event)
        if isinstance(event, Kept) and self._id is None:
            self._id = event.id
            waiting, self._kept = self._kept, []
            for each in waiting:
                each.callback(event.id)
        self._turn()

    def _turn(self) -> None:
        turns, self._turns = self._turns, []
        for turn in turns:
            turn.callback(None)

    def _ended(self, result: Sent | Failure) -> Sent | Failure | None:
        if self._cancelled and isinstance(result, Failure) and result.check(CancelledError):
            result = Failure(Withdrawn())
        self._result = result
        observed = bool(self._done or self._kept or self._turns)
        if isinstance(result, Failure) and result.check(Withdrawn):
            observed = True  # by who called it back
        for done in self._done:
            done.callback(result)
        if isinstance(result, Failure):
            for kept in self._kept:
                kept.errback(result)
        self._done, self._kept = [], []
        self._turn()
        return None if observed else result

    def _seen(self, failure: Failure) -> Failure:
        """The failure, of which somebody knows now."""
        _ = self._work.addErrback(lambda _: None)
        return failure


def begun(
    withdraw: Callable[[int], Awaitable[Cancelled]],
    send: Callable[P, Coroutine[Any, Any, Sent]],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Outgoing:
    """What *send* does with these arguments, begun; one of them may be ``progress``."""
    named: dict[str, Any] = dict(kwargs)
    also: Progress = named.get("progress", silent)
    any_send: Callable[..., Coroutine[Any, Any, Sent]] = send

    def work(tell: Progress) -> Coroutine[Any, Any, Sent]:
        def both(event: Event) -> None:
            tell(event)
            also(event)

        return any_send(*args, **named | {"progress": both})

    return Outgoing(work, withdraw)
