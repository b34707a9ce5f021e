"""The pool: stored packets that wait for their moment, and whose queue they join then."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from mixminion.counters import Counters, Name
from mixminion.interfaces import Clock, IStrategy

Offer = Callable[[int, bytes, float], None]
"""(record id, destination, due): the packet left the pool."""


class Pool:
    """Holds record ids under a strategy and offers each to its destination when it leaves.

    Leaving the pool is not written down: after a crash a released packet that was not
    yet handed on is still stored, and goes into the pool once more, overdue ones with a fresh
    delay.
    """

    def __init__(self, clock: Clock, strategy: IStrategy, offer: Offer, counters: Counters) -> None:
        self._clock = clock
        self._strategy = strategy
        self._offer = offer
        self._counters = counters
        self._held: dict[int, tuple[bytes, float]] = {}  # destination, seconds late already
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def __len__(self) -> int:
        """Packets held."""
        return len(self._held)

    def add(self, record_id: int, destination: bytes, due: float, delay: float) -> None:
        """Hold a stored record, which asks for *delay* seconds from now.

        *due* is what its queue's expiry would count from; it equals now + delay but for
        packets that were overdue after a stop.  By as much as it is behind that, the expiry
        counts from before the packet's release, whenever the strategy lets it go.
        """
        now = self._clock.seconds()
        self._held[record_id] = (destination, max(0.0, now + delay - due))
        self._strategy.add(record_id, delay, now)
        self._wind()

    def stop(self) -> None:
        """Release nothing more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        """Have the clock call when the strategy wants it."""
        at = self._strategy.next_release()
        if self._stopped or at is None:
            return
        now = self._clock.seconds()
        wait = max(0.0, at - now)
        if self._timer is None:
            self._timer = self._clock.callLater(wait, self._release)
        elif self._timer.getTime() > now + wait:
            self._timer.reset(wait)

    def _release(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        leaving = self._strategy.release(now)
        self._counters.add(Name.RELEASED, len(leaving))
        for record_id in leaving:
            destination, late = self._held.pop(record_id)
            self._offer(record_id, destination, now - late)
        self._wind()
