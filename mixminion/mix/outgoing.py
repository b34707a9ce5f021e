"""Packets on their way to other mixes: a queue and at most one link for each peer.

Nothing waits behind a dead peer.  A packet is kept in the store until the peer has
acknowledged it; what a broken link left unacknowledged goes to the front again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from twisted.internet.defer import (
    CancelledError,
    Deferred,
    gatherResults,
    maybeDeferred,
    succeed,
)
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.counters import Counters, Name
from mixminion.errors import MixminionError, PeerError
from mixminion.interfaces import Clock, Random, RecordStore, Refusal
from mixminion.mix.cache import PacketCache
from mixminion.mmtp.client import Link, LinkUser
from mixminion.queues.destination import Backoff, DestinationQueue

log = Logger()

SWEEP = 60.0
"""Seconds between two looks for packets past their expiry."""

BACKOFF = Backoff(first=1.0, factor=2.0, longest=900.0)

Dial = Callable[[bytes, LinkUser], Deferred[Link]]
"""(identity, user): connect to the server of that identity; fires once it has accepted."""


class Outgoing:
    """The queues of all peers."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        counters: Counters,
        store: RecordStore,
        cache: PacketCache,
        dial: Dial,
        expiry: float,
        idle: float,
        backoff: Backoff = BACKOFF,
    ) -> None:
        self.clock = clock
        self.random = random
        self.counters = counters
        self.store = store
        self.cache = cache
        self.dial = dial
        self.expiry = expiry
        self.idle = idle
        self.backoff = backoff
        self._peers: dict[bytes, _Peer] = {}
        self._undeleted: list[int] = []
        self._sweeper = clock.callLater(SWEEP, self._sweep)
        self.stopping = False

    def offer(self, record_id: int, destination: bytes, due: float) -> None:
        """The pool released a stored packet for the server *destination*."""
        peer = self._peers.get(destination)
        if peer is None:
            peer = self._peers[destination] = _Peer(self, destination)
        peer.add(record_id, due)

    def expire_after(self, expiry: float) -> None:
        """Give packets up after so many seconds from now on, also those that wait already."""
        self.expiry = expiry
        for peer in self._peers.values():
            peer.expire_after(expiry)

    def waiting(self) -> Mapping[bytes, int]:
        """Packets waiting or unacknowledged, by peer."""
        return {identity: len(peer) for identity, peer in self._peers.items() if len(peer)}

    def links(self) -> Sequence[Link]:
        """The links that are up."""
        return [peer.link for peer in self._peers.values() if peer.link is not None]

    def stop(self) -> Deferred[None]:
        """Send nothing more, close the links; fires when they are closed."""
        self.stopping = True
        if self._sweeper.active():
            self._sweeper.cancel()
        closed = gatherResults([peer.stop() for peer in self._peers.values()])
        return closed.addCallback(lambda _: None)

    def discard(self, ids: Sequence[int]) -> None:
        """Delete records that have been sent or given up."""
        for record_id in ids:
            self.cache.forget(record_id)
        _ = Deferred.fromCoroutine(self._delete(ids))

    async def _delete(self, ids: Sequence[int]) -> None:
        try:
            await self.store.delete(ids)
        except Exception as error:
            if not self.stopping:  # after a start they are sent again, and refused as replays
                kind = type(error).__name__
                log.error("Packets that were sent could not be deleted: {kind}", kind=kind)
                self._undeleted += ids

    def _sweep(self) -> None:
        undeleted, self._undeleted = self._undeleted, []
        if undeleted:
            self.discard(undeleted)
        now = self.clock.seconds()
        for peer in list(self._peers.values()):
            peer.expire(now)
            if not peer.needed:
                del self._peers[peer.identity]
        self._sweeper = self.clock.callLater(SWEEP, self._sweep)


