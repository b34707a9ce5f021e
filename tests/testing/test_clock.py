"""The heap clock against its own promises, and against ``task.Clock`` where they agree."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock, LoopingCall
from zope.interface.verify import verifyObject

from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import START, HeapClock, Stalled


class HeapClockTests(SyncTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()
        self.seen: list[tuple[str, float]] = []

    def note(self, name: str) -> None:
        self.seen.append((name, self.clock.seconds() - START))

    def test_interfaces(self) -> None:
        """Twisted's interfaces are provided in full."""
        verifyObject(IReactorTime, self.clock)
        verifyObject(IDelayedCall, self.clock.callLater(1, self.note, "x"))

    def test_each_call_sees_its_own_time(self) -> None:
        """A call sees the moment it was due, not where the clock is going."""
        self.clock.callLater(2, self.note, "b")
        self.clock.callLater(1, self.note, name="a")
        self.clock.advance(10)
        self.assertEqual(self.seen, [("a", 1), ("b", 2)])
        self.assertEqual(self.clock.seconds(), START + 10)

    def test_ticks_run_as_often_as_they_would(self) -> None:
        """A minute tick runs 1,440 times a day, also when a week passes in one call."""
        ticks: list[float] = []
        loop = LoopingCall(lambda: ticks.append(self.clock.seconds()))
        loop.clock = self.clock
        _ = loop.start(60, now=False)
        self.clock.advance(7 * 86_400)
        self.assertEqual(len(ticks), 7 * 1440)
        self.assertEqual(ticks[0], START + 60)

    def test_one_moment_keeps_the_order_of_scheduling(self) -> None:
        """Calls of one moment run first come, first served."""
        for name in "abcdef":
            self.clock.callLater(1, self.note, name)
        self.clock.advance(1)
        self.assertEqual("".join(name for name, _ in self.seen), "abcdef")

    def test_calls_made_on_the_way_run_on_the_way(self) -> None:
        """What a call schedules within the advance is run by the same advance."""
        self.clock.callLater(1, lambda: self.clock.callLater(1, self.note, "later"))
        self.clock.advance(5)
        self.assertEqual(self.seen, [("later", 2)])

    def test_cancel(self) -> None:
        """A cancelled call never runs, and says what it is when touched again."""
        call = self.clock.callLater(1, self.note, "x")
        call.cancel()
        self.assertFalse(call.active())
        self.assertRaises(AlreadyCancelled, call.cancel)
        self.clock.advance(2)
        self.assertEqual(self.seen, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_called(self) -> None:
        """A call that has run cannot be moved or cancelled."""
        call = self.clock.callLater(0, self.note, "x")
        self.clock.advance()
        self.assertFalse(call.active())
        for change in (call.cancel, lambda: call.reset(1), lambda: call.delay(1)):
            self.assertRaises(AlreadyCalled, change)

    def test_reset_and_delay(self) -> None:
        """Moved earlier, later, and earlier again, a call runs once, at its last time."""
        call = self.clock.callLater(5, self.note, "x")
        call.delay(5)
        call.reset(2)
        call.reset(7)
        call.reset(6)
        self.assertEqual(call.getTime(), START + 6)
        self.assertEqual(self.clock.getDelayedCalls(), [call])
        self.clock.advance(20)
        self.assertEqual(self.seen, [("x", 6)])

    def test_many_cancelled_calls_do_not_stay(self) -> None:
        """Deadlines set and cleared by the thousand do not pile up in the heap."""
        for _ in range(10_000):
            self.clock.callLater(3600, self.note, "never").cancel()
        self.assertLess(len(self.clock._heap), 200)

    def test_an_exception_is_logged_and_the_run_goes_on(self) -> None:
        """A call that raises is a logged failure, as under a reactor."""
        self.clock.callLater(1, lambda: 1 / 0)
        self.clock.callLater(2, self.note, "next")
        self.clock.advance(2)
        self.assertEqual(self.seen, [("next", 2)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_no_way_back(self) -> None:
        """Neither a call nor the clock goes into the past; NaN is refused too."""
        for bad in (-1, float("nan")):
            self.assertRaises(ValueError, self.clock.callLater, bad, self.note)
            self.assertRaises(ValueError, self.clock.advance, bad)

    def test_run_until_a_moment(self) -> None:
        """A number is a moment in Unix time, and everything due by then has run."""
        self.clock.callLater(3, self.note, "x")
        self.clock.run_until(START + 3)
        self.assertEqual(self.seen, [("x", 3)])

    def test_run_until_a_predicate(self) -> None:
        """A predicate stops the run right after the call that made it true."""
        for second in range(1, 10):
            self.clock.callLater(second, self.note, "x")
        self.clock.run_until(lambda: len(self.seen) == 4)
        self.assertEqual(self.clock.seconds(), START + 4)

    def test_run_until_never(self) -> None:
        """What cannot happen any more, or not in time, is said at once."""
        self.assertRaises(Stalled, self.clock.run_until, lambda: False)
        self.clock.callLater(100, self.note, "late")
        self.assertRaises(Stalled, self.clock.run_until, lambda: False, 99)
        self.assertEqual(self.seen, [])

    def test_result_of(self) -> None:
        """A Deferred is waited for: its result, or its failure as an exception."""
        deferred: Deferred[int] = Deferred()
        self.clock.callLater(5, deferred.callback, 7)
        self.assertEqual(self.clock.result_of(deferred), 7)
        self.assertEqual(self.clock.result_of(succeed(8)), 8)
        self.assertRaises(KeyError, self.clock.result_of, fail(KeyError()))

    @settings(max_examples=50)
    @given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.booleans()), max_size=30))
    def test_agrees_with_task_clock(self, plan: list[tuple[int, int, bool]]) -> None:
        """Moved by whole seconds, the same calls run in the same order as on ``task.Clock``."""
        orders = []
        for clock in (HeapClock(), Clock()):
            order: list[int] = []
            for number, (first, then, cancel) in enumerate(plan):
                call = clock.callLater(first, order.append, number)
                call.reset(then + number / 1000)  # no two at one moment
                if cancel:
                    call.cancel()
            for _ in range(60):
                clock.advance(1)
            orders.append(order)
        self.assertEqual(*orders)
