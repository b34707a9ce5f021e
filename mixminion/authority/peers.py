"""Other authorities, over HTTP: one bounded request at a time, each with its own deadline."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, Agent, HTTPConnectionPool, PartialDownloadError, readBody
from twisted.web.http import stringToDatetime
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from mixminion.dirhttp.endpoints import BoundedEndpoint
from mixminion.dirhttp.resource import PREFIX
from mixminion.dirhttp.sources import Dial, Source
from mixminion.errors import PeerError
from mixminion.interfaces import Clock

_HEADER = 65_536
"""Octets that an answer may have besides its content."""
_WORD = re.compile(rb"([a-z][a-z-]{0,31})\n?")
_AGAIN = frozenset({404, 408, 425, 429})
"""Refusals that say nothing of what was sent."""


class NoAnswer(PeerError):
    """An authority could not be asked, or has not what was asked for: ``why``, in a few words."""

    code = "authority-silent"
    sentence = "The authority {peer} did not answer: {why}."


class Refused(PeerError):
    """An authority does not take what it was sent: ``word`` is its own."""

    code = "authority-refused"
    sentence = "The authority {peer} did not take it ({word})."


@dataclass(frozen=True, slots=True)
class Answer:
    """What came, and by how many seconds the other clock is ahead of ours, if it told the time."""

    octets: bytes
    ahead: float | None = None


class Peers(Protocol):
    """The other authorities, by identity.  Names are paths below ``/mixminion/2/``."""

    def get(self, peer: bytes, name: str, limit: int, seconds: float) -> Awaitable[Answer]:
        """Ask for a document of at most *limit* octets.

        :raises NoAnswer: it did not come within *seconds*.
        """

    def post(self, peer: bytes, name: str, octets: bytes, seconds: float) -> Awaitable[Answer]:
        """Send something.

        :raises NoAnswer: it did not arrive within *seconds*, or another time may be better.
        :raises Refused: it was not taken.
        """


class HttpPeers:
    """Those that *sources* has an address of."""

    def __init__(self, clock: Clock, dial: Dial, sources: Mapping[bytes, Source]) -> None:
        self._clock = clock
        self._dial = dial
        self._sources = dict(sources)

    async def get(self, peer: bytes, name: str, limit: int, seconds: float) -> Answer:
        """See :class:`Peers`."""
        code, answer = await self._ask(peer, b"GET", name, None, limit, seconds)
        if code != 200:
            raise NoAnswer(
                peer=peer.hex()[:8], why=f"it answered {code}", answered=True, ahead=answer.ahead
            )
        return answer

    async def post(self, peer: bytes, name: str, octets: bytes, seconds: float) -> Answer:
        """See :class:`Peers`."""
        code, answer = await self._ask(peer, b"POST", name, octets, _HEADER, seconds)
        if 200 <= code < 300:
            return answer
        if not 400 <= code < 500 or code in _AGAIN:
            raise NoAnswer(
                peer=peer.hex()[:8], why=f"it answered {code}", answered=True, ahead=answer.ahead
            )
        word = _WORD.fullmatch(answer.octets)
        raise Refused(
            peer=peer.hex()[:8],
            word=word[1].decode("ascii") if word else str(code),
            ahead=answer.ahead,
        )

    async def _ask(
        self, peer: bytes, method: bytes, name: str, body: bytes | None, limit: int, seconds: float
    ) -> tuple[int, Answer]:
        """The answer's code and content.

        :raises NoAnswer: there is none in time, or a longer one.
        """
        source = self._sources.get(peer)
        if source is None:
            raise NoAnswer(peer=peer.hex()[:8], why="its address is not known")
        asking = Deferred.fromCoroutine(self._request(source, method, name, body, limit))
        deadline = self._clock.seconds() + seconds
        try:
            return await asking.addTimeout(seconds, self._clock)
        except Exception as error:
            # Both a timeout and a stop cancel the request, so the clock must tell.
            late = self._clock.seconds() >= deadline
            if _cancelled(error) and not late:
                raise CancelledError from None
            why = "no answer in time" if late else _why(error)
            raise NoAnswer(peer=peer.hex()[:8], why=why) from None

    async def _request(
        self, source: Source, method: bytes, name: str, body: bytes | None, limit: int
    ) -> tuple[int, Answer]:
        endpoint = BoundedEndpoint(self._dial(source), limit + _HEADER)
        agent = Agent.usingEndpointFactory(
            self._clock, _One(endpoint), HTTPConnectionPool(self._clock, persistent=False)
        )
        response = await agent.request(
            method,
            source.url(PREFIX + name.encode("ascii")),
            Headers({b"Accept-Encoding": [b"identity"]}),
            None if body is None else _Body(body),
        )
        octets = await readBody(response)
        if len(octets) > limit:
            raise ValueError
        return response.code, Answer(octets, self._ahead(response))

    def _ahead(self, response: IResponse) -> float | None:
        """By how much the clock of whoever answered is ahead, to about a second."""
        for date in response.headers.getRawHeaders(b"Date", []):
            try:
                return float(stringToDatetime(date)) - self._clock.seconds()
            except (ValueError, LookupError, OverflowError):
                return None
        return None


@implementer(IAgentEndpointFactory)
@dataclass(frozen=True, slots=True)
class _One:
    """Every request goes to this endpoint, whatever its address."""

    endpoint: IStreamClientEndpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        return self.endpoint


@implementer(IBodyProducer)
class _Body:
    """What is sent, written at once: the transport holds it, and its other end bounds it."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.length = len(octets)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._octets)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is written already."""

    def resumeProducing(self) -> None:
        """It is written already."""

    def stopProducing(self) -> None:
        """It is written already."""


def _cancelled(error: Exception) -> bool:
    """Whether somebody cancelled it; twisted.web wraps that in errors of its own."""
    reasons = getattr(error, "reasons", ())
    return isinstance(error, CancelledError) or any(each.check(CancelledError) for each in reasons)


def _why(error: Exception) -> str:
    """What went wrong, in a word or two; never the error's own text."""
    match error:
        case DNSLookupError():
            return "its name is not known"
        case ConnectError():
            return "no connection"
        case ValueError() | PartialDownloadError():
            return "the answer is not whole, or too long"
        case _:
            return "the connection broke"
