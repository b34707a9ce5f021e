"""Packet keys over the weeks."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed

from mixminion.mix.keycare import RETRY, KeyCare
from mixminion.mix.periods import KeyPeriods
from mixminion.mix.worker import WorkerFailed
from mixminion.store import StoreError
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import START, HeapClock

WEEK = 7 * 86_400
DAY = 86_400.0
NOW = int(START // WEEK)


class FakeWorkers:
    """Keys by period, and what was asked."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.keys: set[int] = {1}
        self.errors: list[Exception] = []
        self.held: list[Deferred[dict[int, bytes]]] | None = None

    def make(self, periods: Sequence[int]) -> Deferred[dict[int, bytes]]:
        if self.held is not None:
            self.held.append(Deferred())
            return self.held[-1]
        if self.errors:
            return fail(self.errors.pop(0))
        self.keys.update(periods)
        return succeed({period: b"%d" % period for period in periods})

    def keep(self, periods: Sequence[int]) -> Deferred[None]:
        self.events.append("keep")
        self.keys.intersection_update(periods)
        return succeed(None)


class FakeStore:
    """Tags by period."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.dropped: list[int] = []
        self.errors: list[Exception] = []

    def drop_tags(self, key: int) -> Deferred[None]:
        self.events.append("drop")
        if self.errors:
            return fail(self.errors.pop(0))
        self.dropped.append(key)
        return succeed(None)


class KeyCareTests(SyncTestCase):
    """Periods of a week, a grace of a day."""

    def setUp(self) -> None:
        self.clock = HeapClock()
        self.events: list[str] = []
        self.workers, self.store = FakeWorkers(self.events), FakeStore(self.events)
        periods = KeyPeriods(WEEK, grace=DAY)
        self.care = KeyCare(self.clock, periods, self.workers, self.store)  # type: ignore[arg-type]

    def start(self, *tagged: int) -> Deferred[None]:
        """Start it."""
        return Deferred.fromCoroutine(self.care.start(tagged))

    def test_a_start_makes_what_is_published_and_erases_what_has_ended(self) -> None:
        """Keys first, then their tags: a key without tags would let replays pass."""
        self.successResultOf(self.start(1, 2, NOW))
        self.assertEqual(self.workers.keys, {NOW, NOW + 1, NOW + 2})
        self.assertEqual(sorted(self.care.public), [NOW, NOW + 1, NOW + 2])
        self.assertEqual(sorted(self.store.dropped), [1, 2])
        self.assertEqual(self.events, ["keep", "drop", "drop"])

    def test_over_the_weeks_keys_come_in_time_and_go_with_their_tags(self) -> None:
        """Two periods ahead, and no later than ten minutes after the grace."""
        self.successResultOf(self.start())
        border = (NOW + 1) * WEEK
        self.clock.run_until(border + DAY - 1)
        self.assertEqual(self.workers.keys, {NOW, NOW + 1, NOW + 2, NOW + 3})
        self.assertEqual(self.store.dropped, [])
        self.clock.run_until(border + DAY + 600)
        self.assertEqual(self.workers.keys, {NOW + 1, NOW + 2, NOW + 3})
        self.assertEqual(self.store.dropped, [NOW])
        self.clock.run_until(border + 10 * WEEK + 2 * DAY)
        self.assertEqual(self.store.dropped, list(range(NOW, NOW + 11)))
        self.assertEqual(sorted(self.care.public), [NOW + 11, NOW + 12, NOW + 13])

    def test_workers_are_asked_at_borders_only(self) -> None:
        """Looking at the calendar costs nothing."""
        self.successResultOf(self.start())
        self.clock.advance(4 * WEEK)
        self.assertEqual(self.events.count("keep"), 1 + 2 * 4)

    def test_what_fails_is_done_later(self) -> None:
        """A damaged key, a store that cannot write: the start goes on, nothing is forgotten."""
        self.workers.errors = [WorkerFailed(reason="packet-key-damaged")] * 2
        self.store.errors = [StoreError(problem="no")]
        self.successResultOf(self.start(1))
        self.assertEqual((self.care.public, self.workers.keys), ({}, {1}))
        self.clock.advance(2 * RETRY)
        self.assertEqual(sorted(self.care.public), [NOW, NOW + 1, NOW + 2])
        self.assertEqual(self.store.dropped, [])
        self.clock.advance(RETRY)
        self.assertEqual(self.store.dropped, [1])

    def test_a_defect_of_ours_is_logged_and_the_next_look_comes(self) -> None:
        """It does not end the looks."""
        self.workers.errors = [ZeroDivisionError()]
        self.successResultOf(self.start())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.clock.advance(RETRY)
        self.assertTrue(self.care.public)

    def test_a_stop_ends_the_looks(self) -> None:
        """Between two of them."""
        self.successResultOf(self.start())
        self.care.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_stop_during_a_look(self) -> None:
        """Nothing is said of what could not be done, and nothing comes after."""
        self.workers.held = []
        started = self.start()
        self.care.stop()
        self.workers.held[0].errback(WorkerFailed(reason="stopping"))
        self.successResultOf(started)
        self.assertEqual(self.clock.getDelayedCalls(), [])
