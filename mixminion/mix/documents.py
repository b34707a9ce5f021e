"""Keeping the directory current: fetched at random times, from whoever serves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mixminion.directory.errors import DirectoryEarly
from mixminion.directory.view import View
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.fetch import Attempt, Fetched, Fetcher
from mixminion.dirhttp.sources import Source
from mixminion.errors import MixminionError, PeerError
from mixminion.interfaces import Clock, Random
from mixminion.util import times

log = Logger()

RETRY = 600.0
"""Seconds before another try after one that failed, at most."""
LOOK = 3600.0
"""Seconds between two looks for a consensus that is overdue, at most."""
MOST = 6
"""Servers of the network that are asked in one go."""


class Documents:
    """Fetches each new consensus at a random moment of the quarter of an interval after the one
    held is fresh no longer: servers come first, because clients fetch from them.  *sources*
    (the authorities, and those of the configuration) are asked, and where none of them gives
    anything some of the network's own servers.

    *adopt* gets each newer view.  *early* gets the seconds until a consensus begins that was
    offered before its time, and 0 where none was.
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
        early: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._clock = clock
        self._random = random
        self._cache = cache
        self._fetcher = fetcher
        self._sources = tuple(sources)
        self._adopt = adopt
        self._early = early
        self._timer: IDelayedCall | None = None
        self._fetching: Deferred[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Fetch from now on."""
        self._wind(self._wait())

    def stop(self) -> None:
        """Fetch no more."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._fetching is not None:
            self._fetching.cancel()

    def _wait(self) -> float:
        """Seconds until the next fetch."""
        view = self._cache.latest
        if view is None:
            return self._some(RETRY)
        consensus, interval = view.consensus, float(view.parameters.consensus_interval)
        # Where a consensus is valid for one interval only, before it ends.
        begin = min(consensus.fresh_until, consensus.valid_until - interval / 2)
        now = self._clock.seconds()
        if now < begin:
            return begin - now + self._random.uniform() * interval / 4
        return self._some(min(LOOK, interval / 16))

    def _some(self, longest: float) -> float:
        """Between half of *longest* and all of it."""
        return longest * (1 + self._random.uniform()) / 2

    def _wind(self, wait: float) -> None:
        if not self._stopped:
            self._timer = self._clock.callLater(wait, self._begin)

    def _begin(self) -> None:
        self._fetching = Deferred.fromCoroutine(self._fetch())
        _ = self._fetching.addErrback(self._failed)

    async def _fetch(self) -> None:
        before = self._cache.signed
        fetched = await self._anywhere()
        await self._cache.accept(fetched.documents)
        newest = self._cache.latest
        if newest is not None and (before is None or before.digest != fetched.digest):
            self._adopt(newest)
        self._wind(self._wait())

    async def _anywhere(self) -> Fetched:
        """From the first sources, or else from servers of the network."""
        ahead = 0.0

        def tell(attempt: Attempt) -> None:
            nonlocal ahead
            if isinstance(attempt.error, DirectoryEarly):
                begins = times.from_text(attempt.error.fields["valid_after"])
                ahead = max(ahead, begins - self._clock.seconds())

        view = self._cache.latest
        servers = [] if view is None else list(view.servers)
        self._random.shuffle(servers)
        mixes = [Source(place) for server in servers[:MOST] for place in server.addresses]
        try:
            if not self._sources:
                return await self._fetcher.fetch(mixes, self._cache, tell)
            try:
                return await self._fetcher.fetch(self._sources, self._cache, tell)
            except PeerError:
                if not mixes:
                    raise
                return await self._fetcher.fetch(mixes, self._cache, tell)
        finally:
            self._early(ahead)

    def _failed(self, failure: object) -> None:
        error = getattr(failure, "value", None)
        if self._stopped or isinstance(error, CancelledError):
            return
        code = error.code if isinstance(error, MixminionError) else type(error).__name__
        log.warn("The directory could not be fetched ({code}); tried again later.", code=code)
        view = self._cache.latest
        interval = RETRY if view is None else view.parameters.consensus_interval / 4
        self._wind(self._some(min(RETRY, interval)))
