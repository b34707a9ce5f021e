"""Work under way: started, and ended together."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.interfaces import Clock

log = Logger()


class Tasks:
    """Coroutines that run until they are done, or all are cancelled.

    One that fails is a defect of ours: it is logged, and the others go on.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: set[Deferred[Any]] = set()
        self._ended = False

    def start(self, work: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
        """Run *work*; fires when it is over, however that was, unless all are cancelled before."""
        over: Deferred[None] = Deferred()
        if self._ended:
            work.close()
            return over
        running: Deferred[None] = Deferred.fromCoroutine(work)

        def end(result: Failure | None) -> None:
            self._running.discard(running)
            if isinstance(result, Failure) and not result.check(CancelledError):
                log.failure("Something of the rounds failed", result)
            over.callback(None)

        self._running.add(running)
        _ = running.addBoth(end)
        return over

    async def pause(self, seconds: float) -> None:
        """Wait, at least for a turn of the reactor; not after the end."""
        if self._ended:
            raise CancelledError
        await deferLater(self._clock, max(0.0, seconds), lambda: None)

    async def until(self, time: float) -> None:
        """Wait for a moment of the clock; none that has passed."""
        # A timer may come a little early by the clock that set it.
        while (left := time - self._clock.seconds()) > 0:
            await self.pause(left)

    def end(self) -> None:
        """Cancel all; nothing starts any more."""
        self._ended = True
        for running in list(self._running):
            running.cancel()
