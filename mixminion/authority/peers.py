"""Other authorities, over HTTP: one bounded request at a time, each with its own deadline."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import CancelledError
from twisted.web.http import stringToDatetime
from twisted.web.iweb import IResponse
from typing_extensions import override

from mixminion.dirhttp.downloads import Collected
from mixminion.dirhttp.requester import Request, exchange, why
from mixminion.dirhttp.resource import PREFIX
from mixminion.dirhttp.sources import Dial, Source
from mixminion.errors import PeerError
from mixminion.interfaces import Clock

_ANSWER = 65_536
"""Octets of an answer to something that was sent."""
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
        code, answer = await self._ask(peer, b"POST", name, octets, _ANSWER, seconds)
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
        url, fields = source.url(PREFIX + name.encode("ascii")), {b"Accept-Encoding": b"identity"}
        answer = _Dated(limit)
        try:
            request = Request(method, url, fields, body)
            await exchange(self._clock, self._dial(source), request, answer, seconds)
        except CancelledError:
            raise
        except Exception as error:
            raise NoAnswer(peer=peer.hex()[:8], why=why(error)) from None
        return answer.code, Answer(bytes(answer.octets), self._ahead(answer.dates))

    def _ahead(self, dates: Sequence[bytes]) -> float | None:
        """By how much the clock of whoever answered is ahead, to about a second."""
        for date in dates:
            try:
                return float(stringToDatetime(date)) - self._clock.seconds()
            except (ValueError, LookupError, OverflowError):
                return None
        return None


class _Dated(Collected):
    """An answer, and what its sender's clock said."""

    dates: Sequence[bytes] = ()

    @override
    def begin(self, response: IResponse) -> None:
        super().begin(response)
        self.dates = response.headers.getRawHeaders(b"Date", [])
