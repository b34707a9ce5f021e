"""The points at which a running client's packets leave: a Poisson process that nothing moves.

The times come from a generator of their own.  What leaves at a point is got ready *before* it, so
that neither the disk nor the building of a packet makes it late; what is not ready then does not
leave.
``doc/design/client-schedule.rst`` has the reasons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from twisted.internet.interfaces import IDelayedCall

from mixminion.interfaces import Clock, Random

T = TypeVar("T")

SHARE = 4
"""Points in the mean delay of a hop: a packet waits a sixteenth of its way for its own."""

LEAST = 1.0
"""Seconds between two points, on average, in networks whose delays are hardly any."""

LEAD = 5.0
"""Seconds before a point in which what leaves at it is chosen and got ready."""

ASLEEP = 10.0
"""Seconds that a point may be late; after more than that the machine slept, and what was missed is
not made up for: a process without memory begins anew."""


def mean_gap(mean_delay: float, slower: int = 1) -> float:
    """Seconds between two points, on average, in a network with that mean delay of a hop."""
    return max(LEAST, mean_delay / SHARE) * slower


class Loading(Protocol[T]):
    """What has packets for points."""

    def prepare(self) -> T:
        """Begin to get something ready for a point."""

    def leave(self, load: T) -> None:
        """The point is now: what is ready leaves."""

    def leave_out(self, load: T) -> None:
        """It never leaves: the schedule has ended, or was late."""


class Points(Generic[T]):
    """A schedule for *loading*; *mean* gives the mean seconds between two points at any time."""

    def __init__(
        self, clock: Clock, random: Random, mean: Callable[[], float], loading: Loading[T]
    ) -> None:
        self._clock = clock
        self._random = random
        self._mean = mean
        self._loading = loading
        self._drawn: IDelayedCall | None = None
        self._coming: dict[IDelayedCall, T] = {}

    @property
    def running(self) -> bool:
        """Whether there will be points."""
        return self._drawn is not None

    def start(self) -> None:
        """From now on."""
        if self._drawn is None:
            self._draw(self._clock.seconds())

    def stop(self) -> None:
        """No more points; what was ready for one does not leave."""
        if self._drawn is not None and self._drawn.active():
            self._drawn.cancel()
        self._drawn = None
        coming, self._coming = self._coming, {}
        for call, load in coming.items():
            call.cancel()
            self._loading.leave_out(load)

    def _draw(self, last: float) -> None:
        """The point after the one at *last*."""
        now, mean = self._clock.seconds(), self._mean()
        point = last + self._random.exponential(mean)
        begin = max(0.0, point - min(LEAD, mean) - now)
        self._drawn = self._clock.callLater(begin, self._begin, point)

    def _begin(self, point: float) -> None:
        now = self._clock.seconds()
        if now > point + ASLEEP:
            self._draw(now)
            return
        self._draw(point)
        load = self._loading.prepare()

        def leave() -> None:
            del self._coming[call]
            if self._clock.seconds() > point + ASLEEP:
                self._loading.leave_out(load)
            else:
                self._loading.leave(load)

        call = self._clock.callLater(max(0.0, point - now), leave)
        self._coming[call] = load
