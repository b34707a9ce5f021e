"""Visiting mailboxes while a program runs: each at the points of a Poisson process, in so many
frames, whatever is there and whatever else the program does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.client.directory import Directory
from mixminion.client.mailbox import Mailboxes, Visit
from mixminion.client.sections import ScheduleSection
from mixminion.errors import MixminionError
from mixminion.interfaces import Clock, Random
from mixminion.util import faults

log = Logger()

Observer = Callable[[int, Visit], Awaitable[None] | None]
"""Hears of a visit: the mailbox's number, and what the visit was."""


class Visiting:
    """The visits of one state file's mailboxes; *random* is for their moments alone."""

    def __init__(
        self,
        mailboxes: Mailboxes,
        directory: Directory,
        section: ScheduleSection,
        clock: Clock,
        random: Random,
    ) -> None:
        self._mailboxes = mailboxes
        self._directory = directory
        self._section = section
        self._clock = clock
        self._random = random
        self._timer: IDelayedCall | None = None
        self._working: set[Deferred[None]] = set()
        self._observers: list[Observer] = []
        self._running = False

    def observe(self, observer: Observer) -> None:
        """Have *observer* called after every visit, whether something came or not."""
        self._observers.append(observer)

    def start(self) -> None:
        """Visit from now on, if the configuration says so."""
        if self._section.visits and not self._running:
            self._running = True
            self._begin(self._wind())

    def stop(self) -> None:
        """Visit no more; a visit under way is cut off, and what came before is kept."""
        self._running = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for working in list(self._working):
            working.cancel()

    async def _wind(self) -> None:
        """Come back at the next point.  With n mailboxes they are n times as many, and each is
        drawn for one of them: that is a process of each one's own."""
        number = len(await self._mailboxes.all())
        pause = self._random.exponential(self._section.visit_every / max(1, number))
        if self._running:
            self._timer = self._clock.callLater(pause, self._point)

    def _point(self) -> None:
        self._begin(self._wind())
        self._begin(self._visit())

    async def _visit(self) -> None:
        found = await self._mailboxes.all()
        if not found:
            return
        mailbox = found[self._random.below(len(found))]
        view = await self._directory.view()
        try:
            visit = await self._mailboxes.visit(view, mailbox.number, self._section.visit_frames)
        except MixminionError as error:
            log.info("A mailbox could not be visited ({code}); later.", code=error.code)
            return
        for observer in self._observers:
            done = observer(mailbox.number, visit)
            if done is not None:
                await done

    def _begin(self, work: Any) -> None:
        working = Deferred.fromCoroutine(work)
        self._working.add(working)

        def ended(result: Any) -> None:
            self._working.discard(working)
            if isinstance(result, Failure):
                self._broken(result)

        _ = working.addBoth(ended)

    def _broken(self, failure: Failure) -> None:
        """Stopped, or a visit came to nothing; the next one is at its own time."""
        error: Any = failure.value
        if isinstance(error, CancelledError):
            return
        if isinstance(error, MixminionError):
            log.warn("A mailbox could not be visited ({code}).", code=error.code)
        else:
            log.error("A visit broke off: {report}", report=faults.report(error))
