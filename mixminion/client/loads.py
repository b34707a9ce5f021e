"""What leaves at a point: the oldest packet that is kept, or a fresh cover packet.

The server that it leaves to is drawn as every path draws its first, whatever waits; then the oldest
packet that goes to that server is taken.  So neither when something leaves nor to whom depends on
mail.  Only a packet whose first server was named by hand leaves at any point.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.client import packets
from mixminion.client.directory import Directory
from mixminion.client.errors import NotHandedOver, Withdrawn
from mixminion.client.kept_entries import KeptEntries
from mixminion.client.lines import COVER, Line, LineUser
from mixminion.client.outbox import Outbox, Waiting
from mixminion.client.outbox_errors import NotHandedOverYet
from mixminion.client.sender import Sender
from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.errors import MixminionError
from mixminion.interfaces import Clock, Random
from mixminion.util import faults
from mixminion.util.hostport import HostPort

log = Logger()


@dataclass(slots=True)
class Load:
    """What is got ready for one point."""

    cover: tuple[Line, bytes] | None = None
    packet: tuple[Line, bytes, int] | None = None
    over: bool = False  #: the point has passed
    work: Deferred[None] | None = None


class Loads(LineUser):
    """The packets of one outbox, and cover."""

    def __init__(
        self,
        directory: Directory,
        outbox: Outbox,
        sender: Sender,
        kept: KeptEntries,
        clock: Clock,
        random: Random,
    ) -> None:
        """*random* is for cover alone, so that what is drawn for a point depends on no mail."""
        self._directory = directory
        self._outbox = outbox
        self._sender = sender
        self._kept = kept
        self._clock = clock
        self._random = random
        self._lines: dict[tuple[bytes, tuple[HostPort, ...], int], Line] = {}
        self._taken: set[int] = set()
        self._observers: dict[int, list[Deferred[None]]] = {}
        self._building = False

    @property
    def up(self) -> int:
        """How many links there are."""
        return sum(line.up for line in self._lines.values())

    # -- for whoever sends

    def hand_over(self, id: int) -> Deferred[None]:
        """Fires when the packet has left at a point, and its entry has it on its disk.

        :raises NotHandedOverYet: an attempt was in vain (as failure); there will be others.
        """
        done: Deferred[None] = Deferred()
        self._observers.setdefault(id, []).append(done)
        return done

    def withdrawn(self, ids: Sequence[int]) -> None:
        """These were called back."""
        self._fail(ids, Withdrawn())

    async def close(self) -> None:
        """End all links."""
        for line in self._lines.values():
            await line.close()
        self._fail(list(self._observers), NotHandedOver(entry="its entry", why="closed"))

    # -- for the points

    def prepare(self) -> Load:
        """Begin to get something ready."""
        load = Load()
        load.work = Deferred.fromCoroutine(self._fill(load)).addErrback(self._unready)
        return load

    def leave(self, load: Load) -> None:
        """What is ready leaves now."""
        load.over = True
        if load.packet is not None:
            line, octets, id = load.packet
            if line.up:
                line.send(id, octets)
                return
            self.failed(line, [id])
        if load.cover is not None and load.cover[0].up:
            line, octets = load.cover
            line.send(COVER, octets)

    def leave_out(self, load: Load) -> None:
        """It does not leave."""
        load.over = True
        if load.work is not None:
            load.work.cancel()
        if load.packet is not None:
            self._taken.discard(load.packet[2])

    # -- from the lines

    @override
    def received(self, ids: Sequence[int]) -> None:
        """They are on their entry's disk."""
        deleting = self._outbox.delete(ids)
        _ = deleting.addCallbacks(self._gone, self._kept_after_all, (ids,), errbackArgs=(ids,))

    @override
    def failed(self, line: Line, ids: Sequence[int]) -> None:
        """They may not be."""
        self._taken.difference_update(ids)
        self._fail(ids, NotHandedOverYet(entry=line.nickname, why=line.why))

    # -- inside

    async def _fill(self, load: Load) -> None:
        view = await self._directory.view()
        preferences = await self._kept.preferences(view)
        kept = {each.identity for each in await self._kept.current(view)}
        now = self._clock.seconds()
        server, octets = packets.cover(view, now, self._random, preferences)
        line = self._line(view, server)
        line.wake()
        load.cover = line, octets
        used = {each.identity for each in preferences.entries or ()}
        unused = kept - used if used else ()
        found = await self._choose(view, server, kept, unused)
        if found is None:
            await self._build(view)
            return
        id, chosen = found
        self._taken.add(id)
        try:
            (packet,) = await self._outbox.hand([id])
        except BaseException:
            self._taken.discard(id)
            raise
        if packet is None:  # another process handed it over, or it was deleted
            self._gone(1, [id])
        elif load.over:
            self._taken.discard(id)
        else:
            load.packet = chosen, packet, id

    async def _choose(
        self, view: View, server: Server, kept: Collection[bytes], unused: Collection[bytes]
    ) -> tuple[int, Line] | None:
        """The oldest packet that can leave to *server*, or to one that is none of *kept*; new ones
        to those of them that are *unused* now are built again."""
        for each in await self._outbox.waiting():
            if each.carried or each.id in self._taken:
                continue
            found = await self._server(view, each, unused)
            if found is None:
                continue
            line = self._line(view, found)
            if found == server or found.identity not in kept:
                line.wake()
                if line.up and each.id not in self._taken:  # another point's, since we waited
                    return each.id, line
            if line.away:
                self._fail([each.id], NotHandedOverYet(entry=line.nickname, why=line.why))
        return None

    async def _server(
        self, view: View, waiting: Waiting, unused: Collection[bytes]
    ) -> Server | None:
        """Who takes a packet, if anybody does."""
        if waiting.handed and not packets.accepted(view, waiting.period, self._clock.seconds()):
            return None
        try:
            return await self._sender.current(view, waiting, unused)
        except MixminionError as error:  # no path, or a reply block whose time is over
            self._fail([waiting.id], error)
            return None

    async def _build(self, view: View) -> None:
        """A block of a large message, for later points."""
        if self._building:
            return
        self._building = True
        try:
            for each in (await self._outbox.unbuilt())[:1]:
                await self._sender.build_block(view, each.id)
        finally:
            self._building = False

    def _line(self, view: View, server: Server) -> Line:
        length = view.packet_length
        key = (server.identity, server.addresses, length)
        if key not in self._lines:
            observe = partial(self._kept.observe, server.identity)
            dial = self._sender.dialler(server, length)
            self._lines[key] = Line(server.nickname, self._clock, self._random, dial, observe, self)
        return self._lines[key]

    def _unready(self, failure: Failure) -> None:
        """Nothing leaves at this point, or only cover: no directory, no path, or no disk."""
        error: Any = failure.value
        if isinstance(error, CancelledError):
            return
        if isinstance(error, MixminionError):
            log.warn("Nothing could be got ready to leave ({code}).", code=error.code)
        else:
            log.error("Nothing could be got ready to leave: {report}", report=faults.report(error))

    def _kept_after_all(self, failure: Failure, ids: Sequence[int]) -> None:
        """It left, and could not be deleted here: it leaves again as it is."""
        self._taken.difference_update(ids)
        error = failure.value
        self._fail(ids, error if isinstance(error, MixminionError) else failure)

    def _gone(self, _deleted: int, ids: Sequence[int]) -> None:
        self._taken.difference_update(ids)
        for id in ids:
            for done in self._observers.pop(id, ()):
                done.callback(None)

    def _fail(self, ids: Sequence[int], error: BaseException | Failure) -> None:
        failure = error if isinstance(error, Failure) else Failure(error)
        for id in ids:
            for done in self._observers.pop(id, ()):
                done.errback(failure)
