"""Requests to sources: one connection each, every answer bounded in length and time.

A document is asked for compressed, and what is missing of a broken download is asked for from the
same source, since a slow line carries a large document in several goes or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IConsumer, IStreamClientEndpoint
from twisted.python.failure import Failure
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
        return await get(
            self._clock,
            lambda: self._dial(source),
            _url(source, name),
            limit,
            source=str(source),
            document=document,
            timeout=self._timeout,
        )

    async def post(
        self, source: Source, name: str, octets: bytes, limit: int, document: str
    ) -> Answer:
        """Send *octets* to *name* at *source*, and read an answer of at most *limit* octets,
        whatever it says.

        :raises FetchFailed: there was none, or not in time.
        """
        collected = Collected(limit)
        fields = {b"Content-Type": b"application/json"}
        try:
            request = Request(b"POST", _url(source, name), fields, octets)
            await exchange(self._clock, self._dial(source), request, collected, self._timeout)
        except CancelledError:
            raise
        except Exception as error:
            raise _failed(str(source), document, error) from None
        return Answer(collected.code, bytes(collected.octets))


def _url(source: Source, name: str) -> bytes:
    return source.url(PREFIX + name.encode("ascii"))


async def get(
    clock: Clock,
    dial: Callable[[], IStreamClientEndpoint],
    url: bytes,
    limit: int,
    *,
    source: str,
    document: str,
    timeout: float = TIMEOUT,
) -> bytes:
    """The octets, at most *limit*, at *url* of whoever *dial* leads to; *source* and *document*
    are for sentences.

    :raises FetchFailed: there are none, or not in time.
    """
    download = Download(limit)
    for _ in range(TRIES):
        before = len(download.octets)
        fields = {b"Accept-Encoding": b"gzip", **download.condition()}
        try:
            await exchange(clock, dial(), Request(b"GET", url, fields), download, timeout)
            return download.whole()
        except CancelledError:
            raise
        except Exception as error:
            came = len(download.octets) - before
            if not download.goes_on or came < (PROGRESS if isinstance(error, Late) else 1):
                raise _failed(source, document, error) from None
    raise FetchFailed(
        source=source, document=document, why="it breaks off every time", answered=None
    )


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: bytes
    url: bytes
    fields: Mapping[bytes, bytes]
    octets: bytes | None = None


class Late(Exception):
    """The time of a connection was over."""


async def exchange(
    clock: Clock,
    endpoint: IStreamClientEndpoint,
    request: Request,
    into: Collected,
    timeout: float,
) -> None:
    """One connection, for at most *timeout* seconds; raises whatever befalls it."""
    working = Deferred.fromCoroutine(_exchange(clock, endpoint, request, into))
    stopped: list[type[Exception]] = []

    def stop(why: type[Exception]) -> None:
        stopped.append(why)
        working.cancel()

    over: Deferred[None] = Deferred(lambda _: stop(CancelledError))
    timer = clock.callLater(timeout, stop, Late)

    def end(result: Any) -> None:
        if timer.active():
            timer.cancel()
        if over.called:
            return
        if stopped:  # twisted.web wraps a cancellation in errors of its own
            over.errback(stopped[0]())
        elif isinstance(result, Failure):
            over.errback(result)
        else:
            over.callback(None)

    _ = working.addBoth(end)
    await over


async def _exchange(
    clock: Clock, endpoint: IStreamClientEndpoint, request: Request, into: Collected
) -> None:
    bounded = BoundedEndpoint(endpoint, into.limit + _HEADER)
    pool = HTTPConnectionPool(clock, persistent=False)
    agent: Any = Agent.usingEndpointFactory(clock, _One(bounded), pool)
    fields = request.fields
    if isinstance(endpoint, AbsoluteFormEndpoint):
        agent = ProxyAgent(bounded, clock, pool)
        fields = {**fields, **endpoint.fields}
    headers = Headers({name: [value] for name, value in fields.items()})
    producer = None if request.octets is None else _Octets(request.octets)
    try:
        response: IResponse = await agent.request(request.method, request.url, headers, producer)
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


def _failed(source: str, document: str, error: Exception) -> FetchFailed:
    code = error.code if isinstance(error, Status) else None
    return FetchFailed(source=source, document=document, why=why(error), answered=code)


def why(error: Exception) -> str:
    """What went wrong with :func:`exchange`, in a word or two; never the error's own text."""
    match error:
        case Late():
            return "no answer in time"
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
