"""When a server fetches the directory, and what it makes of what it gets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mixminion.crypto import sign
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.parameters import Parameters
from mixminion.directory.view import View
from mixminion.dirhttp import cache
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.errors import NothingFetched
from mixminion.mix.documents import RETRY, Documents
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.directory import sign_directory
from mixminion.testing.virtual import VirtualNetwork

HOUR = 3600.0


class FakeFetcher:
    """Remembers when it was asked, and for what; answers when the test says."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.asked: list[float] = []
        self.sources: list[str] = []
        self.answers: list[Deferred[Any]] = []

    def fetch(self, sources: Any, cache: Any) -> Deferred[Any]:
        self.asked.append(self._clock.seconds())
        self.sources = [str(source) for source in sources]
        self.answers.append(Deferred())
        return self.answers[-1]


class Fetched:
    """What a fetch fires with."""

    def __init__(self, documents: cache.Documents) -> None:
        self.documents = documents


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

    def signed(self) -> cache.Documents:
        """A consensus of now."""
        directory = sign_directory(
            [mix.descriptor for mix in self.network.mixes],
            self._authorities,
            now=self.clock.seconds(),
            parameters=Parameters(consensus_interval=int(HOUR)),
        )
        signed = SignedConsensus.verify(directory.consensus, [self.authority], self.clock.seconds())
        return cache.Documents(signed, directory.keys)

    def asked_more_than(self, count: int) -> Callable[[], bool]:
        """Whether so many fetches had begun before the last one."""
        return lambda: len(self.fetcher.asked) > count

    def start(self, *, held: bool = True, seed: bytes = b"documents") -> Documents:
        """Fetch from now on, with a directory at hand or none."""
        if held:
            self.successResultOf(Deferred.fromCoroutine(self.cache.accept(self.signed())))
        documents = Documents(
            clock=self.clock,
            random=SeededRandom(seed),
            cache=self.cache,
            fetcher=self.fetcher,  # type: ignore[arg-type]
            sources=(),
            adopt=self.adopted.append,
        )
        documents.start()
        return documents

    def test_each_interval_has_one_fetch_in_its_second_half(self) -> None:
        """At a moment nobody can foretell, from the network's own servers too; a newer
        consensus is kept and adopted."""
        self.start()
        waits = []
        for number in range(20):
            before = self.clock.seconds()
            self.clock.run_until(self.asked_more_than(number))
            waits.append(self.clock.seconds() - before)
            self.fetcher.answers[-1].callback(Fetched(self.signed()))
            self.assertEqual(len(self.adopted), number + 1)
            self.assertIs(self.adopted[-1], self.cache.latest)
        self.assertTrue(all(HOUR / 2 <= wait <= HOUR for wait in waits), waits)
        self.assertTrue(max(waits) - min(waits) > HOUR / 8, waits)
        self.assertEqual(len(self.fetcher.sources), 1)

    def test_two_servers_do_not_fetch_together(self) -> None:
        """Each draws for itself."""
        moments = set()
        for seed in (b"one", b"two", b"three"):
            self.setUp()
            self.start(seed=seed)
            self.clock.advance(HOUR)
            moments.update(self.fetcher.asked)
        self.assertEqual(len(moments), 3)

    def test_what_fails_is_tried_again_soon(self) -> None:
        """Whether nobody answers or what comes cannot be kept; a defect of ours ends nothing."""
        self.start()
        self.clock.advance(HOUR)
        errors = (NothingFetched(report=""), ZeroDivisionError(), NothingFetched(report=""))
        for number, error in enumerate(errors, 1):
            asked = self.clock.seconds()
            self.fetcher.answers[-1].errback(error)
            self.clock.run_until(self.asked_more_than(number))
            self.assertTrue(RETRY / 2 <= self.clock.seconds() - asked <= RETRY)
        older = self.cache.signed
        self.fetcher.answers[-1].callback(Fetched(self.signed()))
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
        fetching = self.start()
        self.clock.advance(HOUR)
        fetching.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual((len(self.fetcher.asked), self.adopted), (1, []))
