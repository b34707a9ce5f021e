"""Packet keys in time: made before they are published, erased when nothing needs them.

A period's tags go with its key, and never before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mixminion.errors import MixminionError
from mixminion.interfaces import Clock
from mixminion.mix.periods import KeyPeriods
from mixminion.mix.workers import Workers
from mixminion.store import Store

log = Logger()

LOOK = 600.0
"""Seconds between two looks at the calendar, at most."""

RETRY = 60.0
"""Seconds before the next look when the work of one could not be done."""


class KeyCare:
    """Makes and erases packet keys by the network's key periods.

    ``public`` has the public halves of the periods that are published now; *publish* gets them
    whenever they are others.
    """

    def __init__(
        self,
        clock: Clock,
        periods: KeyPeriods,
        workers: Workers,
        store: Store,
        publish: Callable[[Mapping[int, bytes]], None] = lambda keys: None,
    ) -> None:
        self._publish = publish
        self._clock = clock
        self._periods = periods
        self._workers = workers
        self._store = store
        self._tagged: set[int] = set()
        self._timer: IDelayedCall | None = None
        self._kept: tuple[int, ...] = ()
        self._stopped = False
        self.public: dict[int, bytes] = {}

    async def start(self, tagged: Iterable[int]) -> None:
        """*tagged* are the periods whose tags the store holds."""
        self._tagged = set(tagged)
        await self._turn()

    def stop(self) -> None:
        """No more looks."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    async def _turn(self) -> None:
        """A look, and the next one later."""
        wait = min(LOOK, self._periods.length / 4)
        try:
            await self._look()
        except Exception as error:
            wait = RETRY
            if isinstance(error, MixminionError) and not self._stopped:
                reason = error.fields.get("reason", error.code)
                log.error("Packet keys are not renewed ({reason}); tried again.", reason=reason)
            elif not self._stopped:
                log.failure("Packet keys could not be renewed; tried again later.")
        if not self._stopped:
            self._timer = self._clock.callLater(wait, self._again)

    def _again(self) -> None:
        _ = Deferred.fromCoroutine(self._turn())

    async def _look(self) -> None:
        now = self._clock.seconds()
        kept = self._periods.kept(now)
        if kept == self._kept:
            return
        self.public = await self._workers.make(self._periods.published(now))
        await self._workers.keep(kept)
        ended = self._tagged - set(kept)
        for period in ended:
            await self._store.drop_tags(period)
        if ended:
            log.info("Erased the packet keys of {count} ended key periods.", count=len(ended))
        self._tagged = set(kept)
        self._kept = kept
        self._publish(self.public)
