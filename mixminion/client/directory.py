"""The directory that a client uses: the one it keeps, or a newer one that it fetches."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import DeferredLock

from mixminion.client.database import Executor
from mixminion.directory.consensus import Consensus
from mixminion.directory.errors import DirectoryExpired
from mixminion.directory.view import View
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.errors import NoDirectory
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.sources import Source
from mixminion.interfaces import Clock


class Directory:
    """Loads the kept documents once and fetches newer ones when asked, or when there are none
    that are valid."""

    def __init__(
        self,
        cache: DocumentCache,
        fetcher: Fetcher,
        sources: Sequence[Source],
        executor: Executor,
        clock: Clock,
    ) -> None:
        self._cache = cache
        self._fetcher = fetcher
        self._sources = sources
        self._executor = executor
        self._clock = clock
        self._lock = DeferredLock()
        self._loaded = False

    async def view(self, fetching: Callable[[], None] = lambda: None) -> View:
        """The network now.  *fetching* is called first when a directory has to be fetched.

        :raises MixminionError: of :mod:`mixminion.directory` and :mod:`mixminion.dirhttp`,
            when there is no valid directory and none can be had.
        """
        async with self._lock:
            await self._load()
            try:
                return self._cache.view(self._clock.seconds())
            except (NoDirectory, DirectoryExpired):
                fetching()
                await self._fetch()
            return self._cache.view(self._clock.seconds())

    async def update(self) -> Consensus:
        """Fetch the directory, keep it and say which one it is.

        :raises MixminionError: as :meth:`view`; what was kept stays.
        """
        async with self._lock:
            await self._load()
            return await self._fetch()

    async def _load(self) -> None:
        if not self._loaded:
            await self._executor.run(self._cache.load, self._clock.seconds())
            self._loaded = True

    async def _fetch(self) -> Consensus:
        fetched = await self._fetcher.fetch(self._sources, self._cache)
        await self._cache.accept(fetched.documents)
        return fetched.documents.signed.consensus
