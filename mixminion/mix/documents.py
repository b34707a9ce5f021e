"""Keeping the directory current: fetched at random times, from whoever serves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mixminion.directory.view import View
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.sources import Source
from mixminion.errors import MixminionError
from mixminion.interfaces import Clock, Random

log = Logger()

RETRY = 600.0
"""Seconds before another try after one that failed, at most."""


class Documents:
    """Fetches the consensus once in each consensus interval, at a random moment of its second
    half, from the configured *sources* and the network's own servers; *adopt* gets a newer view.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        cache: DocumentCache,
        fetcher: Fetcher,
        sources: Sequence[Source],
        adopt: Callable[[View], None],
    ) -> None:
        self._clock = clock
        self._random = random
        self._cache = cache
        self._fetcher = fetcher
        self._sources = tuple(sources)
        self._adopt = adopt
        self._timer: IDelayedCall | None = None
        self._fetching: Deferred[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Fetch from now on."""
        view = self._cache.latest
        interval = RETRY if view is None else float(view.parameters.consensus_interval)
        self._wind(interval)

    def stop(self) -> None:
        """Fetch no more."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._fetching is not None:
            self._fetching.cancel()

    def _wind(self, interval: float) -> None:
        if not self._stopped:
            wait = interval * (1 + self._random.uniform()) / 2
            self._timer = self._clock.callLater(wait, self._begin)

    def _begin(self) -> None:
        self._fetching = Deferred.fromCoroutine(self._fetch())
        _ = self._fetching.addErrback(self._failed)

    async def _fetch(self) -> None:
        view = self._cache.latest
        servers = () if view is None else view.servers
        mixes = [Source(place) for server in servers for place in server.addresses]
        fetched = await self._fetcher.fetch([*self._sources, *mixes], self._cache)
        await self._cache.accept(fetched.documents)
        newest = self._cache.latest
        if newest is not None:
            self._adopt(newest)
            self._wind(float(newest.parameters.consensus_interval))

    def _failed(self, failure: object) -> None:
        if self._stopped:
            return
        error = getattr(failure, "value", None)
        code = error.code if isinstance(error, MixminionError) else type(error).__name__
        log.warn("The directory could not be fetched ({code}); tried again later.", code=code)
        self._wind(RETRY)
