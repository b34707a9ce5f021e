"""Comparing the directory with what others have: whoever is shown another one than everybody
else finds out, without telling anybody what he was shown.

Two caches that did not serve it are asked for their list of digests.  One that differs from ours
for one time is fetched; when authorities have signed it, that is kept as evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred

from mixminion.client.progress import Compared, Finding
from mixminion.directory import consensus
from mixminion.directory import digests as digest_lists
from mixminion.directory.digests import Digests
from mixminion.directory.errors import TwoDirectories
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.sources import Source
from mixminion.errors import PeerError
from mixminion.interfaces import Clock, Random

OTHERS = 2
"""Caches that are asked."""
TIMEOUT = 10.0
"""Seconds for one answer: nobody waits long for what is only a check."""


class Comparison:
    """Compares what *cache* holds; *fetcher*'s timeout should be :data:`TIMEOUT`."""

    def __init__(
        self, cache: DocumentCache, fetcher: Fetcher, clock: Clock, random: Random
    ) -> None:
        self._cache = cache
        self._fetcher = fetcher
        self._clock = clock
        self._random = random

    async def run(self, sources: Iterable[Source]) -> Sequence[Compared]:
        """What came of asking :data:`OTHERS` of *sources*, at random and at once."""
        asked = list(sources)
        self._random.shuffle(asked)
        asking = [Deferred.fromCoroutine(self._ask(source)) for source in asked[:OTHERS]]
        return [await each for each in asking]

    async def _ask(self, source: Source) -> Compared:
        try:
            octets = await self._fetcher.get(
                source, "digests", digest_lists.LIMIT, digest_lists.NAME
            )
            theirs = Digests.read(octets).digests
        except PeerError:
            return Compared(str(source), Finding.SILENT)
        ours = {known.valid_after: known.digest for known in self._cache.known}
        common = [each for each in theirs if each.valid_after in ours]
        if not common:
            return Compared(str(source), Finding.OTHER_TIMES)
        for each in common:
            if each.digest != ours[each.valid_after]:
                return Compared(str(source), await self._fetch(source, each.digest))
        return Compared(str(source), Finding.SAME)

    async def _fetch(self, source: Source, digest: bytes) -> Finding:
        """Look at the consensus of that *digest*, which ought not to exist."""
        try:
            octets = await self._fetcher.get(
                source, f"consensus/{digest.hex()}", consensus.LIMIT, consensus.NAME
            )
            await self._cache.judge(octets, self._clock.seconds())
        except TwoDirectories:
            return Finding.FORKED
        except PeerError:
            pass
        return Finding.UNSIGNED
