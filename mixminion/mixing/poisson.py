"""The Poisson strategy: every packet waits as long as its sender drew.

Senders draw from an exponential distribution, so departures are memoryless: which of the
packets held leaves next says nothing about which came first (Kesdogan et al., "Stop-and-Go
MIXes", 1998; Danezis, "The Traffic Analysis of Continuous-Time Mixes", 2004; Piotrowska et
al., "The Loopix Anonymity System", 2017).
"""

from __future__ import annotations

import math
from heapq import heappop, heappush

from zope.interface import implementer

from mixminion.interfaces import IStrategy, MixingNumbers, Random


@implementer(IStrategy)
class Poisson:
    """Packets leave at ticks, multiples of *tick* seconds, and those of one tick shuffled:
    between two ticks the order of arrival must not show.  With a tick of 0 each leaves when
    it is due.  None is held longer than *cap* seconds, whatever was asked."""

    def __init__(self, tick: float, cap: float, random: Random) -> None:
        self._tick = tick
        self._cap = cap
        self._random = random
        self._held: list[tuple[float, int]] = []

    def add(self, item: int, delay: float, now: float) -> None:
        """Hold *item* until the first tick that is *delay* seconds from now or later."""
        due = now + min(delay, self._cap)
        if self._tick:
            due = math.ceil(due / self._tick) * self._tick
        heappush(self._held, (due, item))

    def release(self, now: float) -> list[int]:
        """All whose tick has come, shuffled."""
        leaving: list[int] = []
        while self._held and self._held[0][0] <= now:
            leaving.append(heappop(self._held)[1])
        self._random.shuffle(leaving)
        return leaving

    def next_release(self) -> float | None:
        """The next tick at which something leaves."""
        return self._held[0][0] if self._held else None

    def adjust(self, network: MixingNumbers) -> None:
        """Tick and cap of what is held from now on.  A lower cap is not taken up, because of
        the packets on their way that were made for the higher one."""
        self._tick = network.tick
        self._cap = max(self._cap, network.delay_cap)

    def __len__(self) -> int:
        return len(self._held)
