"""When a running client fetches: at random moments that nothing it does can move."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from twisted.internet.defer import Deferred

from mixminion.client import life
from mixminion.client.keeping import Keeping
from mixminion.client.progress import Event
from mixminion.crypto.rng import SeededRandom
from tests.client.caches import HOUR, CachesCase
from tests.directory.network import NOW, WEEK


class KeepingCase(CachesCase):
    """A client that runs on and on."""

    def setUp(self) -> None:
        super().setUp()
        self.keeping = self.run_client()

    def run_client(self, seed: bytes = b"keeping") -> Keeping:
        keeping = Keeping(self.directory, self.schedule, self.clock, SeededRandom(seed))
        keeping.start()
        self.addCleanup(keeping.stop)
        return keeping

    def publish_hourly(self, hours: int) -> None:
        for hour in range(hours):
            self.clock.callLater(NOW + hour * HOUR - self.clock.seconds(), self.publish)

    def fetches(self) -> list[float]:
        """The moments at which a fetch began: its requests follow each other at once."""
        times: list[float] = []
        for moment, _ in self.dialled:
            if not times or moment - times[-1] > 30:
                times.append(moment)
        return times


class WeekTests(KeepingCase):
    """A virtual week in which a consensus is published every hour."""

    def week(self, uses: list[float]) -> list[float]:
        """The fetches of a client that uses its directory at those moments."""
        self.publish_hourly(WEEK // HOUR)
        told: list[Event] = []
        for moment in uses:
            self.clock.callLater(moment - self.clock.seconds(), self.use, told.append)
        self.clock.run_until(float(NOW + WEEK - 60))
        self.assertEqual(told, [])
        return self.fetches()

    def use(self, tell: Callable[[Event], None]) -> None:
        """It gets its directory at once, and no warning."""
        self.successResultOf(Deferred.fromCoroutine(self.directory.view(tell)))

    def test_current(self):
        """The directory is never older than it has to be, and nobody fetches more often than the
        rules say."""
        moments = self.week([])
        for before, after in pairwise(moments):
            self.assertTrue(0.25 * HOUR <= after - before <= 2.625 * HOUR, (before, after))
        self.assertTrue(70 < len(moments) < 130, len(moments))

    def test_uses_move_nothing(self):
        """The same week with a thousand uses of the directory, in bursts and at random: fetches
        are at the very same moments."""
        quiet = self.week([])
        random = SeededRandom(b"uses")
        self.setUp()
        moment, uses = float(NOW + HOUR), list[float]()
        while moment < NOW + WEEK - HOUR:
            uses += [moment + i for i in range(5)]
            moment += 1 + random.exponential(3000.0)
        self.assertGreater(len(uses), 800)
        self.assertEqual(self.week(uses), quiet)


class RestartTests(KeepingCase):
    """Programs that start, stop and share a folder."""

    def test_kept_moment(self):
        """A program that is started again fetches when the one before would have."""
        self.publish()
        self.clock.advance(60)
        due = self.ask(self.schedule.due())
        assert due is not None
        self.assertTrue(NOW + 1.25 * HOUR <= due <= NOW + 2.625 * HOUR)
        self.dialled.clear()
        self.keeping.stop()
        self.start(b"again")
        self.run_client(b"again")
        self.clock.run_until(due - 1)
        self.assertEqual(self.dialled, [])
        self.clock.advance(2)
        self.assertNotEqual(self.dialled, [])

    def test_missed(self):
        """A moment that passed while nothing ran is made up for, but not at the very start."""
        self.publish()
        self.clock.advance(60)
        self.keeping.stop()
        self.clock.advance(5 * HOUR)
        self.publish()
        starts = set()
        for seed in range(5):
            self.dialled.clear()
            self.start(bytes([seed]))
            keeping = self.run_client(bytes([seed]))
            began = self.clock.seconds()
            self.clock.advance(life.FIRST_RETRY)
            starts.add(round(self.dialled[0][0] - began, 1))
            keeping.stop()
            self.clock.advance(5 * HOUR)
            self.publish()
        self.assertEqual(len(starts), 5)
        self.assertGreater(max(starts) - min(starts), 10)

    def test_stopped(self):
        """Nothing is asked after the end, not even by a fetch that was under way."""
        for number in self.caches:
            self.talk(number, b"")
        self.clock.advance(life.FIRST_RETRY)
        self.assertEqual(len(self.dialled), 1)
        self.keeping.stop()
        self.clock.advance(4 * HOUR)
        self.assertEqual(len(self.dialled), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody_there(self):
        """While no source answers, it is tried again, more and more rarely; it recovers."""
        for number in self.caches:
            self.stop_listening(number)
        self.clock.advance(12 * HOUR)
        moments = self.fetches()
        pauses = [after - before for before, after in pairwise(moments)]
        self.assertTrue(all(30 <= pause <= 90 for pause in pauses[:1]), pauses)
        self.assertTrue(all(1800 <= pause <= 5400 for pause in pauses[7:]), pauses)
        self.flushLoggedErrors()
        for number in self.caches:
            self.serve(number)
        self.publish()
        self.clock.advance(1.5 * HOUR)
        self.assertIsNotNone(self.cache.signed)

    def test_another_program(self):
        """When another program has fetched, this one takes that from the disk instead."""
        self.publish()
        self.clock.advance(60)
        mine = self.cache
        self.clock.advance(1.2 * HOUR - 60)
        self.publish()
        self.start(b"other")
        newer = self.update()
        self.dialled.clear()
        self.clock.run_until(float(NOW + 2.4 * HOUR))
        self.assertEqual(self.dialled, [])
        self.clock.run_until(float(NOW + 2.7 * HOUR))
        assert mine.signed is not None
        self.assertEqual(mine.signed.consensus, newer)

    def test_state_lost(self):
        """When the moment cannot be read, an hour later is soon enough, and it goes on."""
        self.publish()
        self.clock.advance(60)
        self.keeping.stop()
        self.start(b"again")
        state = self.folder / "client.sqlite"
        state.rename(self.folder / "aside")
        state.mkdir()
        self.run_client()
        self.clock.advance(1)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        state.rmdir()
        (self.folder / "aside").rename(state)
        self.dialled.clear()
        self.clock.advance(3 * HOUR)
        self.assertNotEqual(self.dialled, [])
