"""A server tells the authorities of itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from twisted.internet.defer import Deferred

from mixminion.crypto.rng import SeededRandom
from mixminion.directory.bootstrap import Authority
from mixminion.directory.receipt import State
from mixminion.dirhttp.requester import TIMEOUT, Requester
from mixminion.mix.publishing import AGAIN, BACKOFF, SPREAD, WRONG_CLOCK, Publishing
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.wire import MemoryNetwork
from tests.directory.network import NOW, WEEK, identity, published
from tests.mix.authorities import DAY, FakeAuthority

HOUR = 3600.0


class PublishingCase(SyncTestCase):
    """Three authorities and one server."""

    count = 3

    def setUp(self) -> None:
        self.clock = HeapClock(NOW)
        self.network = MemoryNetwork(self.clock, latency=0.05)
        self.all = [FakeAuthority(self.clock, self.network, n + 1) for n in range(self.count)]
        self.renewals: list[float] = []
        self.publishing = self.make([each.entry for each in self.all])
        self.descriptor = published("alice")

    def make(self, authorities: Sequence[Authority], seed: bytes = b"publishing") -> Publishing:
        return Publishing(
            clock=self.clock,
            random=SeededRandom(seed),
            requester=Requester(
                self.clock,
                lambda source: self.network.client(source.place.host, source.place.port),
            ),
            authorities=authorities,
            identity=identity("alice"),
            renew=lambda: self.renewals.append(self.clock.seconds()),
        )

    def start(self) -> None:
        self.publishing.offer(self.descriptor)
        self.publishing.start()
        self.clock.advance(5)

    def uploads(self) -> list[int]:
        """How many descriptors each authority got."""
        return [len(each.uploads) for each in self.all]

    def states(self) -> list[Any]:
        return [each["state"] for each in self.publishing.status()]

    def now(self) -> None:
        self.clock.result_of(Deferred.fromCoroutine(self.publishing.now()), 300)


class PublishedTests(PublishingCase):
    """What is sent, and when."""

    def test_at_start(self):
        """Every authority gets the descriptor, as it was signed, and its answer is kept."""
        self.start()
        for each in self.all:
            self.assertEqual([octets for _, octets in each.uploads], [self.descriptor])
        for status in self.publishing.status():
            self.assertEqual((status["state"], status["current"]), ("waiting", True))
            self.assertEqual(status["error"], None)
        sentence = (
            "Waiting for approval at 3 of 3 authorities: Its operator has not looked at it yet."
        )
        self.assertEqual(list(self.publishing.attention()), [sentence])
        self.all[0].state = self.all[1].state = State.LISTED
        self.now()
        self.assertEqual(self.states(), ["listed", "listed", "waiting"])
        self.assertEqual(list(self.publishing.attention()), [])

    def test_again(self):
        """Every 6 to 12 hours, to each at its own moment."""
        self.start()
        self.clock.advance(10 * DAY)
        for each in self.all:
            moments = [moment for moment, _ in each.uploads]
            waits = [b - a for a, b in pairwise(moments)]
            self.assertGreater(len(waits), 18)
            self.assertTrue(all(AGAIN <= wait <= 2 * AGAIN + 5 for wait in waits), waits)
            self.assertGreater(max(waits) - min(waits), AGAIN / 4)
        self.assertEqual(len({each.uploads[1][0] for each in self.all}), 3)

    def test_changed(self):
        """Another descriptor is sent at once; the same again is not."""
        self.start()
        self.publishing.offer(self.descriptor)
        self.clock.advance(60)
        self.assertEqual(self.uploads(), [1, 1, 1])
        other = published("alice", start=2)
        self.publishing.offer(other)
        self.clock.advance(5)
        self.assertEqual([each.uploads[-1][1] for each in self.all], [other] * 3)

    def test_changed_while_sending(self):
        """Another one that comes while the first is on its way follows it."""
        self.network.latency = 2.0
        self.publishing.offer(self.descriptor)
        self.publishing.start()
        self.clock.run_until(lambda: len(self.all[0].asked) > 0)
        self.clock.advance(9)
        other = published("alice", start=2)
        self.publishing.offer(other)
        self.clock.advance(60)
        for each in self.all:
            self.assertEqual(each.uploads[-1][1], other)
        self.assertTrue(all(each["current"] for each in self.publishing.status()))

    def test_nothing_yet(self):
        """A server that has no descriptor yet asks and sends nothing, until it has one."""
        self.publishing.start()
        self.clock.advance(60)
        self.assertEqual(self.uploads(), [0, 0, 0])
        self.assertEqual(self.states(), ["unknown"] * 3)
        self.publishing.offer(self.descriptor)
        self.clock.advance(5)
        self.assertEqual(self.uploads(), [1, 1, 1])

    def test_renewed(self):
        """A descriptor that is half as old as it may become is made anew, once."""
        self.start()
        self.clock.advance(1.4 * WEEK)
        self.assertEqual(self.renewals, [])
        self.clock.advance(1 * WEEK)
        self.assertEqual(len(self.renewals), 1)
        self.assertLess(self.renewals[0] - NOW, 1.5 * WEEK + 2 * AGAIN)

    def test_nobody_to_publish_to(self):
        """Authorities without an address."""
        self.publishing = self.make([Authority(each.identity, each.name) for each in self.all])
        self.start()
        self.now()
        self.assertFalse(self.publishing.configured)
        self.assertEqual((self.publishing.status(), list(self.publishing.attention())), ([], []))
        self.publishing.consensus(HOUR)
        self.publishing.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AskedTests(PublishingCase):
    """Where a server stands."""

    def test_after_a_consensus(self):
        """Asked at a random moment soon after each new one, by one request to each."""
        self.start()
        moments = []
        for number in range(6):
            begun = self.clock.seconds()
            before = [len(each.asked) for each in self.all]
            self.publishing.consensus(HOUR)
            self.publishing.consensus(HOUR)
            self.clock.advance(HOUR / 2)
            self.assertEqual([len(each.asked) for each in self.all], [n + 1 for n in before])
            moments.append(self.all[0].asked[-1] - begun)
            self.all[0].state = list(State)[number]
        self.assertTrue(all(0 <= each <= HOUR / 8 + 1 for each in moments), moments)
        self.assertLess(HOUR / 8, SPREAD)
        self.assertGreater(max(moments) - min(moments), 30)
        self.assertEqual(self.uploads(), [1, 1, 1])

    def test_learned(self):
        """What has changed meanwhile is known then."""
        self.start()
        for each in self.all:
            each.state, each.listed = State.LISTED, True
        self.publishing.consensus(HOUR)
        self.clock.advance(HOUR)
        self.assertEqual(list(self.publishing.attention()), [])
        self.assertTrue(all(each["in-consensus"] for each in self.publishing.status()))

    def test_forgotten(self):
        """An authority that has lost the descriptor, or has an older one, gets it again; one that
        refuses it does not."""
        self.start()
        self.all[0].held.clear()
        self.all[1].held[identity("alice")] = bytes(32)
        self.all[1].state = State.LISTED
        self.all[2].state = State.REFUSED
        self.all[2].held.clear()
        self.publishing.consensus(HOUR)
        self.clock.advance(HOUR)
        self.assertEqual(self.uploads(), [2, 2, 1])


class FailedTests(PublishingCase):
    """Authorities that give no good answer."""

    def test_away(self):
        """One that is away is tried again later and later, by itself."""
        self.all[0].vanish()
        self.start()
        self.assertEqual(self.uploads(), [0, 1, 1])
        first = self.publishing.status()[0]
        self.assertEqual((first["state"], first["error"]), (None, "no connection"))
        self.clock.advance(5 * HOUR)
        self.assertEqual(self.uploads(), [0, 1, 1])
        self.all[0].appear()
        self.clock.advance(BACKOFF.longest + 5)
        self.assertEqual(self.uploads(), [1, 1, 1])
        self.assertEqual(self.publishing.status()[0]["error"], None)

    def test_back_off(self):
        """The pauses grow, and what failed once is forgotten after a good answer."""
        self.start()
        self.all[0].code = 503
        self.publishing.offer(published("alice", start=2))
        self.clock.advance(DAY)
        moments = [moment for moment, _ in self.all[0].uploads[1:]]
        waits = [b - a for a, b in pairwise(moments)]
        for number, wait in enumerate(waits):
            longest = min(BACKOFF.longest, BACKOFF.first * 2**number)
            self.assertTrue(longest / 2 <= wait <= longest + 5, (number, wait))
        self.assertLess(waits[0], 61)
        self.assertGreater(waits[-1], BACKOFF.longest / 2)
        self.all[0].code = 200
        self.clock.advance(BACKOFF.longest + 5)
        count = len(self.all[0].uploads)
        self.clock.advance(AGAIN - 10)
        self.assertEqual(len(self.all[0].uploads), count)

    def test_words(self):
        """What it says without signing it is shown, made harmless."""
        self.all[0].code = 429
        self.start()
        error = self.publishing.status()[0]["error"]
        self.assertEqual(error, "it answered 429, no such luck[31m")

    def test_silent(self):
        """One that takes the connection and never answers holds nobody up."""
        self.network.part(["127.0.0.1"], [self.all[0].host])
        self.start()
        self.clock.advance(TIMEOUT)
        self.assertEqual(self.uploads(), [0, 1, 1])
        self.network.heal()
        self.clock.advance(BACKOFF.longest)
        self.assertEqual(self.uploads(), [1, 1, 1])

    def test_nobody(self):
        """All away: one sentence that says so, with each authority's name."""
        for each in self.all:
            each.vanish()
        self.start()
        (sentence,) = self.publishing.attention()
        self.assertIn("No good answer from 3 of 3 authorities", sentence)
        self.assertIn("authority2: no connection", sentence)

    def test_receipts(self):
        """Receipts of others, about others, and none at all."""
        first, second, third = self.all
        first.signer = second.signer
        second.about = bytes(32)
        third.receipt = lambda identity: b"{}"  # type: ignore[method-assign]
        self.start()
        errors = [each["error"] for each in self.publishing.status()]
        self.assertEqual(
            errors,
            [
                "its receipt cannot be believed",
                "its receipt is about another server",
                "its receipt cannot be believed",
            ],
        )
        self.assertEqual(self.states(), [None] * 3)

    def test_a_defect(self):
        """Whatever goes wrong here, the authority is written to again."""

        def broken() -> None:
            self.renewals.append(self.clock.seconds())
            raise ZeroDivisionError

        self.publishing._renew = broken
        self.start()
        self.clock.advance(2 * WEEK)
        self.assertEqual(len(self.renewals), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        counts = self.uploads()
        self.clock.advance(DAY)
        self.assertTrue(all(a > b for a, b in zip(self.uploads(), counts, strict=True)))


class ClockTests(PublishingCase):
    """A machine whose clock is wrong."""

    def wrong(self, seconds: float) -> None:
        for each in self.all:
            each.wrong = -seconds

    def test_stops(self):
        """300 seconds off: nothing is published, and the sentence says what to do; as soon as it is
        set right everything goes on."""
        for seconds, side in ((400, "ahead of"), (-400, "behind")):
            self.setUp()
            self.wrong(seconds)
            self.start()
            self.clock.advance(DAY)
            self.assertEqual(self.uploads(), [0, 0, 0])
            first = next(iter(self.publishing.attention()))
            self.assertIn(f"seconds {side} the authorities'", first)
            self.now()
            self.assertEqual(self.uploads(), [0, 0, 0])
            self.wrong(0)
            self.clock.advance(WRONG_CLOCK + 5)
            self.assertEqual(self.uploads(), [1, 1, 1])
            self.assertNotIn("clock", "".join(self.publishing.attention()))

    def test_becomes_wrong(self):
        """A clock that goes wrong while the server runs is noticed with the next answers."""
        self.start()
        self.wrong(400)
        self.publishing.consensus(HOUR)
        self.clock.advance(HOUR)
        self.publishing.offer(published("alice", start=2))
        self.clock.advance(HOUR)
        self.assertEqual(self.uploads(), [1, 1, 1])

    def test_warns(self):
        """From 60 seconds on it is told, and published all the same."""
        self.wrong(90)
        self.start()
        self.assertEqual(self.uploads(), [1, 1, 1])
        self.assertIn("89 seconds ahead", next(iter(self.publishing.attention())))

    def test_a_liar(self):
        """One authority of three cannot stop a server, also when it is the first to answer or the
        others are away."""
        self.all[0].wrong = 100_000
        self.start()
        self.assertEqual(self.uploads(), [1, 1, 1])
        self.setUp()
        self.all[0].wrong = 100_000
        for each in self.all[1:]:
            each.vanish()
        self.start()
        self.assertEqual(self.uploads(), [1, 0, 0])

    def test_wrong_by_months(self):
        """A clock by which every certificate has ended is told of all the same."""
        for each in self.all:
            each.certify(NOW - 100 * DAY)
        self.wrong(100 * DAY)
        self.start()
        self.assertEqual(self.uploads(), [0, 0, 0])
        self.assertIn("100 days ahead of", next(iter(self.publishing.attention())))
        error = self.publishing.status()[0]["error"]
        self.assertEqual(error, "its signing key is not valid by this machine's clock")


class StoppedTests(PublishingCase):
    """The end."""

    def test_stop(self):
        """In every moment of it nothing is left."""
        for seconds in (0.0, 0.02, 0.12, 0.22, 0.32, 0.42, 1.0, 7 * HOUR):
            self.setUp()
            self.publishing.offer(self.descriptor)
            self.publishing.start()
            if seconds:
                self.clock.advance(seconds)
            self.publishing.consensus(HOUR)
            self.publishing.stop()
            self.clock.advance(200)
            count = self.uploads()
            self.assertEqual(self.network.connections(), [], seconds)
            self.assertEqual(self.clock.getDelayedCalls(), [], seconds)
            self.publishing.offer(published("alice", start=2))
            self.clock.advance(60)
            self.assertEqual(self.uploads(), count)

    def test_now(self):
        """Asked for by hand: every authority is written to, whatever was planned."""
        self.start()
        for _ in range(3):
            self.now()
        self.assertEqual(self.uploads(), [4, 4, 4])
        self.clock.advance(AGAIN - 60)
        self.assertEqual(self.uploads(), [4, 4, 4])
