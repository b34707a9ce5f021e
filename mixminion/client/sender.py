"""Sending: build, keep, hand over; and again what was kept before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from mixminion.client import crossing, packets
from mixminion.client.database import Executor
from mixminion.client.directory import Directory
from mixminion.client.entries import Dial, Entry
from mixminion.client.errors import NotHandedOver
from mixminion.client.kept_entries import KeptEntries
from mixminion.client.large import InFragments
from mixminion.client.outbox import Outbox, Waiting
from mixminion.client.packets import Built, Letter
from mixminion.client.progress import Kept, PathChosen, Progress, Sent, Warned, silent
from mixminion.client.rebuilding import Rebuilding
from mixminion.client.withdrawing import Cancelled
from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.errors import MixminionError
from mixminion.interfaces import Clock, Random
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import Link, LinkUser, connect
from mixminion.net.tls import client_tls
from mixminion.paths import deviations
from mixminion.payload.errors import TooLarge
from mixminion.util.hostport import HostPort


@dataclass(frozen=True, slots=True)
class Flushed:
    """What became of the packets that were kept: ids handed over, and reasons by id of those
    that still are kept."""

    handed: tuple[int, ...]
    kept: dict[int, MixminionError]


class Scheduled(Protocol):
    """Who has packets leave at times of its own."""

    def hand_over(self, id: int) -> Deferred[None]:
        """Fires when the kept packet has left, and is on its entry's disk."""

    def withdrawn(self, ids: Sequence[int]) -> None:
        """These were called back."""


