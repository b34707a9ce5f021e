"""Handing packets to their entries: one link per entry for everything that waits for it.

Packets are read from the outbox when the link has room for them, so that no more of them
than a window are in memory.  A packet leaves the outbox when its entry has answered that it
is on its disk; what comes to nothing stays there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.client.errors import NotHandedOver, Withdrawn
from mixminion.client.outbox import Outbox
from mixminion.errors import MixminionError, PeerError
from mixminion.interfaces import Clock, Refusal
from mixminion.mmtp.client import Link, LinkUser
from mixminion.mmtp.errors import DialFailed

RETRY_AFTER = (1.0, 4.0)
"""Seconds before each further attempt; after the last one the packets are given back."""

_BATCH = 64
REFUSED = {
    Refusal.FULL: "its disk is full",
    Refusal.STOPPING: "it is stopping",
    Refusal.RATE: "it takes no more from here for now",
}

Dial = Callable[[LinkUser], Deferred[Link]]


class Entry(LinkUser):
    """One server that takes our packets, named *nickname* in sentences."""

    def __init__(
        self,
        clock: Clock,
        outbox: Outbox,
        nickname: str,
        dial: Dial,
        observe: Callable[[bool], None],
    ) -> None:
        """*observe* hears whether it takes anything: once for every link, and of failures."""
        self._clock = clock
        self._outbox = outbox
        self._nickname = nickname
        self._dial = dial
        self._observe = observe
        self._took = False
        self._handing: dict[int, list[Deferred[None]]] = {}
        self._ready: deque[int] = deque()
        self._reading = 0
        self._link: Link | None = None
        self._dialling: Deferred[Link] | None = None
        self._pause: IDelayedCall | None = None
        self._failures = 0

    def hand_over(self, id: int) -> Deferred[None]:
        """Fires when the entry has the packet on its disk and the outbox has let it go.

        :raises NotHandedOver: after the last attempt (as failure); the packet is kept.
        """
        done: Deferred[None] = Deferred()
        observers = self._handing.setdefault(id, [])
        observers.append(done)
        if len(observers) == 1:
            self._ready.append(id)
            self._go_on()
        return done

    def withdrawn(self, ids: Iterable[int]) -> None:
        """These are not to be handed over any more, and the outbox has them no longer."""
        self._fail(Failure(Withdrawn()), list(ids))

    def close(self) -> Deferred[None]:
        """End the link; what was not answered is given back."""
        self._give_back("closed", None)
        if self._dialling is not None:
            self._dialling.cancel()
        if self._link is None:
            return succeed(None)
        return self._link.close()

    # -- LinkUser --

    @override
    def opened(self, link: Link) -> None:
        """The entry accepted us; :meth:`_connected` goes on."""

    @override
    def received(self, keys: list[int]) -> None:
        """The entry has these on its disk."""
        self._failures = 0
        if not self._took:
            self._took = True
            self._observe(True)
        deleting = self._outbox.delete(keys)
        _ = deleting.addCallbacks(self._end, self._fail, (keys,), errbackArgs=(keys,))
        self._go_on()

    @override
    def refused(self, key: int, refusal: Refusal) -> None:
        """The entry cannot take it now."""
        self._again([key])
        self._try_later(REFUSED[refusal], None)

    @override
    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None:
        """The link ended."""
        self._link = None
        self._took = False
        self._again(unacknowledged)
        self._try_later(word(error), error)

    # -- inside --

    def _go_on(self) -> None:
        if self._pause is not None or not self._ready:
            return
        if self._link is None:
            if self._dialling is None:
                self._dialling = self._dial(self)
                _ = self._dialling.addCallbacks(self._connected, self._not_connected)
            return
        link = self._link
        n = min(link.room - self._reading, len(self._ready), _BATCH)
        if n > 0:
            ids = [self._ready.popleft() for _ in range(n)]
            self._reading += n
            reading = self._outbox.hand(ids)
            _ = reading.addCallbacks(self._send, self._unread, (ids, link), errbackArgs=(ids,))

    def _connected(self, link: Link) -> None:
        self._dialling = None
        self._link = link
        self._go_on()

    def _not_connected(self, failure: Failure) -> None:
        self._dialling = None
        self._try_later(word(failure.value), failure.value)

    def _send(self, packets: list[bytes | None], ids: Sequence[int], link: Link) -> None:
        self._reading -= len(ids)
        for id, packet in zip(ids, packets, strict=True):
            if packet is None:  # another process handed it over
                self._end(1, [id])
            elif id in self._handing and link is self._link and link.room:
                link.send(id, packet)
            else:
                self._again([id])
        self._go_on()

    def _unread(self, failure: Failure, ids: Sequence[int]) -> None:
        self._reading -= len(ids)
        self._fail(failure, ids)

    def _again(self, ids: Iterable[int]) -> None:
        """Packets that have to be sent again, unless they were given back meanwhile."""
        self._ready.extend(id for id in ids if id in self._handing)

    def _try_later(self, why: str, cause: BaseException | None) -> None:
        if self._pause is not None or not self._handing:
            return
        if self._failures == len(RETRY_AFTER):
            self._failures = 0
            self._took = False
            self._observe(False)
            self._give_back(why, cause)
            return
        self._pause = self._clock.callLater(RETRY_AFTER[self._failures], self._resume)
        self._failures += 1

    def _resume(self) -> None:
        self._pause = None
        self._go_on()

    def _give_back(self, why: str, cause: BaseException | None) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._ready.clear()
        error = NotHandedOver(entry=self._nickname, why=why)
        error.__cause__ = cause
        self._fail(Failure(error), list(self._handing))

    def _end(self, _deleted: int, ids: Sequence[int]) -> None:
        for id in ids:
            for done in self._handing.pop(id, ()):
                done.callback(None)

    def _fail(self, failure: Failure, ids: Sequence[int]) -> None:
        for id in ids:
            for done in self._handing.pop(id, ()):
                done.errback(failure)


def word(error: BaseException | None) -> str:
    """What went wrong, in a few words without names or addresses."""
    if isinstance(error, DialFailed):
        return str(error.fields["problem"])
    return error.code.replace("-", " ") if isinstance(error, MixminionError) else "it hung up"
