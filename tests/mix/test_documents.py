"""When a server fetches the directory, and what it makes of what it gets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mixminion.crypto import sign
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.errors import DirectoryEarly
from mixminion.directory.parameters import Parameters
from mixminion.directory.view import View
from mixminion.dirhttp import cache
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.errors import NothingFetched
from mixminion.dirhttp.fetch import Attempt, Fetched
from mixminion.dirhttp.sources import Source
from mixminion.mix.documents import RETRY, Documents
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.directory import sign_directory
from mixminion.testing.virtual import VirtualNetwork
from mixminion.util.times import to_text

HOUR = 3600.0
DAY = 86_400.0


class FakeFetcher:
    """Remembers when it was asked, and for what; answers when the test says."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.asked: list[float] = []
        self.sources: list[str] = []
        self.answers: list[Deferred[Any]] = []
        self.tell: Any = None

    def fetch(self, sources: Any, cache: Any, tell: Any) -> Deferred[Any]:
        self.asked.append(self._clock.seconds())
        self.sources = [str(source) for source in sources]
        self.answers.append(Deferred())
        self.tell = tell
        return self.answers[-1]


class DocumentsTests(SyncTestCase):
    """A network with a consensus an hour."""

    def setUp(self) -> None:
        self.network = VirtualNetwork(Path(self.mktemp()), 1)
        self.clock = self.network.clock
        private, self.authority = sign.generate()
        self._authorities = [private]
        self.cache = DocumentCache([self.authority])
        self.fetcher = FakeFetcher(self.clock)
        self.adopted: list[View] = []
        self.ahead: list[float] = []
        self.parameters = Parameters(consensus_interval=int(HOUR))

    def signed(self) -> cache.Documents:
        """A consensus of now."""
        directory = sign_directory(
            [mix.descriptor for mix in self.network.mixes],
            self._authorities,
            now=self.clock.seconds(),
            parameters=self.parameters,
        )
        signed = SignedConsensus.verify(directory.consensus, [self.authority], self.clock.seconds())
        return cache.Documents(signed, directory.keys)

    def answer(self, documents: cache.Documents) -> None:
        """The fetch under way brings these."""
        self.fetcher.answers[-1].callback(Fetched(documents, ()))

    def next_fetch(self) -> float:
        """Wait for it; how many seconds that took."""
        before, count = self.clock.seconds(), len(self.fetcher.asked)
        self.clock.run_until(lambda: len(self.fetcher.asked) > count, 7 * DAY)
        return self.clock.seconds() - before

    def start(
        self, *, held: bool = True, seed: bytes = b"documents", sources: Sequence[str] = ()
    ) -> Documents:
        """Fetch from now on, with a directory at hand or none."""
        if held:
            self.successResultOf(Deferred.fromCoroutine(self.cache.accept(self.signed())))
        documents = Documents(
            clock=self.clock,
            random=SeededRandom(seed),
            cache=self.cache,
            fetcher=self.fetcher,  # type: ignore[arg-type]
            sources=[Source.parse(each) for each in sources],
            adopt=self.adopted.append,
            early=self.ahead.append,
        )
        documents.start()
        return documents

    def test_each_consensus_is_fetched_early_in_its_time(self) -> None:
        """At a moment nobody can foretell of the quarter of an hour after the one held is fresh
        no longer; it is kept and adopted."""
        self.start()
        waits = []
        for number in range(20):
            held = self.cache.signed
            assert held is not None
            self.next_fetch()
            waits.append(self.clock.seconds() - held.consensus.fresh_until)
            self.answer(self.signed())
            self.assertEqual(len(self.adopted), number + 1)
            self.assertIs(self.adopted[-1], self.cache.latest)
        self.assertTrue(all(0 <= wait <= HOUR / 4 for wait in waits), waits)
        self.assertTrue(max(waits) - min(waits) > HOUR / 16, waits)

    def test_before_it_ends(self) -> None:
        """Where a consensus is fresh until it ends, the next one is fetched before that."""
        week = Parameters.local_demo()
        for seed in (b"a", b"b", b"c"):
            self.setUp()
            self.parameters = week
            self.start(seed=seed)
            wait = self.next_fetch()
            self.assertTrue(3.5 * DAY <= wait <= 5.25 * DAY, wait / DAY)
            self.answer(self.held())
            self.assertEqual(self.adopted, [])
            self.assertLessEqual(self.next_fetch(), HOUR)

    def test_what_is_overdue_is_looked_for(self) -> None:
        """Every few minutes, until there is a newer one; the same one again is not adopted."""
        self.start()
        self.next_fetch()
        for _ in range(5):
            self.answer(self.held())
            self.assertTrue(HOUR / 32 <= self.next_fetch() <= HOUR / 16)
        self.assertEqual(self.adopted, [])
        self.answer(self.signed())
        self.assertEqual(len(self.adopted), 1)

    def held(self) -> cache.Documents:
        """What is held already."""
        assert self.cache._held is not None
        return self.cache._held[0]

    def test_two_servers_do_not_fetch_together(self) -> None:
        """Each draws for itself."""
        moments = set()
        for seed in (b"one", b"two", b"three"):
            self.setUp()
            self.start(seed=seed)
            self.next_fetch()
            moments.update(self.fetcher.asked)
        self.assertEqual(len(moments), 3)

    def test_sources_first(self) -> None:
        """The configured ones, and only when they have nothing the network's own servers."""
        self.start(sources=["http://192.0.2.1/", "http://192.0.2.2/"])
        self.next_fetch()
        self.assertEqual(self.fetcher.sources, ["http://192.0.2.1:80/", "http://192.0.2.2:80/"])
        self.fetcher.answers[-1].errback(NothingFetched(report=""))
        self.assertEqual(self.fetcher.sources, ["https://127.1.0.1:48099/"])
        self.answer(self.signed())
        self.assertEqual(len(self.adopted), 1)

    def test_a_network_without_servers(self) -> None:
        """Its first consensus lists nobody: the sources are all there is."""
        self.start(held=False, sources=["http://192.0.2.1/"])
        self.next_fetch()
        self.fetcher.answers[-1].errback(NothingFetched(report=""))
        self.assertLessEqual(self.next_fetch(), RETRY)
        self.assertEqual(self.fetcher.sources, ["http://192.0.2.1:80/"])

    def test_a_clock_that_is_behind(self) -> None:
        """How long before its time a consensus was offered, whatever came of the fetch."""
        self.start(sources=["http://192.0.2.1/"])
        source = Source.parse("http://192.0.2.1/")
        self.next_fetch()
        for seconds in (200, 100):
            begins = to_text(int(self.clock.seconds()) + seconds)
            error = DirectoryEarly(valid_after=begins, ahead="")
            self.fetcher.tell(Attempt(source, "consensus", error))
        self.answer(self.signed())
        self.assertTrue(199 <= self.ahead[-1] <= 200, self.ahead)
        self.next_fetch()
        self.answer(self.signed())
        self.assertEqual(self.ahead[1:], [0.0])
        self.next_fetch()
        self.fetcher.answers[-1].errback(NothingFetched(report=""))
        self.fetcher.tell(Attempt(source, "consensus", error))
        self.fetcher.answers[-1].errback(NothingFetched(report=""))
        self.assertEqual(len(self.ahead), 3)
        self.assertLess(self.ahead[-1], 100)

    def test_what_fails_is_tried_again_soon(self) -> None:
        """Whether nobody answers or what comes cannot be kept; a defect of ours ends nothing."""
        self.start()
        self.next_fetch()
        errors = (NothingFetched(report=""), ZeroDivisionError(), NothingFetched(report=""))
        for error in errors:
            self.fetcher.answers[-1].errback(error)
            self.assertTrue(RETRY / 2 <= self.next_fetch() <= RETRY)
        older = self.cache.signed
        self.answer(self.signed())
        self.assertIsNot(self.cache.signed, older)
        self.assertEqual(len(self.adopted), 1)

    def test_without_a_directory_the_first_fetch_is_soon(self) -> None:
        """A server whose documents were lost."""
        self.start(held=False)
        self.clock.advance(RETRY)
        self.assertEqual(len(self.fetcher.asked), 1)

    def test_a_stop_ends_waiting_and_fetching(self) -> None:
        """Nothing is adopted or asked for after it, and nothing is left."""
        waiting = self.start()
        waiting.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.setUp()
        fetching = self.start(sources=["http://192.0.2.1/"])
        self.next_fetch()
        fetching.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((len(self.fetcher.asked), self.adopted), (1, []))