class Sender:
    """One sender's packets, over links that it keeps while it runs."""

    def __init__(
        self,
        directory: Directory,
        outbox: Outbox,
        clock: Clock,
        random: Random,
        dial: Callable[[HostPort], IStreamClientEndpoint],
        executor: Executor,
        default_path: str,
        kept: KeptEntries,
    ) -> None:
        """*executor* does what takes long; *default_path* is the configuration's, told of where it
        is not as usual; *kept* are the entries that packets go to."""
        self._directory = directory
        self._outbox = outbox
        self._clock = clock
        self._random = random
        self._dial = dial
        self._default_path = default_path
        self._kept = kept
        self._closed = False
        self._rebuilding = Rebuilding(outbox, kept, clock, random)
        self._in_fragments = InFragments(outbox, clock, random, self.hand_over, executor, kept)
        self._entries: dict[tuple[bytes, tuple[HostPort, ...], int], Entry] = {}
        self.schedule: Scheduled | None = None
        """While it is there, packets leave when it says so, and by its links."""

    async def send(
        self,
        letter: Letter,
        progress: Progress = silent,
        *,
        copies: int = 1,
        large: bool = False,
        hand_over: bool = True,
    ) -> Sent:
        """Send one message; returns when all its entries have it on disk, or without *hand_over*
        when it is kept.  With more than one of *copies* several packets take it, by different
        paths; *large* allows more packets than messages of this network are meant to take.

        :raises NotHandedOver: they have not, but the message is kept.
        :raises MixminionError: anything else: nothing was sent or kept.
        """
        view = await self._directory.view(progress)
        now = self._clock.seconds()
        if letter.path and letter.path == self._default_path:
            for warning in deviations.of_configured(letter.path, view.parameters.hops):
                progress(Warned(warning))
        for warning in deviations.of_lists(self._kept.lists, view):
            progress(Warned(warning))
        if copies == 1:
            with suppress(TooLarge):
                preferences = await self._kept.preferences(view)
                built = packets.make(view, letter, now, self._random, preferences)
                return await self._send_packet(view, built, now, progress, hand_over)
        return await self._in_fragments.send(
            view, letter, copies, large, progress, hand_over=hand_over
        )

    async def hand_over_large(
        self,
        view: View,
        id: int,
        servers: Sequence[Server],
        packets: int,
        progress: Progress,
        *,
        hand_over: bool,
    ) -> Sent:
        """The rest of :meth:`send` for a message of so many *packets* that is kept in full, of
        which *servers* are one path."""
        return await self._in_fragments.hand_over(
            view, id, servers, packets, progress, hand_over=hand_over
        )

    async def _send_packet(
        self, view: View, built: Built, now: float, progress: Progress, hand_over: bool
    ) -> Sent:
        progress(PathChosen(built.path, built.warnings))
        id = await self._outbox.add(built.packet, now)
        progress(Kept(id))
        if hand_over and (other := await self._give(view, built.path[0], id)) is not None:
            first, built = built.path[0], other
            progress(Warned(deviations.of_silent_entry(first, built.path[0])))
        delay = len(built.path) * view.parameters.mean_delay
        sent = Sent(
            id,
            built.path[0].nickname,
            tuple(server.nickname for server in built.path),
            delay,
            self._clock.seconds() + delay,
            handed=hand_over,
        )
        if hand_over:
            progress(sent)
        return sent

    async def flush(self, ids: Iterable[int] = (), progress: Progress = silent) -> Flushed:
        """Hand over what is kept, or of that only *ids*, packets or messages in fragments."""
        wanted = set(ids)
        waiting = [
            each
            for each in await self._outbox.waiting()
            if not each.carried and (not wanted or wanted & {each.id, each.part_of})
        ]
        unbuilt = [
            each.id for each in await self._outbox.unbuilt() if not wanted or each.id in wanted
        ]
        if not waiting and not unbuilt:
            return Flushed((), {})
        view = await self._directory.view(progress)
        attempts = {
            each.id: Deferred.fromCoroutine(self._hand_over_again(view, each)) for each in waiting
        }
        handed: list[int] = []
        kept: dict[int, MixminionError] = {}
        for id, attempt in attempts.items():
            try:
                await attempt
                handed.append(id)
            except MixminionError as error:
                kept[id] = error
        for id in unbuilt:
            try:
                async for made, failed in self._in_fragments.go_on(view, id):
                    handed += made
                    kept |= failed
            except MixminionError as error:
                kept[id] = error
        return Flushed(tuple(handed), kept)

    async def build(self, ids: Collection[int]) -> None:
        """Make packets of the blocks that are kept, or of those of the messages *ids* only; and
        those again that missed their key period."""
        kept, unbuilt = await self._outbox.waiting(), await self._outbox.unbuilt()
        if not kept and not unbuilt:
            return
        view = await self._directory.view()
        for each in kept:
            if not ids or not {each.id, each.part_of}.isdisjoint(ids):
                await self.current(view, each)
        for message in unbuilt:
            if not ids or message.id in ids:
                async for _ in self._in_fragments.build(view, message.id):
                    pass

    async def expired(self) -> list[Waiting]:
        """Packets of the outbox that no mix takes any more."""
        view = await self._directory.view()
        now = self._clock.seconds()
        return [
            each
            for each in await self._outbox.waiting()
            if each.handed and not packets.accepted(view, each.period, now)
        ]

    def hand_over(self, view: View, server: Server, id: int) -> Deferred[None]:
        """Give *server*, or another entry that stands in for it, the kept packet *id*; fires when
        it is on the disk there.

        :raises NotHandedOver: after the last attempt (as failure).
        """
        return Deferred.fromCoroutine(self._give(view, server, id)).addCallback(lambda _: None)

    async def cancel(self, id: int) -> Cancelled:
        """Delete what has not left of a packet or a message in fragments.

        :raises AlreadyHandedOver: nothing of it is here that has not.
        """
        withdrawal = await self._outbox.withdraw(id)
        self._in_fragments.withdrawn(id)
        for entry in list(self._entries.values()):
            entry.withdrawn(withdrawal.ids)
        if self.schedule is not None:
            self.schedule.withdrawn(withdrawal.ids)
        return withdrawal.cancelled

    async def close(self) -> None:
        """End all links."""
        self._closed = True
        for entry in self._entries.values():
            await entry.close()

    async def _hand_over_again(self, view: View, waiting: Waiting) -> None:
        server = await self.current(view, waiting)
        if server is None:
            raise NotHandedOver(
                entry="its entry", why="the directory does not list that server any more"
            )
        if waiting.handed and not packets.accepted(view, waiting.period, self._clock.seconds()):
            raise NotHandedOver(entry=server.nickname, why="its keys have gone")
        await self._give(view, server, waiting.id)

    async def build_block(self, view: View, id: int) -> None:
        """Make packets of one more block of the message in fragments of that number."""
        building = self._in_fragments.build(view, id)
        async for _ in building:  # anext() with a default loses what it waits for (Python 3.11)
            break
        await building.aclose()

    async def current(
        self, view: View, waiting: Waiting, avoiding: Collection[bytes] = ()
    ) -> Server | None:
        """Who takes a packet, which is built again where it was never handed over and missed its
        period, lost its entry, or has one of those in *avoiding*; None for one whose entry is not
        listed any more."""
        server = view.by_identity(waiting.entry)
        now = self._clock.seconds()
        period = view.current_period(now)
        anew = server is None or waiting.period != period or waiting.entry in avoiding
        if not waiting.handed and (anew or waiting.answers):
            recipe = await self._outbox.recipe(waiting.id)
            if recipe is not None:
                if recipe.block is not None:
                    crossing.check(view, recipe.block, now)
                if anew:
                    built = await self._rebuilding.again(view, recipe, avoiding)
                    if await self._outbox.replace(waiting.id, built.packet):
                        return built.path[0]
        return server

    async def _give(self, view: View, server: Server, id: int) -> Built | None:
        """Hand a packet over to *server*; where that takes nothing, and nobody may have the packet,
        one by another entry, which is returned then.  A schedule does that by itself."""
        if self.schedule is not None:
            await self.schedule.hand_over(id)
            return None
        try:
            await self._entry(view, server).hand_over(id)
            return None
        except NotHandedOver:
            if self._closed:
                raise
            built = await self._rebuilding.by_another(view, id, server)
            if built is None or self._closed:
                raise
        await self._entry(view, built.path[0]).hand_over(id)
        return built

    def _entry(self, view: View, server: Server) -> Entry:
        """Who takes packets for *server* where the directory says it is now."""
        packet_length = view.packet_length
        key = (server.identity, server.addresses, packet_length)
        if key not in self._entries:
            dial = self.dialler(server, packet_length)
            observe = partial(self._kept.observe, server.identity)
            self._entries[key] = Entry(self._clock, self._outbox, server.nickname, dial, observe)
        return self._entries[key]

    def dialler(self, server: Server, packet_length: int) -> Dial:
        """Dials the server's addresses in turn."""
        addresses = itertools.cycle(server.addresses)
        tls = client_tls(server.identity, None, [ALPN], self._clock)

        def dial(user: LinkUser) -> Deferred[Link]:
            endpoint = self._dial(next(addresses))
            return connect(self._clock, endpoint, tls, packet_length, user)

        return dial
