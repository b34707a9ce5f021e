"""Delays: what a sender asks of each mix."""

from __future__ import annotations

import math

from mixminion.interfaces import Random


def truncated_exponential(random: Random, mean_ms: int, cap_ms: int) -> int:
    """Milliseconds from the exponential distribution of mean *mean_ms*, given that they do not
    exceed *cap_ms*.

    By inversion: what would lie beyond the cap is spread over all below it in proportion, so
    that no delay is more likely than its neighbours, which a clamped one would be.  A mean of
    0 is no delay.
    """
    if mean_ms == 0:
        return 0
    below_cap = -math.expm1(-cap_ms / mean_ms)
    return int(-mean_ms * math.log1p(-random.uniform() * below_cap))


def fresh(random: Random, mean_ms: int, cap_ms: int, due_ms: int, now_ms: int) -> int:
    """Milliseconds that a stored packet waits after a stop: the rest of its delay, or a new
    one when that has passed.

    The exponential is memoryless, so a new delay looks like any other, and a stop cannot
    make a mix give out at once all that fell due meanwhile.
    """
    rest = due_ms - now_ms
    return min(rest, cap_ms) if rest > 0 else truncated_exponential(random, mean_ms, cap_ms)
