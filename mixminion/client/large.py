"""Sending a message in fragments: kept first, then built and handed over a block at a time.

Whenever it ends, what is kept goes on: blocks that were not built, packets that were not handed
over.  No more than a block is in memory besides the message that is being kept.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from twisted.internet.defer import Deferred

from mixminion.client import packets, splitting
from mixminion.client.database import Executor
from mixminion.client.errors import (
    MessageTooLarge,
    NotHandedOver,
    PartlyHandedOver,
    Withdrawn,
)
from mixminion.client.kept_entries import KeptEntries
from mixminion.client.outbox import Large, Outbox
from mixminion.client.packets import Letter
from mixminion.client.progress import HandedOver, Kept, PathChosen, Progress, Sent
from mixminion.client.progress import InFragments as Told
from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.errors import MixminionError
from mixminion.interfaces import Clock, Random

SLOWER = 1.25
"""Three of four packets have arrived after so many times the mean delay of a path of 4."""

MBIT = 1_000_000 / 8

Result = tuple[list[int], dict[int, MixminionError]]
"""Packets handed over, and why others were not."""


class InFragments:
    """*give* hands a packet over to its entry; *executor* compresses."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        random: Random,
        give: Callable[[View, Server, int], Deferred[None]],
        executor: Executor,
        kept: KeptEntries,
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._random = random
        self._give = give
        self._executor = executor
        self._kept = kept
        self._withdrawn: set[int] = set()

    def withdrawn(self, id: int) -> None:
        """A message was called back; the outbox has let it go."""
        self._withdrawn.add(id)

    async def send(
        self,
        view: View,
        letter: Letter,
        copies: int,
        large: bool,
        progress: Progress,
        *,
        hand_over: bool = True,
    ) -> Sent:
        """See :meth:`mixminion.client.sender.Sender.send`."""
        piece = packets.piece_length(view)
        cut = letter.exit, letter.recipients, letter.parts, piece, copies, self._random
        split = await self._executor.run(splitting.split, *cut)
        if split.packets > view.parameters.fragments and not large:
            raise too_large(view, letter.size, split.packets)
        now = self._clock.seconds()
        preferences = await self._kept.preferences(view)
        choice = packets.destination(view, letter, now, self._random, preferences)
        progress(PathChosen(choice.path, choice.warnings))
        progress(Told(split.packets, split.needed))
        kept = Large(split.whole, copies, letter.exit, choice.path[-1].identity, letter.path)
        id = await self._outbox.add_large(kept, split.blocks(), now)
        progress(Kept(id))
        return await self.hand_over(
            view, id, choice.path, split.packets, progress, hand_over=hand_over
        )

    async def hand_over(
        self,
        view: View,
        id: int,
        servers: Sequence[Server],
        packets: int,
        progress: Progress,
        *,
        hand_over: bool,
    ) -> Sent:
        """Go on with a message that is kept in full, of which *servers* are one path; without
        *hand_over* only say so."""
        delay = SLOWER * len(servers) * view.parameters.mean_delay
        path = tuple(server.nickname for server in servers)
        if not hand_over:
            arrival = self._clock.seconds() + delay
            return Sent(id, path[0], path, delay, arrival, packets, handed=False)
        handed, failures = 0, list[MixminionError]()
        async for made, failed in self.go_on(view, id):
            handed += len(made)
            failures += failed.values()
            if packets > 1:
                progress(HandedOver(handed, packets))
        if id in self._withdrawn:
            raise Withdrawn
        if failures:
            raise PartlyHandedOver(
                kept=len(failures), packets=packets, **failures[0].fields
            ) from failures[0]
        arrival = self._clock.seconds() + delay
        sent = Sent(id, path[0], path, delay, arrival, packets)
        progress(sent)
        return sent

    async def go_on(self, view: View, id: int) -> AsyncIterator[Result]:
        """Build and hand over what was not built of a message; what became of each block.

        :raises MixminionError: of :mod:`mixminion.client.packets`: the rest is kept as it is.
        """
        async for ids, entries in self.build(view, id):
            yield await self._hand_over(view, ids, entries)

    async def build(
        self, view: View, id: int
    ) -> AsyncGenerator[tuple[Sequence[int], Sequence[Server]]]:
        """Build what was not built of a message; of each block its packets and their entries.

        :raises MixminionError: of :mod:`mixminion.client.packets`: the rest is kept as it is.
        """
        large = await self._outbox.large(id)
        while large is not None and (block := await self._outbox.next_block(id)) is not None:
            number, octets = block
            built = []
            preferences = await self._kept.preferences(view)
            for part in splitting.fragments_of(large.whole, number, octets, large.copies):
                now = self._clock.seconds()
                whose = part.encode(), id, now, self._random, preferences
                built.append(packets.fragment(view, large, *whose))
                await self._pause()
            entries = [each.path[0] for each in built]
            ids = await self._outbox.built(
                id, number, [each.packet for each in built], self._clock.seconds()
            )
            del built, octets, block
            if ids:
                yield ids, entries

    async def _hand_over(self, view: View, ids: Sequence[int], entries: Sequence[Server]) -> Result:
        attempts = [self._give(view, server, id) for id, server in zip(ids, entries, strict=True)]
        handed, failed = list[int](), dict[int, MixminionError]()
        for id, attempt in zip(ids, attempts, strict=True):
            try:
                await attempt
                handed.append(id)
            except (NotHandedOver, Withdrawn) as error:
                failed[id] = error
        return handed, failed

    def _pause(self) -> Deferred[None]:
        """A turn for others: a packet takes some milliseconds."""
        turn: Deferred[None] = Deferred()
        self._clock.callLater(0, turn.callback, None)
        return turn


def too_large(view: View, size: int, packets: int) -> MessageTooLarge:
    """What is told of *size* octets that take more packets than messages are meant to."""
    octets = packets * view.packet_length
    return MessageTooLarge(
        size=size,
        packets=packets,
        limit=view.parameters.fragments,
        sent=max(1, round(octets / 1e6)),
        minutes=max(1, round(octets / MBIT / 60)),
    )
