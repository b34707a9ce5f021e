"""Key periods: which packet keys a mix makes, tries and erases, and when.

Consensuses list them: the current one and some ahead, each with the geometry of its packets.
Those that no consensus lists any more, and a mix that got no new consensus, go by the length
of key periods, which are numbered so that period *n* of a network that never changed that length
begins at Unix second ``n * length``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, takewhile
from typing import Self

from mixminion.directory.errors import UnknownSuite
from mixminion.directory.view import View
from mixminion.mix.batches import Wanted
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.geometry import Geometry

EARLY = 600.0
"""The next period's key is accepted this many seconds before it begins (senders' clocks)."""

AHEAD = 2
"""Periods ahead whose keys are made while no consensus says what is ahead."""

MOST = 8
"""Periods that a consensus lists, at most; keys of so many are kept ahead."""


@dataclass(frozen=True, slots=True)
class Period:
    """A key period, in Unix seconds; ``geometry`` is None when its suite is not known here."""

    number: int
    begins: int
    ends: int
    geometry: Geometry | None


@dataclass(frozen=True, slots=True)
class KeyPeriods:
    """The network's key periods; *length* and *grace* in seconds, *listed* without gaps.

    The grace is a peer queue's expiry + 2 x hops x cap: a packet made in the last moment
    of a period may wait that long on its way.
    """

    length: int
    grace: float
    listed: tuple[Period, ...] = ()

    @classmethod
    def of(cls, view: View) -> Self:
        """Those that a consensus lists."""
        parameters = view.parameters
        listed = (
            Period(each.number, each.begins, each.ends, _geometry(view, each.number))
            for each in view.consensus.key_periods
        )
        return cls(parameters.key_period, parameters.key_grace, tuple(listed))

    def followed_by(self, newer: Self) -> Self:
        """Those of a newer consensus, and what was known of the periods before and after them."""
        first, last = newer.listed[0], newer.listed[-1]
        before = [each for each in self.listed if each.number < first.number]
        after = [each for each in self.listed if each.number > last.number]
        if before and before[-1].ends != first.begins:
            before = []
        if after and after[0].begins != last.ends:
            after = []
        return replace(newer, listed=(*before[-MOST:], *newer.listed, *after[:MOST]))

    # -- when they are -----------------------------------------------------------------------

    def current(self, now: float) -> int:
        """The period *now* falls into."""
        for each in self.listed:
            if each.begins <= now < each.ends:
                return each.number
        number, begins = self._anchor(now)
        return number + int((now - begins) // self.length)

    def begins(self, number: int) -> int:
        """When a period begins."""
        if not self.listed:
            return number * self.length
        first, last = self.listed[0], self.listed[-1]
        if number < first.number:
            return first.begins - (first.number - number) * self.length
        if number > last.number:
            return last.ends + (number - last.number - 1) * self.length
        return self.listed[number - first.number].begins

    def ends(self, number: int) -> int:
        """When it ends."""
        return self.begins(number + 1)

    def _anchor(self, now: float) -> tuple[int, int]:
        """A period's number and beginning, from which others follow by their length."""
        if not self.listed:
            return 0, 0
        first, last = self.listed[0], self.listed[-1]
        return (first.number, first.begins) if now < first.begins else (last.number + 1, last.ends)

    # -- what becomes of their keys ------------------------------------------------------------

    def accepted(self, now: float) -> tuple[int, ...]:
        """Whose keys open packets now, in the order they are tried."""
        current = self.current(now)
        early = [current + 1] if self.ends(current) - now <= EARLY else []
        graced = takewhile(
            lambda n: n >= 0 and now < self.ends(n) + self.grace, count(current - 1, -1)
        )
        return (current, *early, *graced)

    def published(self, now: float) -> Iterator[Period]:
        """Whose public keys a server publishes now: all that are listed and have not ended.

        One that has got no consensus for so long that none is left, or never had one, presumes
        that the network goes on as it was.
        """
        left = [each for each in self.listed if now < each.ends]
        if left:
            yield from left
            return
        geometry = self.listed[-1].geometry if self.listed else geometries.default()
        current = self.current(now)
        for number in range(current, current + AHEAD + 1):
            yield Period(number, self.begins(number), self.ends(number), geometry)

    def wanted(self, now: float) -> tuple[Wanted, ...]:
        """The keys of those, as workers are asked for them; none for a suite that is not known."""
        accepted = self.accepted(now)
        return tuple(
            Wanted(each.number, each.geometry, begun=each.number in accepted)
            for each in self.published(now)
            if each.geometry is not None
        )

    def kept(self, now: float) -> tuple[int, ...]:
        """Whose keys something may still need; the others are erased.

        Keys ahead stay whatever the newest consensus lists: what was published is used.
        """
        return tuple(range(min(self.accepted(now)), self.current(now) + MOST + 1))


def _geometry(view: View, number: int) -> Geometry | None:
    try:
        return geometries.of(view.geometry_of(number))
    except UnknownSuite:
        return None
