"""A running client's links: one for each entry that a point was for, kept while it lasts.

A link is dialled for a point and not for a packet, so that dialling tells no more than the points
do.  An entry that does not answer is left alone for a while; the points that are its own pass
meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.client.entries import REFUSED, Dial, word
from mixminion.errors import PeerError
from mixminion.interfaces import Clock, Random, Refusal
from mixminion.mmtp.client import Link, LinkUser

FIRST_PAUSE = 60.0
LAST_PAUSE = 3600.0
"""Seconds for which one that did not answer is left alone: doubled from the first to the last."""

COVER = -1
"""The key of a packet that nobody asks for."""


class LineUser(Protocol):
    """Who hears what became of packets."""

    def received(self, ids: Sequence[int]) -> None:
        """They are on the entry's disk."""

    def failed(self, line: Line, ids: Sequence[int]) -> None:
        """They may not be; the line says why."""


class Line(LinkUser):
    """The way to one entry; *observe* hears whether it takes anything: once for every link, and of
    failures."""

    def __init__(
        self,
        nickname: str,
        clock: Clock,
        random: Random,
        dial: Dial,
        observe: Callable[[bool], None],
        user: LineUser,
    ) -> None:
        self.nickname = nickname
        self._clock = clock
        self._random = random
        self._dial = dial
        self._observe = observe
        self._user = user
        self._link: Link | None = None
        self._dialling: Deferred[Link] | None = None
        self._took = False
        self._failures = 0
        self._away_until = 0.0
        self._closed = False
        self.why = "there was no link to it yet"
        """Why nothing can leave, in a few words."""

    @property
    def up(self) -> bool:
        """Whether a packet can leave now."""
        return self._link is not None and self._link.room > 0

    @property
    def away(self) -> bool:
        """Whether it did not answer a while ago."""
        return self._clock.seconds() < self._away_until

    def wake(self) -> None:
        """Dial, unless that has been done, or was in vain a while ago."""
        if self._link is None and self._dialling is None and not self.away and not self._closed:
            self._dialling = self._dial(self)
            _ = self._dialling.addCallbacks(self._connected, self._not_connected)

    def send(self, id: int, packet: bytes) -> None:
        """Have a packet leave; only while the line is :attr:`up`."""
        assert self._link is not None
        self._link.send(id, packet)

    def close(self) -> Deferred[None]:
        """End the link, after the answers that are under way."""
        self._closed = True
        if self._dialling is not None:
            self._dialling.cancel()
        return succeed(None) if self._link is None else self._link.close()

    # -- LinkUser --

    @override
    def opened(self, link: Link) -> None:
        """The entry accepted us; :meth:`_connected` goes on."""

    @override
    def received(self, keys: list[int]) -> None:
        """The entry has these on its disk."""
        self._failures = 0
        if not self._took:
            self._took = True
            self._observe(True)
        ids = [key for key in keys if key != COVER]
        if ids:
            self._user.received(ids)

    @override
    def refused(self, key: int, refusal: Refusal) -> None:
        """The entry cannot take it now."""
        self._failed([key], REFUSED[refusal])

    @override
    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None:
        """The link ended."""
        self._link = None
        self._took = False
        if error is None:
            self.why = "the link ended"
            self._tell(unacknowledged)
            self.wake()  # it was time for another one
        else:
            self._failed(unacknowledged, word(error))

    # -- inside --

    def _connected(self, link: Link) -> None:
        self._dialling = None
        self._link = link

    def _not_connected(self, failure: Failure) -> None:
        self._dialling = None
        if not self._closed:
            self._failed([], word(failure.value))

    def _failed(self, keys: Sequence[int], why: str) -> None:
        self.why = why
        pause = min(FIRST_PAUSE * 2.0 ** min(self._failures, 16), LAST_PAUSE)
        self._away_until = self._clock.seconds() + pause * (0.5 + self._random.uniform())
        self._failures += 1
        self._observe(False)
        self._tell(keys)

    def _tell(self, keys: Sequence[int]) -> None:
        ids = [key for key in keys if key != COVER]
        if ids:
            self._user.failed(self, ids)
