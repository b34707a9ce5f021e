"""Fetching a directory: sources in random order, every answer bounded and verified.

A fetch is never made because somebody is about to send: who calls :meth:`Fetcher.fetch` chooses
its time for another reason.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    ) -> Fetched:
        """The consensus and all its key documents, for *cache* to accept.

        The first source whose consensus *cache* believes is believed.  Of what is held already
        only differences are fetched, where a source has them; key documents that did not change
        are not fetched again.

        :raises NoSources: *sources* is empty.
        :raises NothingFetched: no source answered with a document.
        :raises PeerError: some did, and none could be believed: what was wrong with the first.
        """
        if not sources:
            raise NoSources
        order = list(sources)
        self._random.shuffle(order)
        report: list[Attempt] = []
        signed = await self._consensus(order, cache, report)
        good = report[-1].source
        order.sort(key=lambda source: source != good)  # it most likely has the keys too
        keys: dict[bytes, bytes] = {}
        for period in signed.consensus.key_periods:
            octets = await cache.key_document(period.keys)
            if octets is None:
                octets = await self._keys(order, period, cache, report)
            keys[period.keys] = octets
        return Fetched(Documents(signed, keys), tuple(report))

    async def get(self, source: Source, name: str, limit: int, document: str) -> bytes:
        """The octets, at most *limit*, that *source* serves under *name*.

        :raises FetchFailed: it does not, or not in time.
        """
        return await self._requester.get(source, name, limit, document)

    async def _consensus(
        self,
        order: Sequence[Source],
        cache: DocumentCache,
        report: list[Attempt],
    ) -> SignedConsensus:
        for source in order:
            try:
                signed = await self._offered(source, cache, report)
            except PeerError as error:
                report.append(Attempt(source, consensus.NAME, error))
            else:
                report.append(Attempt(source, consensus.NAME, None))
                return signed
        raise _gravest(report)

    async def _offered(
        self, source: Source, cache: DocumentCache, report: list[Attempt]
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
                    report.append(Attempt(source, diff.NAME, error))
        octets = await self.get(source, "consensus", consensus.LIMIT, consensus.NAME)
        return await cache.judge(octets, self._clock.seconds())

    async def _keys(
        self,
        order: Sequence[Source],
        period: KeyPeriod,
        cache: DocumentCache,
        report: list[Attempt],
    ) -> bytes:
        held = dict(cache.known[0].periods).get(period.number) if cache.known else None
        mine: list[Attempt] = []
        for source in order:
            error: PeerError | None = None
            try:
                octets = await self._served(source, period.keys, held, cache, report)
            except PeerError as failed:
                error = failed
            mine.append(Attempt(source, keydoc.NAME, error))
            if error is None:
                report += mine
                return octets
        raise _gravest(mine)

    async def _served(
        self,
        source: Source,
        digest: bytes,
        held: bytes | None,
        cache: DocumentCache,
        report: list[Attempt],
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
                    report.append(Attempt(source, diff.NAME, error))
        octets = await self.get(source, f"keys/{digest.hex()}", keydoc.LIMIT, keydoc.NAME)
        return await self._sound(octets, digest, cache)

    async def _sound(self, octets: bytes, digest: bytes, cache: DocumentCache) -> bytes:
        """A key document, read once to see that it is one."""
        await cache.in_thread(lambda: _read(octets, digest))
        return octets

    async def _difference(
        self, source: Source, name: str, limit: int, report: list[Attempt]
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
                report.append(Attempt(source, diff.NAME, error))
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
