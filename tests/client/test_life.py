from collections import Counter
from typing import Any

from mixminion.client import life
from mixminion.client.life import ASKED, GRACE, Age, age, choose, next_fetch, retry, window
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parameters import Parameters
from mixminion.dirhttp.sources import Source
from mixminion.testing.cases import SyncTestCase
from mixminion.util.hostport import HostPort
from tests.directory.network import NOW, WEEK, consensus, server, view

HOUR = 3600
REAL = Parameters.default()


class AgeTests(SyncTestCase):
    """A day of grace, and no second more."""

    def test_ages(self):
        """At every border."""
        document = consensus(parameters=REAL)
        for moment, found in (
            (NOW - 1, Age.EARLY),
            (NOW, Age.FRESH),
            (NOW + HOUR - 1, Age.FRESH),
            (NOW + HOUR, Age.VALID),
            (NOW + 3 * HOUR - 1, Age.VALID),
            (NOW + 3 * HOUR, Age.OVERDUE),
            (NOW + 3 * HOUR + 86_400 - 1, Age.OVERDUE),
            (NOW + 3 * HOUR + 86_400, Age.ENDED),
        ):
            self.assertIs(age(document, moment), found, moment - NOW)
        self.assertEqual(GRACE, 86_400)


class ScheduleTests(SyncTestCase):
    """When the next one is fetched."""

    def setUp(self):
        self.random = SeededRandom(b"life")

    def test_windows(self):
        """After servers have it, and before what is held expires; a directory signed by hand
        for a week is asked for in the second half of that."""
        self.assertEqual(
            window(consensus(parameters=REAL)), (NOW + 1.25 * HOUR, NOW + 2.625 * HOUR)
        )
        week: dict[str, Any] = {"fresh_until": NOW + WEEK, "valid_until": NOW + WEEK}
        self.assertEqual(window(consensus(**week)), (NOW + WEEK / 2, NOW + WEEK * 7 / 8))
        short = Parameters(consensus_interval=10, consensus_fresh=10, consensus_valid=30)
        dates: dict[str, Any] = {"fresh_until": NOW + 10, "valid_until": NOW + 30}
        self.assertEqual(window(consensus(parameters=short, **dates)), (NOW + 12.5, NOW + 26.25))

    def test_uniform(self):
        """Every moment of the window is as likely as another, whenever the last fetch was."""
        document = consensus(parameters=REAL)
        begins, ends = window(document)
        for fetched in (NOW, NOW + 0.7 * HOUR):
            tenths = Counter(
                int(10 * (next_fetch(document, fetched, self.random) - begins) / (ends - begins))
                for _ in range(2000)
            )
            self.assertEqual(set(tenths), set(range(10)))
            # chi-square with 9 degrees of freedom: 33.7 is passed once in 10,000 runs
            self.assertLess(sum((n - 200) ** 2 / 200 for n in tenths.values()), 33.7)

    def test_late(self):
        """In what is left of the window, and soon when nothing is left of it."""
        document = consensus(parameters=REAL)
        late = NOW + 2.5 * HOUR
        for _ in range(100):
            self.assertTrue(late <= next_fetch(document, late, self.random) <= NOW + 2.625 * HOUR)
            after = NOW + 4 * HOUR
            self.assertTrue(after + 30 <= next_fetch(document, after, self.random) < after + 90)

    def test_retry(self):
        """Twice as long after every failure, up to an hour or the network's interval."""
        self.assertEqual([retry(n, 3600, 0.5) for n in (0, 1, 5)], [60, 120, 1920])
        self.assertEqual(retry(1_000_000, 10**9, 0.5), life.LAST_RETRY)
        self.assertEqual(retry(9, 10, 0.5), 10)
        self.assertEqual((retry(0, 3600, 0.0), retry(0, 3600, 1.0)), (30, 90))


class SourceTests(SyncTestCase):
    """Who is asked."""

    def test_random(self):
        """Configured ones and the network's servers, each as often as another."""
        configured = [Source(HostPort("192.0.2.1", 80), tls=False)]
        servers = [server(f"mix{n}", n) for n in range(1, 20)]
        random = SeededRandom(b"sources")
        asked: Counter[Source] = Counter()
        for _ in range(2000):
            found = choose(configured, view(servers), random)
            self.assertEqual(len(set(found)), ASKED)
            asked.update(found)
        self.assertEqual(len(asked), 20)
        for n in asked.values():
            self.assertTrue(480 < n < 720, n)  # 600, and five standard deviations

    def test_first(self):
        """Without a directory there are only those that are configured."""
        configured = [Source(HostPort("192.0.2.1", n)) for n in range(1, 4)]
        found = choose(configured, None, SeededRandom(b"first"))
        self.assertEqual(set(found), set(configured))
