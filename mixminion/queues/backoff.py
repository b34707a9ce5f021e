"""How long to wait after a failure."""

from __future__ import annotations

from dataclasses import dataclass

from mixminion.interfaces import Random

DOUBLINGS = 64
"""More failures than this make no difference; a float would overflow at some thousand."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off: the nth failure in a row waits ``first * factor ** (n - 1)``
    seconds, at most ``longest``; of that, a part between half and all is drawn, so that what
    failed together does not return together."""

    first: float
    factor: float
    longest: float

    def wait(self, failures: int, random: Random) -> float:
        """Seconds to wait after *failures* in a row, 1 at least."""
        whole = min(self.longest, self.first * self.factor ** min(failures - 1, DOUBLINGS))
        return whole * (1 + random.uniform()) / 2
