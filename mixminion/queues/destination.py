"""The queue of one destination: another mix, or an exit.

It holds ids of stored records and nothing else.  An id is waiting or in flight, from
:meth:`DestinationQueue.add` until :meth:`~DestinationQueue.done` or
:meth:`~DestinationQueue.expire`; losing it would lose the record, having it twice would send
the record twice.  What is ready leaves in the order it came, because the pool has shuffled
it: sorting by due times here would undo that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

from mixminion.interfaces import Clock, Random
from mixminion.queues.backoff import Backoff

__all__ = ["Backoff", "DestinationQueue"]


@dataclass(slots=True)
class _Entry:
    due: float
    failures: int = 0
    waiting: bool = True  #: or in flight


class DestinationQueue:
    """Times are seconds of *clock*; ``expiry`` counts from an entry's due time."""

    def __init__(self, clock: Clock, backoff: Backoff, expiry: float, random: Random) -> None:
        self._clock = clock
        self._backoff = backoff
        self.expiry = expiry
        self._random = random
        self._entries: dict[int, _Entry] = {}
        self._ready: deque[int] = deque()
        self._later: list[tuple[float, int]] = []
        self._failures = 0
        self._held_until = 0.0

    def __len__(self) -> int:
        """Ids waiting or in flight."""
        return len(self._entries)

    def add(self, record_id: int, due: float) -> None:
        """Queue an id, ready at *due*.  One that is queued already stays as it is."""
        if record_id in self._entries:
            return
        self._entries[record_id] = _Entry(due)
        self._wait(record_id, due)

    def take(self, n: int) -> list[int]:
        """Up to *n* ids that are ready; they are in flight from now on."""
        now = self._clock.seconds()
        taken: list[int] = []
        if self.held:
            return taken
        self._ripen(now)
        while self._ready and len(taken) < n:
            record_id = self._ready.popleft()
            if self._is_waiting(record_id):
                self._entries[record_id].waiting = False
                taken.append(record_id)
        return taken

    # -- what became of them ---------------------------------------------------------------

    def done(self, ids: Iterable[int]) -> None:
        """They have been handed over, or given up: forget them."""
        for record_id in ids:
            self._entries.pop(record_id, None)

    def put_back(self, ids: Iterable[int]) -> None:
        """They were not handed over, through no fault of theirs: to the front, in this order."""
        returned = [record_id for record_id in ids if self._land(record_id)]
        self._ready.extendleft(reversed(returned))

    def retry(self, record_id: int) -> None:
        """This one failed for now: it alone backs off."""
        if self._land(record_id):
            entry = self._entries[record_id]
            entry.failures += 1
            wait = self._backoff.wait(entry.failures, self._random)
            self._wait(record_id, self._clock.seconds() + wait)

    # -- the destination -------------------------------------------------------------------

    def hold(self) -> None:
        """The destination as a whole failed: nothing leaves until its back-off has passed."""
        self._failures += 1
        wait = self._backoff.wait(self._failures, self._random)
        self._held_until = self._clock.seconds() + wait

    @property
    def held(self) -> bool:
        """Whether the destination's back-off has not passed yet."""
        return self._clock.seconds() < self._held_until

    def up(self) -> None:
        """The destination works: no back-off, and the next failure counts as the first."""
        self._failures = 0
        self._held_until = 0.0

    # -- time ------------------------------------------------------------------------------

    def expire(self, now: float) -> list[int]:
        """Forget what has waited *expiry* past its due time; the ids, to be deleted.  What is
        in flight may yet arrive and stays."""
        ids = [
            record_id
            for record_id, entry in self._entries.items()
            if entry.waiting and entry.due + self.expiry <= now
        ]
        self.done(ids)
        return ids

    def next_ready(self) -> float | None:
        """When :meth:`take` is worth calling; None while nothing waits."""
        now = self._clock.seconds()
        self._ripen(now)
        while self._ready and not self._is_waiting(self._ready[0]):
            self._ready.popleft()
        if self._ready:
            return max(now, self._held_until)
        if self._later:
            return max(self._later[0][0], self._held_until)
        return None

    def _is_waiting(self, record_id: int) -> bool:
        """False for a place in line whose id has expired."""
        entry = self._entries.get(record_id)
        return entry is not None and entry.waiting

    def _land(self, record_id: int) -> bool:
        """From in flight to waiting; false for an id that is not in flight."""
        entry = self._entries.get(record_id)
        if entry is None or entry.waiting:
            return False
        entry.waiting = True
        return True

    def _wait(self, record_id: int, ready: float) -> None:
        if ready <= self._clock.seconds():
            self._ready.append(record_id)
        else:
            heappush(self._later, (ready, record_id))

    def _ripen(self, now: float) -> None:
        """What has become ready stands in line, behind what was ready before."""
        while self._later and (self._later[0][0] <= now or not self._is_waiting(self._later[0][1])):
            self._ready.append(heappop(self._later)[1])
