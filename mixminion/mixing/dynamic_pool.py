"""The timed dynamic pool: at each round a share of what is held leaves, whichever it may be.

Cottrell's algorithm, as Mixmaster has it (Moeller, Cottrell, Palfrader and Sassaman,
draft-sassaman-mixmaster; Serjantov, Dingledine and Syverson, "From a Trickle to a Flood:
Active Attacks on Several Mix Types", 2002).
"""

from __future__ import annotations

import math

from zope.interface import implementer

from mixminion.interfaces import IStrategy, MixingNumbers, Random


@implementer(IStrategy)
class DynamicPool:
    """A round every *interval* seconds: of n packets held, :func:`batch` leave, drawn at random.

    Rounds are at multiples of *interval*, so that stopping and starting makes no more of them;
    one that passed unnoticed is not made up for.  The delays that senders ask for are not
    looked at.  *minimum* packets stay until others come, however long that is.
    """

    def __init__(self, interval: float, minimum: int, percent: int, random: Random) -> None:
        self._interval = interval
        self._minimum = minimum
        self._percent = percent
        self._random = random
        self._held: list[int] = []
        self._round: float | None = None

    def add(self, item: int, delay: float, now: float) -> None:
        """Hold *item*, for the next round at the earliest."""
        self._held.append(item)
        if self._round is None:
            self._round = self._after(now)

    def release(self, now: float) -> list[int]:
        """What the round of now draws; nothing between two rounds."""
        if self._round is None or now < self._round:
            return []
        held = self._held
        count = batch(len(held), self._minimum, self._percent)
        for place in range(count):
            drawn = place + self._random.below(len(held) - place)
            held[place], held[drawn] = held[drawn], held[place]
        leaving, self._held = held[:count], held[count:]
        self._round = self._after(now) if self._held else None
        return leaving

    def next_release(self) -> float | None:
        """The next round."""
        return self._round

    def adjust(self, network: MixingNumbers) -> None:
        """What the rounds are like that follow the next one, whose moment stays."""
        self._interval = network.pool_interval
        self._minimum = network.pool_minimum
        self._percent = network.pool_percent

    def __len__(self) -> int:
        return len(self._held)

    def _after(self, now: float) -> float:
        return (math.floor(now / self._interval) + 1) * self._interval


def batch(held: int, minimum: int, percent: int) -> int:
    """How many of *held* packets leave: ``min(n - minimum, max(1, floor(n * rate)))``, none while
    no more than *minimum* are there."""
    return max(0, min(held - minimum, max(1, held * percent // 100)))
