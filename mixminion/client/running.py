"""What a client does while it runs: packets at random points, visits of mailboxes, and a look at
what is kept for long.

None of it is moved by what is typed, answered or fetched (``doc/design/client-schedule.rst``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.client.aging import Aging
from mixminion.client.directory import Directory
from mixminion.client.loads import Loads
from mixminion.client.points import Points, mean_gap
from mixminion.client.progress import Deleted, Progress, silent
from mixminion.client.receipts import Receipts
from mixminion.client.sections import ScheduleSection
from mixminion.client.sender import Flushed, Sender
from mixminion.client.visiting import Visiting
from mixminion.directory.parameters import Parameters
from mixminion.errors import MixminionError
from mixminion.interfaces import Clock, Random
from mixminion.paths.deviations import Deviation

log = Logger()

TEND = 3600.0
"""Seconds between two looks at what is kept."""

LATER = 60.0
"""Seconds until it is looked again whether there is a directory."""

FLUSH = 600.0
"""Seconds between two attempts to send what is kept, on average, where there are no points."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How a running client sends now."""

    points: bool  #: whether packets leave at random points only
    gap: float  #: mean seconds between them
    links: int  #: to entries


def warnings(section: ScheduleSection) -> Iterator[Deviation]:
    """Where the configuration gives up some of what a schedule protects."""
    if not section.points:
        yield Deviation(
            "no-schedule",
            "Packets leave when they come (points = no in [Schedule]): who watches this line sees"
            " when you write.",
        )
    elif section.slower > 1:
        yield Deviation(
            "slower-schedule",
            f"Packets leave {section.slower} times less often than other clients' (slower in"
            " [Schedule]): they wait longer, and this client can be told from others.",
        )


class Running:
    """All of it, for one client; *random* is drawn from for nothing but moments."""

    def __init__(
        self,
        *,
        section: ScheduleSection,
        directory: Directory,
        sender: Sender,
        loads: Loads,
        visiting: Visiting,
        aging: Aging,
        receipts: Receipts,
        clock: Clock,
        random: Random,
    ) -> None:
        self._section = section
        self._directory = directory
        self._sender = sender
        self._loads = loads
        self.visiting = visiting
        self._aging = aging
        self._receipts = receipts
        visiting.observe(lambda number, visit: self._collect())
        self._clock = clock
        self._random = random
        self._points = Points(clock, random, self._gap, loads)
        self._timers: dict[Callable[[], Awaitable[object]], IDelayedCall] = {}
        self._running = False

    @property
    def pace(self) -> Pace:
        """How it sends now."""
        return Pace(self._points.running, self._gap(), self._loads.up)

    @property
    def visit_every(self) -> float:
        """The mean time between two visits of a mailbox, in seconds; 0 when it does not run."""
        return self._section.visit_every if self._running and self._section.visits else 0.0

    def start(self) -> None:
        """From now on."""
        if self._running:
            return
        self._running = True
        if self._section.points:
            self._sender.schedule = self._loads
            self._begin()
        else:
            self._again(self._flush, lambda: self._random.exponential(FLUSH))
        self._again(self._tend, lambda: TEND)
        self._again(self._receipts.tend, self._receipts.pause)
        self.visiting.start()

    async def stop(self) -> None:
        """End all of it, links included; what has not left stays kept."""
        if not self._running:
            return
        self._running = False
        self.visiting.stop()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._points.stop()
        self._sender.schedule = None
        await self._loads.close()

    async def hand_over(self, ids: Iterable[int], progress: Progress = silent) -> Flushed:
        """What :meth:`mixminion.client.sender.Sender.flush` does, in this client's own time."""
        return await self._sender.flush(ids, progress)

    def _begin(self) -> None:
        """Begin with the points when it is known how many they are."""

        def begin(_: object) -> None:
            if self._running:
                self._points.start()

        def later(failure: Failure) -> None:
            _unfinished(failure)
            if self._running:
                self._timers[self._wait] = self._clock.callLater(LATER, due)

        def due() -> None:
            del self._timers[self._wait]
            self._begin()

        _ = Deferred.fromCoroutine(self._wait()).addCallbacks(begin, later)

    async def _wait(self) -> None:
        await self._directory.view()

    def _gap(self) -> float:
        view = self._directory.latest
        parameters = Parameters.default() if view is None else view.parameters
        return mean_gap(parameters.mean_delay, self._section.slower)

    async def _flush(self) -> None:
        await self._sender.flush()

    async def _collect(self) -> None:
        await self._receipts.collect()

    async def _tend(self) -> None:
        for event in await self._aging.look():
            if isinstance(event, Deleted):
                log.warn(
                    "{packets} packets had been kept for too long and were deleted.",
                    packets=event.packets,
                )
            else:
                log.warn("{packets} packets are kept for long.", packets=event.packets)

    def _again(self, work: Callable[[], Awaitable[object]], pause: Callable[[], float]) -> None:
        """Do it again and again."""

        async def do() -> None:
            await work()

        def due() -> None:
            del self._timers[work]
            _ = Deferred.fromCoroutine(do()).addErrback(_unfinished)
            self._again(work, pause)

        self._timers[work] = self._clock.callLater(pause(), due)


def _unfinished(failure: Failure) -> None:
    """Something that is done again."""
    error = failure.value
    failure.trap(CancelledError, MixminionError)
    if isinstance(error, MixminionError):
        log.warn("What is done again and again came to nothing ({code}).", code=error.code)
