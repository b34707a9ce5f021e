"""A virtual clock for whole networks: a heap that jumps from call to call.

``task.Clock.advance(week)`` shows every call the end of the week as its time, runs a
minute tick twice instead of 10,080 times, and sorts at each call.  Here every call sees
its own time, a tick that schedules itself again is run as often as it would be, and calls
of one moment run in the order in which they were scheduled: the same program gives the
same run, always.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")

START = 1_800_000_000.0
"""Where a clock starts unless told: 2027-01-15T08:00:00Z."""

log = Logger()


class Stalled(AssertionError):
    """What :meth:`HeapClock.run_until` waits for did not happen in time, or never can."""


@implementer(IDelayedCall)
class HeapCall:
    """One scheduled call of a :class:`HeapClock`."""

    __slots__ = ("_clock", "_function", "cancelled", "number", "time")

    def __init__(
        self, clock: HeapClock, time: float, number: int, function: Callable[[], object]
    ) -> None:
        self.time = time
        self.number = number  #: of its one valid entry in the heap
        self.cancelled = False
        self._clock = clock
        self._function: Callable[[], object] | None = function

    def getTime(self) -> float:
        """When it is due, in the clock's seconds."""
        return self.time

    def active(self) -> bool:
        """Whether it is still to come."""
        return self._function is not None

    def cancel(self) -> None:
        """Never run it."""
        self._check()
        self.cancelled = True
        self._function = None
        self._clock._forget()

    def reset(self, secondsFromNow: float) -> None:
        """Run it that long from now instead."""
        self._check()
        self._move(self._clock.seconds() + secondsFromNow)

    def delay(self, secondsLater: float) -> None:
        """Run it that much later than it would have been."""
        self._check()
        self._move(self.time + secondsLater)

    def run(self) -> None:
        """Run it, now and once."""
        function, self._function = self._function, None
        if function is not None:
            function()

    def _check(self) -> None:
        if self.cancelled:
            raise AlreadyCancelled()
        if self._function is None:
            raise AlreadyCalled()

    def _move(self, time: float) -> None:
        earlier, self.time = time < self.time, time
        if earlier:  # a later time is found out when the old entry comes up
            self._clock._push(self)


@implementer(IReactorTime)
class HeapClock:
    """``IReactorTime`` on virtual time, as Unix seconds.

    A call that raises is logged, as a reactor would, and the run goes on; trial turns the
    logged failure into a failed test.
    """

    def __init__(self, start: float = START) -> None:
        self._now = start
        self._heap: list[tuple[float, int, HeapCall]] = []
        self._numbers = itertools.count()
        self._forgotten = 0
        self.calls = 0  #: how many calls have run

    def seconds(self) -> float:
        """The virtual time; while a call runs, the time it was due."""
        return self._now

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> HeapCall:
        """Schedule *callable*, *delay* seconds (not negative) from now."""
        if not delay >= 0:
            raise ValueError(f"a call cannot be scheduled {delay} seconds from now")
        function = (lambda: callable(*args, **kwargs)) if args or kwargs else callable
        call = HeapCall(self, self._now + delay, -1, function)
        self._push(call)
        return call

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Every call still to come, the next one first."""
        current = [entry for entry in self._heap if self._valid(entry)]
        return [call for _, _, call in sorted(current, key=lambda e: (e[2].time, e[1]))]

    def next_call(self) -> float | None:
        """When the next call is due; None when there is none."""
        heap = self._heap
        while heap:
            entry = heap[0]
            time, _, call = entry
            if not self._valid(entry):
                heapq.heappop(heap)
            elif time < call.time:
                heapq.heappop(heap)
                self._push(call)
            else:
                return time
        return None

    def advance(self, seconds: float = 0.0) -> None:
        """Run everything that is due in the next *seconds*, then be there."""
        if not seconds >= 0:
            raise ValueError(f"time cannot advance by {seconds} seconds")
        end = self._now + seconds
        while (due := self.next_call()) is not None and due <= end:
            self._step()
        self._now = max(self._now, end)

    def run_until(self, reached: float | Callable[[], bool], at_most: float = 86_400.0) -> None:
        """Run up to a moment, or until a predicate holds (asked before and after each call).

        :param at_most: give up after so many virtual seconds (for a predicate).
        :raises Stalled: when nothing is left to run, or the next call is beyond *at_most*,
            and the predicate still does not hold.
        """
        if not callable(reached):
            self.advance(reached - self._now)
            return
        end = self._now + at_most
        while not reached():
            due = self.next_call()
            if due is None:
                raise Stalled("nothing is left to run, and it has not happened")
            if due > end:
                raise Stalled(f"it has not happened within {at_most} virtual seconds")
            self._step()

    def result_of(self, deferred: Deferred[T], at_most: float = 86_400.0) -> T:
        """Run until *deferred* has fired; its result, or its failure raised."""
        results: list[T | Failure] = []
        _ = deferred.addBoth(results.append)
        self.run_until(lambda: bool(results), at_most)
        result = results[0]
        if isinstance(result, Failure):
            result.raiseException()
        return result

    def _step(self) -> None:
        """Run the call at the top, which :meth:`next_call` has just found valid."""
        self._now, _, call = heapq.heappop(self._heap)
        self.calls += 1
        try:
            call.run()
        except Exception:
            log.failure("A scheduled call raised")

    def _push(self, call: HeapCall) -> None:
        call.number = next(self._numbers)
        heapq.heappush(self._heap, (call.time, call.number, call))

    @staticmethod
    def _valid(entry: tuple[float, int, HeapCall]) -> bool:
        _, number, call = entry
        return call.number == number and call.active()

    def _forget(self) -> None:
        """A call was cancelled: when that may be most of the heap, rebuild it."""
        self._forgotten += 1
        if self._forgotten > 64 and self._forgotten * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if self._valid(entry)]
            heapq.heapify(self._heap)
            self._forgotten = 0


@implementer(IReactorTime)
class WrongClock:
    """*clock* as somebody reads it whose own is *ahead* by so many seconds, or behind."""

    def __init__(self, clock: IReactorTime, ahead: float) -> None:
        self._clock = clock
        self._ahead = ahead

    def seconds(self) -> float:
        """The wrong time."""
        return self._clock.seconds() + self._ahead

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> IDelayedCall:
        """Waiting takes as long as ever."""
        return self._clock.callLater(delay, callable, *args, **kwargs)

    def getDelayedCalls(self) -> list[IDelayedCall]:
        """Those of the clock behind it."""
        return list(self._clock.getDelayedCalls())
