"""Storage keys in time: each storage period has its own, and the one before it is erased."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mixminion.errors import MixminionError
from mixminion.interfaces import Clock
from mixminion.store import Store, StoreClosed

log = Logger()

LOOK = 600.0
"""Seconds between two looks at the calendar, at most."""


def storage_period(now: float, length: float) -> int:
    """The number of the storage period of *length* seconds that *now* falls into."""
    return int(now // length)


class StorageCare:
    """Has the store change its key when a storage period of ``length`` seconds begins, and at
    a start when the one before was interrupted."""

    def __init__(self, clock: Clock, store: Store, length: float) -> None:
        self._clock = clock
        self._store = store
        self.length = length
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def start(self) -> None:
        """Look now, and from now on."""
        _ = Deferred.fromCoroutine(self._turn())

    def stop(self) -> None:
        """No more looks."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    async def _turn(self) -> None:
        now = self._clock.seconds()
        try:
            if await self._store.renew_storage_key(storage_period(now, self.length)):
                log.info("The storage key was replaced, and the one before it erased.")
        except StoreClosed:
            return
        except MixminionError as error:
            log.error("The storage key is not replaced ({code}); tried again.", code=error.code)
        except Exception:
            log.failure("The storage key could not be replaced; tried again later.")
        if not self._stopped:
            self._timer = self._clock.callLater(min(LOOK, self.length / 4), self.start)
