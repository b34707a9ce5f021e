"""Packet keys over the weeks."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed

from mixminion.disk.errors import WriteFailed
from mixminion.mix.batches import Made, Wanted
from mixminion.mix.keycare import LOOK, RETRY, KeyCare
from mixminion.mix.keys import DamagedKey
from mixminion.mix.periods import KeyPeriods, Period
from mixminion.mix.worker import WorkerFailed
from mixminion.sphinx import geometry as geometries
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
        self.damaged: Exception | None = None
        self.held: list[Deferred[list[Made]]] | None = None
        self.begun: list[int] = []

    def make(self, wanted: Sequence[Wanted]) -> Deferred[list[Made]]:
        if self.held is not None:
            self.held.append(Deferred())
            return self.held[-1]
        if self.errors:
            return fail(self.errors.pop(0))
        self.keys.update(each.period for each in wanted)
        self.begun = [each.period for each in wanted if each.begun]
        return succeed(made(wanted))

    def keep(self, periods: Sequence[int]) -> Deferred[None]:
        self.events.append("keep")
        self.keys.intersection_update(periods)
        return succeed(None)

    def check(self) -> Deferred[None]:
        return succeed(None) if self.damaged is None else fail(self.damaged)


def made(wanted: Sequence[Wanted]) -> list[Made]:
    """What workers answer."""
    return [Made(each.period, each.geometry.suite.name, b"%d" % each.period) for each in wanted]


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


class Kit(SyncTestCase):
    """Periods of a week, a grace of a day."""

    def setUp(self) -> None:
        self.clock = HeapClock()
        self.events: list[str] = []
        self.workers, self.store = FakeWorkers(self.events), FakeStore(self.events)
        self.published: list[tuple[Made, ...]] = []
        self.unpublishable: Exception | None = None
        self.care = KeyCare(
            self.clock,
            KeyPeriods(WEEK, grace=DAY),
            self.workers,  # type: ignore[arg-type]
            self.store,  # type: ignore[arg-type]
            self.publish,
        )

    def publish(self, made: Sequence[Made]) -> None:
        """The descriptor."""
        if self.unpublishable is not None:
            raise self.unpublishable
        self.published.append(tuple(made))

    def public(self) -> list[int]:
        """The periods whose keys are published."""
        return [made.period for made in self.care.public]

    def start(self, *tagged: int) -> Deferred[None]:
        """Start it."""
        return Deferred.fromCoroutine(self.care.start(tagged))


class KeyCareTests(Kit):
    """The calendar alone."""

    def test_a_start_makes_what_is_published_and_erases_what_has_ended(self) -> None:
        """Keys first, then their tags: a key without tags would let replays pass."""
        self.successResultOf(self.start(1, 2, NOW))
        self.assertEqual(self.workers.keys, {NOW, NOW + 1, NOW + 2})
        self.assertEqual(self.public(), [NOW, NOW + 1, NOW + 2])
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
        self.assertEqual(self.public(), [NOW + 11, NOW + 12, NOW + 13])

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
        self.assertEqual((self.care.public, self.workers.keys), ((), {1}))
        self.assertFalse(self.care.ready)
        self.clock.advance(2 * RETRY)
        self.assertEqual(self.public(), [NOW, NOW + 1, NOW + 2])
        self.assertEqual(self.store.dropped, [])
        self.clock.advance(RETRY)
        self.assertEqual(self.store.dropped, [1])

    def test_what_cannot_be_published_is_published_later(self) -> None:
        """A full disk: the keys work all the same, and somebody is told."""
        self.unpublishable = WriteFailed(path="/home/descriptor", reason="full")
        self.successResultOf(self.start())
        self.clock.advance(10 * RETRY)
        self.assertEqual(self.public(), [NOW, NOW + 1, NOW + 2])
        self.assertTrue(self.care.ready)
        self.assertEqual(self.published, [])
        self.assertIs(self.care.problem, self.unpublishable)
        self.unpublishable = None
        self.clock.advance(RETRY)
        self.assertEqual(self.published, [self.care.public])
        self.assertIsNone(self.care.problem)
        self.clock.advance(10 * RETRY)
        self.assertEqual(len(self.published), 1)

    def test_the_same_is_published_again(self) -> None:
        """At once when somebody asks for it, or when it can be; no key is made for that."""
        self.care.publish()
        self.assertEqual(self.published, [])
        self.successResultOf(self.start())
        self.care.publish()
        self.assertEqual(self.published, [self.care.public] * 2)
        self.unpublishable = WriteFailed(path="/home/descriptor", reason="full")
        self.care.publish()
        self.unpublishable = None
        self.clock.advance(RETRY)
        self.assertEqual(self.published, [self.care.public] * 3)
        self.assertEqual(self.events, ["keep"])

    def test_a_damaged_key_is_noticed(self) -> None:
        """While nothing needs it, within ten minutes; until it is mended."""
        self.successResultOf(self.start())
        self.assertIsNone(self.care.problem)
        self.workers.damaged = DamagedKey(path="/home/keys/packet-1.key")
        self.clock.advance(LOOK)
        self.assertIs(self.care.problem, self.workers.damaged)
        self.assertEqual(len(self.published), 1)
        self.workers.damaged = None
        self.clock.advance(RETRY)
        self.assertIsNone(self.care.problem)

    def test_a_defect_of_ours_is_logged_and_the_next_look_comes(self) -> None:
        """It does not end the looks."""
        self.workers.errors = [ZeroDivisionError()]
        self.successResultOf(self.start())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.clock.advance(RETRY)
        self.assertTrue(self.care.ready)

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


class AdoptTests(Kit):
    """Newer consensuses list other periods."""

    def listed(self, *suites: str, first: int = NOW) -> KeyPeriods:
        """Periods of those suites."""
        return KeyPeriods(
            WEEK,
            DAY,
            tuple(
                Period(n, n * WEEK, (n + 1) * WEEK, geometries.default(suite))
                for n, suite in enumerate(suites, first)
            ),
        )

    def suites(self) -> list[str]:
        return [made.suite for made in self.care.public]

    def test_keys_of_new_periods_are_made_at_once(self) -> None:
        """In the suite of each, and published."""
        self.successResultOf(self.start())
        self.assertEqual(self.suites(), ["xwing"] * 3)
        self.care.adopt(self.listed("xwing", "x25519", "x25519", "xwing"))
        self.assertEqual(self.public(), [NOW, NOW + 1, NOW + 2, NOW + 3])
        self.assertEqual(self.suites(), ["xwing", "x25519", "x25519", "xwing"])
        self.assertEqual(self.published[-1], self.care.public)
        self.assertEqual(self.workers.begun, [NOW])

    def test_the_same_periods_make_no_work(self) -> None:
        """Most consensuses change nothing."""
        self.successResultOf(self.start())
        for _ in range(3):
            self.care.adopt(self.listed("xwing", "xwing", "xwing"))
        self.assertEqual((len(self.published), self.events), (1, ["keep"]))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_while_workers_work(self) -> None:
        """What came meanwhile is looked at when they have done."""
        self.workers.held = []
        started = self.start()
        self.care.adopt(self.listed("x25519"))
        self.assertEqual(len(self.workers.held), 1)
        held, self.workers.held = self.workers.held, None
        held[0].callback([])
        self.successResultOf(started)
        self.assertEqual((self.public(), self.suites()), ([NOW], ["x25519"]))

    def test_before_the_start_and_after_the_stop(self) -> None:
        """Nothing is done yet, or any more."""
        self.care.adopt(self.listed("x25519"))
        self.assertEqual(self.events, [])
        self.successResultOf(self.start())
        self.assertEqual(self.suites(), ["x25519"])
        self.care.stop()
        self.care.adopt(self.listed("xwing"))
        self.assertEqual((self.suites(), self.clock.getDelayedCalls()), (["x25519"], []))

    def test_after_a_failure(self) -> None:
        """A newer consensus does not wait for the next try."""
        self.workers.errors = [WorkerFailed(reason="packet-key-damaged")]
        self.successResultOf(self.start())
        self.care.adopt(self.listed("x25519"))
        self.assertEqual(self.suites(), ["x25519"])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
