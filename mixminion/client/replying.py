"""Answering reply blocks: which of them, in how many packets, over which paths.

A reply block is used once.  Which ones were is written in the transaction that keeps the packets,
so that neither a crash nor a second process uses one again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from twisted.internet.defer import Deferred

from mixminion.client import crossing, large, splitting
from mixminion.client.database import Executor
from mixminion.client.directory import Directory
from mixminion.client.errors import NotHandedOver, PartlyHandedOver
from mixminion.client.kept_entries import KeptEntries
from mixminion.client.outbox import Outbox
from mixminion.client.packets import Built, geometry_at
from mixminion.client.progress import (
    BlockPassedOver,
    BlocksUsed,
    InFragments,
    Kept,
    PathChosen,
    Progress,
    Sent,
    Warned,
)
from mixminion.client.reply_errors import BlockTaken, NoUsableBlock, TooFewBlocks
from mixminion.client.sender import Sender
from mixminion.directory.view import View
from mixminion.interfaces import Clock, Random
from mixminion.paths import deviations
from mixminion.payload import fragments, reply
from mixminion.payload.frame import Frame, Kind
from mixminion.sphinx.errors import BadSurb
from mixminion.sphinx.surb import Surb
from mixminion.util import times


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said, and how it is to travel."""

    content: bytes
    path: str  #: in path language; empty for the network's usual length
    usual: bool = False  #: whether the path is the configuration's
    again: bool = False  #: whether blocks that were used may be used once more
    large: bool = False  #: whether it may take more packets than messages are meant to
    hand_over: bool = True  #: or only kept


class Replying:
    """Answers of one sender."""

    def __init__(
        self,
        directory: Directory,
        outbox: Outbox,
        sender: Sender,
        clock: Clock,
        random: Random,
        executor: Executor,
        kept: KeptEntries,
    ) -> None:
        """*executor* compresses; *kept* are the entries that packets go to."""
        self._directory = directory
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._random = random
        self._executor = executor
        self._kept = kept

    async def reply(self, blocks: Sequence[bytes], answer: Answer, progress: Progress) -> Sent:
        """Answer with as many of *blocks* as it takes; returns when all entries have their packets
        on disk.

        :raises NotHandedOver: they have not, but the answer is kept.
        :raises MixminionError: anything else: nothing was sent or kept, and no block used.
        """
        view = await self._directory.view(progress)
        now = self._clock.seconds()
        if answer.usual:
            for warning in deviations.of_configured(answer.path, view.parameters.hops):
                progress(Warned(warning))
        usable = await self._usable(view, blocks, now, answer.again, progress)
        inside, needed = await self._cut(view, answer, len(usable))
        preferences = await self._kept.preferences(view)
        built = list[Built]()
        for part, block in zip(inside, usable, strict=False):
            moment = self._clock.seconds()
            how = answer.path, moment, self._random, preferences
            built.append(crossing.make(view, block, part, *how))
            await self._pause()
        digests = {
            crossing.digest(block): min(block.not_after, times.LAST)
            for block in usable[: len(built)]
        }
        ids = await self._outbox.add_replies(
            [each.packet for each in built], digests, self._clock.seconds(), again=answer.again
        )
        if not ids:
            raise BlockTaken
        progress(PathChosen(built[0].path, built[0].warnings))
        if len(ids) > 1:
            progress(InFragments(len(ids), needed))
        progress(BlocksUsed(len(ids), len(usable) - len(ids)))
        progress(Kept(ids[0]))
        sent = self._sent(view, ids, built)
        if not answer.hand_over:
            return replace(sent, handed=False)
        await self._hand_over(view, ids, built)
        progress(sent)
        return sent

    # -- before it is kept -------------------------------------------------------------------

    async def _usable(
        self, view: View, blocks: Sequence[bytes], now: float, again: bool, progress: Progress
    ) -> list[Surb]:
        """The blocks that can be used now, in their order."""
        read = [(number, _read(view, octets)) for number, octets in enumerate(blocks, 1)]
        known = [crossing.digest(block) for _, block in read if isinstance(block, Surb)]
        used = set[bytes]() if again else await self._outbox.used_blocks(known)
        found: dict[bytes, Surb] = {}
        reasons = dict[str, None]()
        for number, block in read:
            if isinstance(block, str):
                why: str | None = block
            elif (digest := crossing.digest(block)) in used:
                why = "it was used before"
            elif digest in found:
                why = "it is there twice"
            else:
                why = crossing.not_now(view, block, now)
                if why is None:
                    found[digest] = block
                    continue
            reasons[why or ""] = None
            early = isinstance(block, Surb) and now < block.not_before
            progress(BlockPassedOver(number, why or "", early))
        if not found:
            raise NoUsableBlock(count=len(blocks), why="; ".join(reasons) or "there is none")
        return list(found.values())

    async def _cut(self, view: View, answer: Answer, usable: int) -> tuple[list[Frame], int]:
        """What goes into each sealed reply, in at most as many as blocks are *usable*, and how
        many of them are enough."""
        geometry = geometry_at(view, self._clock.seconds())
        single = await self._executor.run(reply.single, geometry, answer.content)
        if single is not None:
            return [single], 1
        size, limit = len(answer.content), reply.capacity(geometry)
        piece = reply.piece_length(geometry)
        if piece < fragments.LEAST_PIECE:
            raise TooFewBlocks(size=size, needed=-(-size // limit), usable=1, limit=limit)
        split = await self._executor.run(splitting.cut, [answer.content], piece, 1, self._random)
        most = view.parameters.fragments
        if split.needed > most and not answer.large:
            raise large.too_large(view, size, split.needed)
        if split.needed > usable:
            raise TooFewBlocks(size=size, needed=split.needed, usable=usable, limit=limit)
        numbers = reply.allot(split.whole, usable if answer.large else min(usable, most))
        parts = [
            Frame(Kind.FRAGMENT, part.encode())
            for block, octets in enumerate(split.blocks())
            for part in fragments.pieces(split.whole, block, octets, numbers[block])
        ]
        return parts, split.needed

    def _pause(self) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        self._clock.callLater(0, turn.callback, None)
        return turn

    # -- once it is kept ---------------------------------------------------------------------

    async def _hand_over(self, view: View, ids: Sequence[int], built: Sequence[Built]) -> None:
        attempts = [
            self._sender.hand_over(view, each.path[0], id)
            for id, each in zip(ids, built, strict=True)
        ]
        failures = []
        for attempt in attempts:
            try:
                await attempt
            except NotHandedOver as error:
                failures.append(error)
        if failures and len(ids) == 1:
            raise failures[0]
        if failures:
            raise PartlyHandedOver(
                kept=len(failures), packets=len(ids), **failures[0].fields
            ) from failures[0]

    def _sent(self, view: View, ids: Sequence[int], built: Sequence[Built]) -> Sent:
        first = built[0].path
        way = len(first) + view.parameters.hops  # there, and back over the path of the block
        delay = way * view.parameters.mean_delay
        path = tuple(server.nickname for server in first)
        return Sent(ids[0], path[0], path, delay, self._clock.seconds() + delay, len(ids))


def _read(view: View, octets: bytes) -> Surb | str:
    """A reply block, or why it is none of this network."""
    try:
        return crossing.read(view, octets)
    except BadSurb as error:
        return str(error.fields["problem"])