class _Peer:
    """One peer: its queue, its link, its next attempt."""

    def __init__(self, outgoing: Outgoing, identity: bytes) -> None:
        self._out = outgoing
        self.identity = identity
        self._queue = DestinationQueue(
            outgoing.clock, outgoing.backoff, outgoing.expiry, outgoing.random
        )
        self.link: Link | None = None
        self._useful = False  # the link has carried something
        self._dialling: Deferred[Link] | None = None
        self._reading = 0
        self._working = False
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def needed(self) -> bool:
        """Whether there is anything to remember of this peer."""
        return bool(len(self._queue) or self.link or self._dialling)

    def add(self, record_id: int, due: float) -> None:
        """One more packet for this peer."""
        self._queue.add(record_id, due)
        self._work()

    def expire_after(self, expiry: float) -> None:
        """Give up later or earlier."""
        self._queue.expiry = expiry

    def expire(self, now: float) -> None:
        """Give up what has waited too long."""
        expired = self._queue.expire(now)
        if expired:
            self._out.counters.add(Name.EXPIRED, len(expired))
            self._out.discard(expired)
            self._work()

    def stop(self) -> Deferred[None]:
        """Close the link; fires when it is closed."""
        self._unwind()
        if self._dialling is not None:
            self._dialling.cancel()
        if self.link is None:
            return succeed(None)
        return self.link.close()

    # -- the link's user -----------------------------------------------------------------

    def opened(self, link: Link) -> None:
        """The peer accepted the link."""
        self.link = link
        self._useful = False
        self._work()

    def received(self, keys: Sequence[int]) -> None:
        """The peer has these on its disk: it works, which an open link alone does not show."""
        self._useful = True
        self._queue.done(keys)
        if not self._queue.held:
            self._queue.up()
        self._out.counters.add(Name.SENT, len(keys))
        self._out.discard(keys)
        self._work()

    def refused(self, key: int, reason: Refusal) -> None:
        """The peer cannot take more now, for a reason of its own."""
        self._queue.put_back([key])
        self._hold()
        if reason is Refusal.STOPPING and self.link is not None:
            _ = self.link.close()
        self._work()

    def lost(self, unacknowledged: Sequence[int], error: PeerError | None) -> None:
        """The link is gone."""
        self.link = None
        self._queue.put_back(unacknowledged)
        if error is not None or not self._useful:  # or we would dial again at once, for ever
            self._hold()
        self._work()

    # -- inside --------------------------------------------------------------------------

    def _hold(self) -> None:
        """Let the peer be for a while; what fails meanwhile does not make it longer."""
        if not self._queue.held:
            self._queue.hold()

    def _can_send(self) -> bool:
        ready = self._queue.next_ready()
        return ready is not None and ready <= self._out.clock.seconds()

    def _work(self) -> None:
        """Do what can be done now, and have the clock call when there is more to do."""
        if self._out.stopping or self._working:
            return
        self._unwind()
        self._working = True  # what is done may end, and come back here, before it returns
        try:
            if self.link is None and self._dialling is None and self._can_send():
                self._dial()
            if self.link is not None:
                self._feed(self.link)
            self._wind()
        except Exception:  # a defect of ours, which must not stop this peer's packets for ever
            log.failure("Packets could not be sent to a server; tried again.")
            self._timer = self._out.clock.callLater(SWEEP, self._work)
        finally:
            self._working = False

    def _wind(self) -> None:
        if self._out.stopping or self._dialling is not None:
            return
        now = self._out.clock.seconds()
        ready = self._queue.next_ready()
        if ready is not None and (ready > now or self.link is None):
            self._timer = self._out.clock.callLater(max(0.0, ready - now), self._work)
        elif self.link is not None and not len(self._queue):
            self._timer = self._out.clock.callLater(self._out.idle, self._rest)

    def _unwind(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _rest(self) -> None:
        """Nothing to carry for a while."""
        self._timer = None
        if self.link is not None:
            _ = self.link.close()

    def _dial(self) -> None:
        dialling = self._dialling = maybeDeferred(self._out.dial, self.identity, self)
        _ = dialling.addCallbacks(self._dialled, self._not_dialled)

    def _dialled(self, link: Link) -> None:
        self._dialling = None
        self._work()

    def _not_dialled(self, failure: Failure) -> None:
        self._dialling = None
        if not failure.check(MixminionError, CancelledError):
            log.failure("Dialling a server failed.", failure)
        self._hold()
        self._work()

    def _feed(self, link: Link) -> None:
        ids = self._queue.take(link.room - self._reading)
        packets = [self._out.cache.get(record_id) for record_id in ids]
        stored = [n for n, packet in zip(ids, packets, strict=True) if packet is None]
        self._reading += len(stored)
        try:
            self._send_each(link, ids, packets)
        finally:
            if stored:
                _ = Deferred.fromCoroutine(self._send_stored(link, stored))

    async def _send_stored(self, link: Link, ids: Sequence[int]) -> None:
        """Read what the cache no longer has, then send it."""
        try:
            packets = await self._out.store.read(ids)
        except Exception as error:
            if not self._out.stopping:
                log.error("Packets could not be read: {kind}", kind=type(error).__name__)
            self._queue.put_back(ids)
            self._hold()
        else:
            self._read(link, ids, packets)
        self._reading -= len(ids)
        self._work()

    def _read(self, link: Link, ids: Sequence[int], packets: Sequence[bytes | None]) -> None:
        self._queue.done([n for n, packet in zip(ids, packets, strict=True) if packet is None])
        try:
            self._send_each(link, ids, packets)
        except Exception:
            log.failure("Packets could not be sent to a server; tried again.")
            self._hold()

    def _send_each(self, link: Link, ids: Sequence[int], packets: Sequence[bytes | None]) -> None:
        """Send what there is of them; what an exception keeps from being sent waits again."""
        there = [(n, packet) for n, packet in zip(ids, packets, strict=True) if packet is not None]
        for place, (record_id, packet) in enumerate(there):
            try:
                self._send(link, record_id, packet)
            except Exception:
                self._queue.put_back([n for n, _ in there[place:]])
                raise

    def _send(self, link: Link, record_id: int, packet: bytes) -> None:
        """Send it if the link still takes it: a link may end while it is written to."""
        if link.room <= 0:
            self._queue.put_back([record_id])
            return
        try:
            link.send(record_id, packet)
        except ValueError:  # stored when packets had another length: nobody takes it any more
            self._queue.done([record_id])
            self._out.counters.add("drop-length")
            self._out.discard([record_id])
