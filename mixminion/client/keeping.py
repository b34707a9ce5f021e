"""Keeping the directory current while a program runs: fetched when a fetch is due, whatever the
program does meanwhile."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.client.directory import Directory
from mixminion.client.life import FIRST_RETRY, LAST_RETRY
from mixminion.client.schedule import Schedule
from mixminion.errors import MixminionError
from mixminion.interfaces import Clock, Random
from mixminion.util import faults

log = Logger()


class Keeping:
    """Fetches at the moments that *schedule* keeps, until it is stopped."""

    def __init__(
        self, directory: Directory, schedule: Schedule, clock: Clock, random: Random
    ) -> None:
        self._directory = directory
        self._schedule = schedule
        self._clock = clock
        self._random = random
        self._timer: IDelayedCall | None = None
        self._working: Deferred[None] | None = None
        self._running = False

    def start(self) -> None:
        """Fetch from now on."""
        if not self._running:
            self._running = True
            self._work(self._begin())

    def stop(self) -> None:
        """Fetch no more."""
        self._running = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._working is not None:
            self._working.cancel()

    async def _begin(self) -> None:
        """Wait for the moment that is kept; one that has passed is no reason to fetch because
        the program was started."""
        await self._directory.load()
        soon = min(FIRST_RETRY, self._directory.interval) * self._random.uniform()
        await self._wind(soon)

    async def _fetch(self) -> None:
        due = await self._schedule.due()
        if due is not None and due > self._clock.seconds():
            await self._directory.load(again=True)  # another program has fetched
        else:
            try:
                await self._directory.update()
            except MixminionError as error:
                log.warn(
                    "The directory could not be fetched ({code}); tried again later.",
                    code=error.code,
                )
        await self._wind(0.0)

    async def _wind(self, least: float) -> None:
        """Come back when a fetch is due, in *least* seconds at the earliest."""
        due = await self._schedule.due()
        wait = 0.0 if due is None else due - self._clock.seconds()
        if self._running:
            self._timer = self._clock.callLater(max(wait, least), lambda: self._work(self._fetch()))

    def _work(self, work: Coroutine[Any, Any, None]) -> None:
        self._working = Deferred.fromCoroutine(work)
        _ = self._working.addErrback(self._broken)

    def _broken(self, failure: Failure) -> None:
        """Stopped, or the state could not be read this time."""
        if not self._running:
            failure.trap(CancelledError, MixminionError)
            return
        error: Any = failure.value
        log.error("The directory could not be kept current: {report}", report=faults.report(error))
        self._timer = self._clock.callLater(LAST_RETRY, lambda: self._work(self._fetch()))
