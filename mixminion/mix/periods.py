"""Key periods: which packet keys a mix makes, tries and erases, and when.

Periods are numbered network-wide: period *n* begins at Unix second ``n * length``.
"""

from __future__ import annotations

from dataclasses import dataclass

EARLY = 600.0
"""A key is accepted this many seconds before its period begins (senders' clocks)."""

AHEAD = 2
"""Periods ahead whose keys are made and published."""


@dataclass(frozen=True, slots=True)
class KeyPeriods:
    """The network's key periods; *length* and *grace* in seconds.

    The grace is a peer queue's expiry + 2 x hops x cap: a packet made in the last moment
    of a period may wait that long on its way.
    """

    length: int
    grace: float

    def current(self, now: float) -> int:
        """The period *now* falls into."""
        return int(now // self.length)

    def accepted(self, now: float) -> tuple[int, ...]:
        """Whose keys open packets now, in the order they are tried."""
        current = self.current(now)
        into = now - current * self.length
        earlier = range(current - 1, current - 2 - int(self.grace // self.length), -1)
        graced = [n for n in earlier if now < (n + 1) * self.length + self.grace]
        early = [current + 1] if self.length - into <= EARLY else []
        return (current, *early, *graced)

    def published(self, now: float) -> tuple[int, ...]:
        """Whose public keys a server publishes now."""
        current = self.current(now)
        return tuple(range(current, current + AHEAD + 1))

    def kept(self, now: float) -> tuple[int, ...]:
        """Whose keys something may still need; the others are erased."""
        return tuple(sorted({*self.accepted(now), *self.published(now)}))
