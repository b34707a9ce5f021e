"""The directory that a client uses: the one it keeps, and a newer one when that is due.

Using it does not fetch: what is kept is used while it is valid and for a day after it expired.
Only where nothing can be used any more is one fetched because somebody asks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import DeferredLock

from mixminion.client import life, notices
from mixminion.client.comparison import Comparison
from mixminion.client.database import Executor
from mixminion.client.life import Age
from mixminion.client.progress import Asked, Fetching, Progress, Warned, silent
from mixminion.client.schedule import Schedule
from mixminion.directory import checks
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import Consensus
from mixminion.directory.errors import DirectoryOlder
from mixminion.directory.parameters import Parameters
from mixminion.directory.view import View
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.errors import NoDirectory, NothingFetched
from mixminion.dirhttp.fetch import Attempt, Fetched, Fetcher
from mixminion.dirhttp.sources import Source
from mixminion.errors import MixminionError, PeerError
from mixminion.interfaces import Clock, Random
from mixminion.paths.deviations import Deviation


class Directory:
    """Loads the kept documents once, hands out the network as they show it, and fetches newer
    ones."""

    def __init__(
        self,
        *,
        cache: DocumentCache,
        fetcher: Fetcher,
        comparison: Comparison,
        schedule: Schedule,
        configured: Sequence[Source],
        beside: Callable[[View], Awaitable[View]],
        executor: Executor,
        clock: Clock,
        random: Random,
    ) -> None:
        """*beside* adds to a network what is known of it from elsewhere."""
        self._cache = cache
        self._fetcher = fetcher
        self._comparison = comparison
        self._schedule = schedule
        self._configured = configured
        self._beside = beside
        self._executor = executor
        self._clock = clock
        self._random = random
        self._lock = DeferredLock()
        self._loaded = False
        self.unusable: MixminionError | None = None
        """What is wrong with the documents that are kept, where they cannot be believed."""

    async def view(self, progress: Progress = silent) -> View:
        """The network now, and warnings where something about the directory is not as usual.

        :raises MixminionError: of :mod:`mixminion.directory` and :mod:`mixminion.dirhttp`,
            when there is no directory that can be used and none can be had.
        """
        await self.load()
        if not self._usable():
            async with self._lock:
                if not self._usable():
                    progress(Fetching())
                    await self._fetch(progress)
        signed, view = self._cache.signed, self._cache.latest
        if signed is None or view is None:
            raise NoDirectory
        now = self._clock.seconds()
        if life.age(signed.consensus, now) in (Age.EARLY, Age.ENDED):
            checks.check_dates(signed.consensus, now)
        for warning in self.warnings():
            progress(Warned(warning))
        return await self._beside(view)

    async def update(self, progress: Progress = silent) -> Consensus:
        """Fetch the directory, keep it, compare it with what others have, and say which one it is.

        :raises MixminionError: as :meth:`view`; what was kept stays.
        """
        async with self._lock:
            await self.load(again=True)
            consensus = await self._fetch(progress)
        for warning in self.warnings():
            progress(Warned(warning))
        return consensus

    async def load(self, *, again: bool = False) -> None:
        """Take what is on the disk, whatever its dates: once, or *again* where another program
        may have fetched since."""
        if self._loaded and not again:
            return
        self.unusable = None
        try:
            await self._executor.run(self._cache.read, self._clock.seconds())
        except FileNotFoundError:
            pass
        except MixminionError as error:
            self.unusable = error
        self._loaded = True

    def warnings(self) -> tuple[Deviation, ...]:
        """What there is to say of the directory in use."""
        signed, known, evidence = self._cache.signed, self._cache.known, self._cache.evidence
        if signed is None:
            return tuple(notices.of_evidence(evidence))
        now = self._clock.seconds()
        return tuple(notices.of_directory(signed.consensus, known, evidence, now))

    @property
    def latest(self) -> View | None:
        """What is held, if anything, be it usable or not."""
        return self._cache.latest

    @property
    def interval(self) -> float:
        """Seconds between two consensuses, as far as anybody has told."""
        view = self._cache.latest
        parameters = Parameters.default() if view is None else view.parameters
        return float(parameters.consensus_interval)

    def _usable(self) -> bool:
        """Whether what is held needs no fetch; one of the future means that the clock is wrong."""
        signed = self._cache.signed
        return (
            signed is not None
            and life.age(signed.consensus, self._clock.seconds()) is not Age.ENDED
        )

    async def _fetch(self, progress: Progress) -> Consensus:
        try:
            fetched = await self._ask(progress)
            signed = await self._accept(fetched)
        except MixminionError:
            await self._schedule.failed(self.interval)
            raise
        self.unusable = None
        await self._schedule.fetched(signed.consensus)
        served = {attempt.source for attempt in fetched.report if attempt.error is None}
        for compared in await self._comparison.run(self._others(served)):
            progress(compared)
        return signed.consensus

    async def _accept(self, fetched: Fetched) -> SignedConsensus:
        """What is held after *fetched*: that, or a newer one that another program has fetched."""
        try:
            await self._cache.accept(fetched.documents)
        except DirectoryOlder:
            await self.load(again=True)
            if self._cache.signed is None:
                raise
            return self._cache.signed
        return fetched.documents.signed

    async def _ask(self, progress: Progress) -> Fetched:
        """From a few sources at random; when they give nothing, from the configured ones."""

        def tell(attempt: Attempt) -> None:
            progress(Asked(str(attempt.source), attempt.document, attempt.error))

        chosen = life.choose(self._configured, self._cache.latest, self._random)
        try:
            return await self._fetcher.fetch(chosen, self._cache, tell)
        except PeerError as error:
            rest = [source for source in self._configured if source not in chosen]
            if not rest:
                raise
            first = error
        try:
            return await self._fetcher.fetch(rest, self._cache, tell)
        except NothingFetched:
            raise first from None

    def _others(self, served: set[Source]) -> list[Source]:
        """Who can be asked for a comparison."""
        view = self._cache.latest
        servers = () if view is None else view.servers
        mixes = (Source(place) for server in servers for place in server.addresses)
        return [each for each in dict.fromkeys((*self._configured, *mixes)) if each not in served]
