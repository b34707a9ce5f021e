"""Whether this machine's clock is right, by what authorities have signed.

Each receipt has its authority's time, to be compared with the middle of the request it answered;
an authority that has not answered counts as one with nothing to say, so that a minority,
dead or lying, neither blames a clock nor clears it.  A consensus that a majority signed
and that begins only later shows a clock that is behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from twisted.logger import Logger

log = Logger()

WARNING: Final = 60.0
"""Seconds from which on an operator is told."""
WRONG: Final = 300.0
"""Seconds from which on a server publishes nothing."""

_REMEDY = "set it right, for example with `timedatectl set-ntp true`"


class ClockCheck:
    """Compares one clock with those of *authorities*, so many."""

    def __init__(self, authorities: int) -> None:
        self._authorities = authorities
        self._heard: dict[bytes, float] = {}
        self._behind = 0.0
        self._told = 0.0

    def heard(self, authority: bytes, theirs: int, asked: float, answered: float) -> None:
        """A receipt of *authority* says *theirs*, whole Unix seconds; it was asked for and came
        at these moments by our clock.  What the way may have taken is in our favour."""
        difference = (asked + answered) / 2 - (theirs + 0.5)
        doubt = (answered - asked) / 2 + 0.5
        self._heard[authority] = _nearer(difference, max(0.0, doubt))
        self._tell()

    def early(self, seconds: float) -> None:
        """A consensus that was fetched just now begins only in so many seconds; 0 if none does."""
        self._behind = seconds
        self._tell()

    @property
    def difference(self) -> float:
        """Seconds by which this clock is ahead of the authorities', or, less than 0, behind; 0
        also when nobody knows."""
        missing = self._authorities - len(self._heard)
        values = sorted([*self._heard.values(), *[0.0] * missing]) or [0.0]
        low, high = values[(len(values) - 1) // 2], values[len(values) // 2]
        median = 0.0 if low * high < 0 else min(low, high, key=abs)
        return min(median, -self._behind) if self._behind > abs(median) else median

    @property
    def wrong(self) -> bool:
        """Whether it is so wrong that nothing should be published."""
        return abs(self.difference) >= WRONG

    def attention(self) -> Iterator[str]:
        """What an operator has to do, if there is something."""
        difference = self.difference
        if abs(difference) < WARNING:
            return
        side = "ahead of" if difference > 0 else "behind"
        said = f"This machine's clock is {_length(abs(difference))} {side} the authorities'"
        then = (
            "until then this server publishes nothing"
            if self.wrong
            else f"from {WRONG:.0f} seconds on this server publishes nothing"
        )
        yield f"{said}: {_REMEDY}; {then}."

    def _tell(self) -> None:
        """Log it once, and again when it has become another matter."""
        level = next((each for each in (WRONG, WARNING) if abs(self.difference) >= each), 0.0)
        if level != self._told:
            self._told = level
            if level:
                log.warn("{sentence}", sentence=next(self.attention()))
            else:
                log.info("This machine's clock agrees with the authorities'.")


def _nearer(value: float, by: float) -> float:
    """*value*, nearer to 0 *by* so much."""
    return max(0.0, value - by) if value > 0 else min(0.0, value + by)


def _length(seconds: float) -> str:
    if seconds < 2 * WRONG:
        return f"{seconds:.0f} seconds"
    if seconds < 2 * 86_400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 86_400:.0f} days"
