"""Building again what was never handed over: for another key period, or another entry."""

from __future__ import annotations

from collections.abc import Collection

from mixminion.client import crossing, packets
from mixminion.client.errors import NotHandedOver
from mixminion.client.kept_entries import KeptEntries
from mixminion.client.outbox import Outbox, Recipe
from mixminion.client.packets import Built, Letter
from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.errors import MixminionError
from mixminion.interfaces import Clock, Random


class Rebuilding:
    """Of one outbox; packets begin at *kept* entries."""

    def __init__(self, outbox: Outbox, kept: KeptEntries, clock: Clock, random: Random) -> None:
        self._outbox = outbox
        self._kept = kept
        self._clock = clock
        self._random = random

    async def again(self, view: View, recipe: Recipe, avoiding: Collection[bytes] = ()) -> Built:
        """Another packet for *recipe*, to be handed over now, at another entry than those.

        :raises MixminionError: it cannot be built any more.
        """
        now = self._clock.seconds()
        preferences = await self._kept.preferences(view, avoiding)
        if recipe.block is not None:
            return crossing.again(view, recipe, now, self._random, preferences)
        if recipe.part_of is None:
            letter = Letter.again(recipe.message, recipe.path)
            return packets.make(view, letter, now, self._random, preferences)
        large = await self._outbox.large(recipe.part_of)
        if large is None:
            raise NotHandedOver(entry="its entry", why="its message is not kept any more")
        part = recipe.message, recipe.part_of
        return packets.fragment(view, large, *part, now, self._random, preferences)

    async def by_another(self, view: View, id: int, silent: Server) -> Built | None:
        """Put a packet for another entry in the place of one that *silent* did not take; None where
        there is no other one, or somebody may have that packet."""
        recipe = await self._outbox.recipe(id)
        if recipe is None:
            return None
        try:
            built = await self.again(view, recipe, [silent.identity])
        except MixminionError:
            return None
        if built.path[0] == silent or not await self._outbox.replace(id, built.packet):
            return None
        return built
