"""When authorities do what for one consensus: pure arithmetic on Unix seconds.

Half an interval before valid-after the exchange of votes begins; it has f + 1 rounds, f being
how many authorities may be bad.  Two more stretches as long as a round are for signatures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Schedule:
    """That of the consensus of *valid_after*, one every *interval* seconds, where there are
    *authorities* of them in all."""

    valid_after: int
    interval: int
    authorities: int

    @property
    def faults(self) -> int:
        """How many authorities may be bad: fewer than half of all."""
        return faults(self.authorities)

    @property
    def rounds(self) -> int:
        """How many rounds the exchange has."""
        return self.faults + 1

    @property
    def length(self) -> float:
        """Seconds of a round."""
        return self.interval / 2 / (self.faults + 3)

    @property
    def begins(self) -> float:
        """The first round's begin, when votes are made."""
        return self.valid_after - self.interval / 2

    @property
    def opens(self) -> float:
        """From when others' votes are taken, for clocks that are ahead; they count from
        ``begins`` on."""
        return self.begins - self.length

    @property
    def closes(self) -> float:
        """The last round's end."""
        return self.begins + self.rounds * self.length

    def round(self, now: float) -> int:
        """The round of that moment, from 1; 0 before the first, ``rounds + 1`` after the last."""
        if now < self.begins:
            return 0
        if now >= self.closes:
            return self.rounds + 1
        # Neither a sum nor a quotient of floats may put a moment before the first or after the
        # last round.
        return min(max(1, math.floor((now - self.begins) / self.length) + 1), self.rounds)

    def ends(self, round: int) -> float:
        """The end of that round."""
        return self.begins + round * self.length


def faults(authorities: int) -> int:
    """How many of so many may be bad."""
    return (authorities - 1) // 2


def following(now: float, interval: int, authorities: int, after: int | None = None) -> Schedule:
    """The schedule whose exchange comes next or is under way at *now*.

    Instants are multiples of *interval*.  *after* is the last consensus' valid-after: the next
    exchange does not open before it, so that everybody who holds it takes the same one, also
    when it changes the interval.
    """
    schedule = Schedule(math.floor(now / interval) * interval, interval, authorities)
    while schedule.closes <= now or (after is not None and schedule.opens < after):
        behind = 0 if after is None else math.floor((after - schedule.valid_after) / interval)
        schedule = replace(schedule, valid_after=schedule.valid_after + max(1, behind) * interval)
    return schedule
