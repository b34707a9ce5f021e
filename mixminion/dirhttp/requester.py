"""Requests to sources: one connection each, every answer bounded in length and time.

A document is asked for compressed, and what is missing of a broken download is asked for from the
same source, since a slow line carries a large document in several goes or not at all.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IConsumer, IStreamClientEndpoint
from twisted.web.client import URI, Agent, HTTPConnectionPool, ProxyAgent
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from mixminion.dirhttp.downloads import Body, Collected, Download, Status
from mixminion.dirhttp.endpoints import BoundedEndpoint
from mixminion.dirhttp.errors import FetchFailed
from mixminion.dirhttp.resource import PREFIX
from mixminion.dirhttp.sources import Dial, Source
from mixminion.dirhttp.tunnels import AbsoluteFormEndpoint, ProxyRefused
from mixminion.interfaces import Clock

T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds for one connection: connecting, the request and the answer."""
TRIES = 10
"""Connections that one document may take."""
PROGRESS = 65_536
"""Octets that a connection has to have brought when its time was over, or it was the last."""
_HEADER = 65_536
"""Octets that an answer may have besides its document."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source said to something that was sent to it."""

    code: int
    octets: bytes


class Requester:
    """Asks sources for documents, and sends them some."""

    def __init__(self, clock: Clock, dial: Dial, timeout: float = TIMEOUT) -> None:
        self._clock = clock
        self._dial = dial
        self._timeout = timeout

    async def get(self, source: Source, name: str, limit: int, document: str) -> bytes:
        """The octets, at most *limit*, that *source* serves under *name*.

        :raises FetchFailed: it does not, or not in time.
        """
        download = Download(limit)
        for _ in range(TRIES):
            before = len(download.octets)
            deadline = self._clock.seconds() + self._timeout
            try:
                await self._timed(self._get(source, name, download))
                return download.whole()
            except Exception as error:
                # twisted.web wraps a cancellation in errors of its own, so the clock must tell.
                late = self._clock.seconds() >= deadline
                came = len(download.octets) - before
                if not download.goes_on or came < (PROGRESS if late else 1):
                    raise _failed(source, document, error, late=late) from None
        raise FetchFailed(source=str(source), document=document, why="it breaks off every time")

    async def post(
        self, source: Source, name: str, octets: bytes, limit: int, document: str
    ) -> Answer:
        """Send *octets* to *name* at *source*, and read an answer of at most *limit* octets,
        whatever it says.

        :raises FetchFailed: there was none, or not in time.
        """
        deadline = self._clock.seconds() + self._timeout
        try:
            return await self._timed(self._post(source, name, octets, limit))
        except Exception as error:
            late = self._clock.seconds() >= deadline
            raise _failed(source, document, error, late=late) from None

    async def _timed(self, work: Coroutine[Deferred[Any], Any, T]) -> T:
        return await Deferred.fromCoroutine(work).addTimeout(self._timeout, self._clock)

    async def _get(self, source: Source, name: str, download: Download) -> None:
        """All of a document, or what is missing of it."""
        fields = {b"Accept-Encoding": b"gzip", **download.condition()}
        await self._exchange(source, b"GET", name, fields, None, download)

    async def _post(self, source: Source, name: str, octets: bytes, limit: int) -> Answer:
        collected = Collected(limit)
        fields = {b"Content-Type": b"application/json"}
        await self._exchange(source, b"POST", name, fields, octets, collected)
        return Answer(collected.code, bytes(collected.octets))

    async def _exchange(
        self,
        source: Source,
        method: bytes,
        name: str,
        fields: Mapping[bytes, bytes],
        octets: bytes | None,
        into: Collected,
    ) -> None:
        """One connection."""
        endpoint = self._dial(source)
        bounded = BoundedEndpoint(endpoint, into.limit + _HEADER)
        pool = HTTPConnectionPool(self._clock, persistent=False)
        agent: Any = Agent.usingEndpointFactory(self._clock, _One(bounded), pool)
        if isinstance(endpoint, AbsoluteFormEndpoint):
            agent = ProxyAgent(bounded, self._clock, pool)
            fields = {**fields, **endpoint.fields}
        headers = Headers({name: [value] for name, value in fields.items()})
        producer = None if octets is None else _Octets(octets)
        url = source.url(PREFIX + name.encode("ascii"))
        try:
            response: IResponse = await agent.request(method, url, headers, producer)
            into.begin(response)
            body = Body(into)
            response.deliverBody(body)
            await body.ended
        except BaseException:
            bounded.abort()  # a cancelled request may leave its connection open
            raise


@implementer(IBodyProducer)
class _Octets:
    """A request's body."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.length = len(octets)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """All of it at once."""
        consumer.write(self._octets)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It has all been produced."""

    def resumeProducing(self) -> None:
        """It has all been produced."""

    def stopProducing(self) -> None:
        """It has all been produced."""


@implementer(IAgentEndpointFactory)
@dataclass(frozen=True, slots=True)
class _One:
    """Every request goes to this endpoint, whatever its address."""

    endpoint: IStreamClientEndpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self.endpoint


def _failed(source: Source, document: str, error: Exception, *, late: bool) -> FetchFailed:
    why = "no answer in time" if late else _why(error)
    code = error.code if isinstance(error, Status) else None
    return FetchFailed(source=str(source), document=document, why=why, answered=code)


def _why(error: Exception) -> str:
    """What went wrong, in a word or two; never the error's own text."""
    match error:
        case Status():
            return f"it answered {error.code}"
        case ProxyRefused(status=int(status)):
            return f"the proxy answered {status}"
        case ProxyRefused():
            return "the proxy did not answer"
        case DNSLookupError():
            return "its name is not known"
        case ConnectError():
            return "no connection"
        case ValueError() | PotentialDataLoss():
            return "the answer is not whole, or too long"
        case _:
            return "the connection broke"
