"""Fetching a directory: sources in random order, every answer bounded and verified.

A fetch is never made because somebody is about to send: who calls :meth:`Fetcher.fetch` chooses
its time for another reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from typing_extensions import override

from mixminion.directory import consensus, diff, keydoc
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import KeyPeriod
from mixminion.directory.errors import (
    BadDocument,
    NewerDocument,
    NotEnoughSignatures,
    WrongDigest,
)
from mixminion.directory.keydoc import KeyDocument
from mixminion.dirhttp.cache import DocumentCache, Documents
from mixminion.dirhttp.errors import FetchFailed, NoSources, NothingFetched
from mixminion.dirhttp.files import result_of
from mixminion.dirhttp.requester import TIMEOUT, Requester
from mixminion.dirhttp.sources import Dial, Source
from mixminion.errors import PeerError
from mixminion.interfaces import Clock, Random

NOT_FOUND = 404

_USELESS = (BadDocument, NewerDocument, NotEnoughSignatures, WrongDigest)
"""What shows that a difference led nowhere, so that the whole is fetched."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of asking one source for one document; ``error`` is None where it was good."""

    source: Source
    document: str
    error: PeerError | None

    @override
    def __str__(self) -> str:
        if self.error is None:
            return f"{self.source} served the {self.document}"
        why = self.error.fields.get("why", self.error.code)
        return f"{self.source}: {why}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """Verified documents, and what each source said."""

    documents: Documents
    report: tuple[Attempt, ...]

    @property
    def digest(self) -> bytes:
        """The digest of the consensus."""
        return self.documents.signed.digest


class _Report:
    """The attempts of one fetch."""

    def __init__(self, tell: Callable[[Attempt], None]) -> None:
        self._tell = tell
        self.attempts: list[Attempt] = []

    def add(self, source: Source, document: str, error: PeerError | None) -> None:
        """One more."""
        attempt = Attempt(source, document, error)
        self.attempts.append(attempt)
        self._tell(attempt)


class Fetcher:
    """Asks sources for documents, one connection each."""

    def __init__(self, clock: Clock, dial: Dial, random: Random, timeout: float = TIMEOUT) -> None:
        self._clock = clock
        self._random = random
        self._requester = Requester(clock, dial, timeout)

    async def fetch(
        self,
        sources: Sequence[Source],
        cache: DocumentCache,
        tell: Callable[[Attempt], None] = lambda attempt: None,
    ) -> Fetched:
        """The consensus and all its key documents, for *cache* to accept.

        Sources are asked until one has a consensus that *cache* believes and that is fresh;
        where none is, the newest that was found is taken.  Nothing newer than what is held is a
        result like another.  Of what is held already only differences are fetched, where a
        source has them; key documents that did not change are not fetched again.  *tell* hears
        of each attempt as it ends.

        :raises NoSources: *sources* is empty.
        :raises NothingFetched: no source answered with a document.
        :raises PeerError: some did, and none could be believed: what was wrong with the first.
        """
        if not sources:
            raise NoSources
        order = list(sources)
        self._random.shuffle(order)
        report = _Report(tell)
        good, signed = await self._consensus(order, cache, report)
        order.sort(key=lambda source: source != good)  # it most likely has the keys too
        keys: dict[bytes, bytes] = {}
        for period in signed.consensus.key_periods:
            octets = await cache.key_document(period.keys)
            if octets is None:
                octets = await self._keys(order, period, cache, report)
            keys[period.keys] = octets
        return Fetched(Documents(signed, keys), tuple(report.attempts))

    async def get(self, source: Source, name: str, limit: int, document: str) -> bytes:
        """The octets, at most *limit*, that *source* serves under *name*.

        :raises FetchFailed: it does not, or not in time.
        """
        return await self._requester.get(source, name, limit, document)

    async def _consensus(
        self, order: Sequence[Source], cache: DocumentCache, report: _Report
    ) -> tuple[Source, SignedConsensus]:
        """The newest consensus there is, and who had it."""
        best: tuple[Source, SignedConsensus] | None = None
        for source in order:
            try:
                signed = await self._offered(source, cache, report)
                if best is not None:
                    await cache.compare(best[1], signed)
            except PeerError as error:
                report.add(source, consensus.NAME, error)
                continue
            report.add(source, consensus.NAME, None)
            if best is None or best[1].consensus.valid_after < signed.consensus.valid_after:
                best = source, signed
            if self._clock.seconds() < best[1].consensus.fresh_until:
                break
        if best is None:
            raise _gravest(report.attempts)
        return best

    async def _offered(
        self, source: Source, cache: DocumentCache, report: _Report
    ) -> SignedConsensus:
        """The consensus of *source*, by a difference where that is possible."""
        held = cache.signed
        if held is not None and self._clock.seconds() < held.consensus.valid_until:
            name = f"consensus-diff/{held.digest.hex()}"
            octets = await self._difference(source, name, consensus.LIMIT, report)
            if octets is not None:
                old, difference = held.octets, octets
                try:
                    octets = await result_of(
                        cache.in_thread, lambda: diff.apply_to_consensus(difference, old)
                    )
                    return await cache.judge(octets, self._clock.seconds())
                except _USELESS as error:
                    report.add(source, diff.NAME, error)
        octets = await self.get(source, "consensus", consensus.LIMIT, consensus.NAME)
        return await cache.judge(octets, self._clock.seconds())

    async def _keys(
        self,
        order: Sequence[Source],
        period: KeyPeriod,
        cache: DocumentCache,
        report: _Report,
    ) -> bytes:
        held = dict(cache.known[0].periods).get(period.number) if cache.known else None
        begun = len(report.attempts)
        for source in order:
            try:
                octets = await self._served(source, period.keys, held, cache, report)
            except PeerError as error:
                report.add(source, keydoc.NAME, error)
            else:
                report.add(source, keydoc.NAME, None)
                return octets
        raise _gravest(report.attempts[begun:])

    async def _served(
        self,
        source: Source,
        digest: bytes,
        held: bytes | None,
        cache: DocumentCache,
        report: _Report,
    ) -> bytes:
        """A key document of *source*, by a difference from the one *held* where that is
        possible."""
        old = None if held is None else cache.keys(held)
        if held is not None and old is not None:
            name = f"keys-diff/{held.hex()}/{digest.hex()}"
            difference = await self._difference(source, name, keydoc.LIMIT, report)
            if difference is not None:
                before, change = old, difference
                try:
                    octets = await result_of(
                        cache.in_thread, lambda: diff.apply_to_keys(change, before)
                    )
                    return await self._sound(octets, digest, cache)
                except _USELESS as error:
                    report.add(source, diff.NAME, error)
        octets = await self.get(source, f"keys/{digest.hex()}", keydoc.LIMIT, keydoc.NAME)
        return await self._sound(octets, digest, cache)

    async def _sound(self, octets: bytes, digest: bytes, cache: DocumentCache) -> bytes:
        """A key document, read once to see that it is one."""
        await cache.in_thread(lambda: _read(octets, digest))
        return octets

    async def _difference(
        self, source: Source, name: str, limit: int, report: _Report
    ) -> bytes | None:
        """A difference; None when the source answers that it has none.

        :raises FetchFailed: it does not answer.
        """
        try:
            return await self.get(source, name, limit, diff.NAME)
        except FetchFailed as error:
            if error.fields.get("answered") is None:
                raise
            if error.fields["answered"] != NOT_FOUND:
                report.add(source, diff.NAME, error)
            return None


def _read(octets: bytes, digest: bytes) -> None:
    KeyDocument.read(octets, digest)


def _gravest(report: Sequence[Attempt]) -> PeerError:
    """What to tell of failed attempts: a document that could not be believed comes first."""
    errors = [attempt.error for attempt in report if attempt.error is not None]
    for error in errors:
        if not isinstance(error, FetchFailed):
            return error
    return NothingFetched(report="; ".join(map(str, report)))
