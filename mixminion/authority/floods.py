"""How much one address prefix may ask of an authority in a while."""

from __future__ import annotations

from dataclasses import dataclass

from mixminion.interfaces import Clock
from mixminion.net.admission import Prefix

MOST = 65_536
"""Prefixes that are remembered; when there are more, those that have waited longest are not."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Allowance:
    """Each prefix has *count* of something, and gets them back over *seconds*; peers without
    an IP address share one allowance."""

    def __init__(self, clock: Clock, count: int, seconds: float) -> None:
        self.count = count
        self._seconds = seconds
        self._clock = clock
        self._buckets: dict[Prefix | None, _Bucket] = {}

    def take(self, prefix: Prefix | None) -> bool:
        """Whether *prefix* has one left, which it has not any more then."""
        now = self._clock.seconds()
        bucket = self._buckets.pop(prefix, None) or _Bucket(self.count, now)
        back = max(0.0, now - bucket.at) * self.count / self._seconds
        bucket.left, bucket.at = min(self.count, bucket.left + back), now
        self._buckets[prefix] = bucket  # at the end: the first has waited longest
        if len(self._buckets) > MOST:
            del self._buckets[next(iter(self._buckets))]
        if bucket.left < 1:
            return False
        bucket.left -= 1
        return True
