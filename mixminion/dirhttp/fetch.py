"""Fetching a directory: sources in random order, every answer bounded and verified.

A fetch is never made because somebody is about to send: who calls :func:`fetch` chooses
its time for another reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent, HTTPConnectionPool, PartialDownloadError, readBody
from twisted.web.error import Error as WebError
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from typing_extensions import override
from zope.interface import implementer

from mixminion.directory import consensus, keydoc
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.keydoc import KeyDocument
from mixminion.dirhttp.cache import DocumentCache, Documents
from mixminion.dirhttp.errors import FetchFailed, NoSources, NothingFetched
from mixminion.dirhttp.resource import PREFIX
from mixminion.dirhttp.sources import BoundedEndpoint, Dial, Source
from mixminion.errors import PeerError
from mixminion.interfaces import Clock, Random

TIMEOUT = 60.0
"""Seconds for one document from one source, connecting included."""
_HEADER = 65_536
"""Octets that an answer may have besides its document."""


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
        self._dial = dial
        self._random = random
        self._timeout = timeout

    async def fetch(
        self,
        sources: Sequence[Source],
        cache: DocumentCache,
    ) -> Fetched:
        """The consensus and all its key documents, for *cache* to accept.

        The first source whose consensus *cache* believes is believed; key documents that it has
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
                octets = await self._keys(order, period.keys, report)
            keys[period.keys] = octets
        return Fetched(Documents(signed, keys), tuple(report))

    async def get(self, source: Source, name: str, limit: int, document: str) -> bytes:
        """The octets, at most *limit*, that *source* serves under *name*.

        :raises FetchFailed: it does not, or not in time.
        """
        getting = Deferred.fromCoroutine(self._get(source, name, limit))
        deadline = self._clock.seconds() + self._timeout
        try:
            return await getting.addTimeout(self._timeout, self._clock)
        except Exception as error:
            # twisted.web wraps a cancellation in errors of its own, so the clock must tell.
            late = self._clock.seconds() >= deadline
            why = "no answer in time" if late else _why(error)
            raise FetchFailed(source=str(source), document=document, why=why) from None

    async def _consensus(
        self,
        order: Sequence[Source],
        cache: DocumentCache,
        report: list[Attempt],
    ) -> SignedConsensus:
        for source in order:
            try:
                octets = await self.get(source, "consensus", consensus.LIMIT, consensus.NAME)
                signed = await cache.judge(octets, self._clock.seconds())
            except PeerError as error:
                report.append(Attempt(source, consensus.NAME, error))
            else:
                report.append(Attempt(source, consensus.NAME, None))
                return signed
        raise _gravest(report)

    async def _keys(self, order: Sequence[Source], digest: bytes, report: list[Attempt]) -> bytes:
        mine: list[Attempt] = []
        for source in order:
            error: PeerError | None = None
            try:
                octets = await self.get(source, f"keys/{digest.hex()}", keydoc.LIMIT, keydoc.NAME)
                KeyDocument.read(octets, digest)
            except PeerError as failed:
                error = failed
            mine.append(Attempt(source, keydoc.NAME, error))
            if error is None:
                report += mine
                return octets
        raise _gravest(mine)

    async def _get(self, source: Source, name: str, limit: int) -> bytes:
        endpoint = BoundedEndpoint(self._dial(source), limit + _HEADER)
        agent = Agent.usingEndpointFactory(
            self._clock, _One(endpoint), HTTPConnectionPool(self._clock, persistent=False)
        )
        response = await agent.request(
            b"GET",
            source.url(PREFIX + name.encode("ascii")),
            Headers({b"Accept-Encoding": [b"identity"]}),
        )
        if response.code != 200:
            raise WebError(response.code)
        octets = await readBody(response)
        if len(octets) > limit:
            raise ValueError
        return octets


@implementer(IAgentEndpointFactory)
@dataclass(frozen=True, slots=True)
class _One:
    """Every request goes to this endpoint, whatever its address."""

    endpoint: IStreamClientEndpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self.endpoint


def _why(error: Exception) -> str:
    """What went wrong, in a word or two; never the error's own text."""
    match error:
        case WebError():
            return f"it answered {int(error.status)}"
        case DNSLookupError():
            return "its name is not known"
        case ConnectError():
            return "no connection"
        case ValueError() | PartialDownloadError():
            return "the answer is not whole, or too long"
        case _:
            return "the connection broke"


def _gravest(report: Sequence[Attempt]) -> PeerError:
    """What to tell of failed attempts: a document that could not be believed comes first."""
    errors = [attempt.error for attempt in report if attempt.error is not None]
    for error in errors:
        if not isinstance(error, FetchFailed):
            return error
    return NothingFetched(report="; ".join(map(str, report)))
