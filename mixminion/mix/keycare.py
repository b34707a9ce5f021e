"""Packet keys in time: made before they are published, erased when nothing needs them.

A period's tags go with its key, and never before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.errors import MixminionError
from mixminion.interfaces import Clock
from mixminion.mix.batches import Made, Wanted
from mixminion.mix.periods import KeyPeriods
from mixminion.mix.workers import Workers
from mixminion.sphinx.geometry import Geometry
from mixminion.store import Store

log = Logger()

LOOK = 600.0
"""Seconds between two looks at the calendar, at most."""

RETRY = 20.0
"""Seconds before the next look when the work of one could not be done."""

Publish = Callable[[Sequence[Made]], None]
"""Gets the public packet keys that are to be published, ascending by period."""


class KeyCare:
    """Makes and erases packet keys by the network's key periods.

    ``public`` has the public halves of the periods that are published now; *publish* gets them
    whenever they are others.  ``problem`` is what kept the last look from its work: a full disk,
    a damaged key.
    """

    def __init__(
        self,
        clock: Clock,
        periods: KeyPeriods,
        workers: Workers,
        store: Store,
        publish: Publish = lambda made: None,
    ) -> None:
        self._publish = publish
        self._clock = clock
        self._periods = periods
        self._workers = workers
        self._store = store
        self._tagged: set[int] = set()
        self._timer: IDelayedCall | None = None
        self._done: tuple[tuple[int, ...], dict[int, Geometry]] | None = None
        self._started = self._stopped = self._looking = self._published = False
        self.public: tuple[Made, ...] = ()
        self.problem: MixminionError | None = None

    @property
    def ready(self) -> bool:
        """Whether the keys are there that there have to be."""
        return self._done is not None

    async def start(self, tagged: Iterable[int]) -> None:
        """*tagged* are the periods whose tags the store holds."""
        self._tagged = set(tagged)
        self._started = True
        await self._turn()

    def adopt(self, periods: KeyPeriods) -> None:
        """A newer consensus lists these: there may be keys to make at once."""
        self._periods = periods
        self._look_now()

    def publish(self) -> None:
        """Hand the public keys over once more: what is published of them is to be made anew."""
        self._published = False
        self._look_now()

    def stop(self) -> None:
        """No more looks."""
        self._stopped = True
        self._unwind()

    def _look_now(self) -> None:
        if self._started and not self._stopped and not self._looking:
            self._unwind()
            self._again()

    def _unwind(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    async def _turn(self) -> None:
        """A look, and the next one later."""
        wait = min(LOOK, self._periods.length / 4)
        self._looking = True
        periods = None
        try:
            # While workers work other periods may come, and somebody may ask to publish.
            while periods is not self._periods or not self._published:
                periods = self._periods
                await self._look(periods)
            self.problem = None
        except Exception as error:
            wait = RETRY
            if not self._stopped:
                self._failed(error)
        self._looking = False
        if not self._stopped:
            self._timer = self._clock.callLater(wait, self._again)

    def _failed(self, error: Exception) -> None:
        """The log hears of each problem once, the status as long as it is there."""
        if not isinstance(error, MixminionError):
            log.failure("Packet keys could not be looked after; tried again later.", Failure(error))
            return
        before, self.problem = self.problem, error
        if before is None or (before.code, before.fields) != (error.code, error.fields):
            reason = error.fields.get("reason", error.code)
            log.error("Packet keys are not in order ({reason}); tried again.", reason=reason)

    def _again(self) -> None:
        _ = Deferred.fromCoroutine(self._turn())

    async def _look(self, periods: KeyPeriods) -> None:
        now = self._clock.seconds()
        kept, wanted = periods.kept(now), periods.wanted(now)
        done = kept, {each.period: each.geometry for each in wanted}
        if done != self._done:
            await self._renew(kept, wanted)
            self._done, self._published = done, False
        if not self._published:
            self._publish(self.public)
            self._published = True
        # What a worker has read once it keeps; only the next one would notice a damaged file.
        await self._workers.check()

    async def _renew(self, kept: tuple[int, ...], wanted: Sequence[Wanted]) -> None:
        self.public = tuple(await self._workers.make(wanted))
        await self._workers.keep(kept)
        ended = self._tagged - set(kept)
        for period in ended:
            await self._store.drop_tags(period)
        if ended:
            log.info("Erased the packet keys of {count} ended key periods.", count=len(ended))
        self._tagged = set(kept)
