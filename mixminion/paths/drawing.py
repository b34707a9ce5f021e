"""Drawing a path: every one that keeps to the rules is equally likely."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from mixminion.directory.consensus import Server
from mixminion.interfaces import Random
from mixminion.paths.constraints import Breach, Rule, breaches

_DRAWS = 1000
"""Random paths looked at before a search: enough wherever one in a hundred keeps the rules."""
_STEPS = 20_000
"""Servers a search looks at before it gives up."""
_TRIES = 20
"""Servers drawn from a pool before it is looked through."""

Bears = Callable[[Breach], bool]


class Pool:
    """Servers for one hop: those of *servers* that *fits* takes.

    With thousands of them it is quicker to draw until one fits than to ask each.
    """

    def __init__(
        self, servers: Sequence[Server], fits: Callable[[Server], bool] | None = None
    ) -> None:
        self._servers = servers
        self._fits = fits
        self._all: Sequence[Server] | None = servers if fits is None else None

    @property
    def all(self) -> Sequence[Server]:
        """Each of them."""
        if self._all is None:
            assert self._fits is not None
            self._all = [server for server in self._servers if self._fits(server)]
        return self._all

    def has(self, n: int) -> bool:
        """Whether there are *n* of them."""
        if self._all is None and self._fits is not None:
            return sum(1 for _ in islice(filter(self._fits, self._servers), n)) == n
        return len(self.all) >= n

    def draw(self, random: Random) -> Server | None:
        """One of them, each as likely; None when there is none."""
        if self._all is None and self._fits is not None and self._servers:
            for _ in range(_TRIES):
                server = self._servers[random.below(len(self._servers))]
                if self._fits(server):
                    return server
        return self.all[random.below(len(self.all))] if self.all else None


@dataclass(frozen=True, slots=True)
class Slot:
    """A hop of a path to be made: who may stand there, and whether somebody asked for them."""

    pool: Pool
    asked: bool = False

    @property
    def choice(self) -> bool:
        """Whether it was written as one of several."""
        return self.asked and len(self.pool.all) > 1


@dataclass(frozen=True, slots=True)
class Draft:
    """What a path is made of; a hop that is None is any of the pool *others*."""

    slots: Sequence[Slot | None]
    others: Pool
    random: Random

    def borne(self, breach: Breach) -> bool:
        """Whether somebody asked for it: all the hops that break the rule were named."""
        slots = [self.slots[hop] for hop in breach.hops]
        return all(slot is not None and slot.asked and not slot.choice for slot in slots)

    def borne_in_a_choice(self, breach: Breach) -> bool:
        """The same where each was named, or one of several that were."""
        slots = [self.slots[hop] for hop in breach.hops]
        return all(slot is not None and slot.asked for slot in slots)

    def borne_in_a_small_network(self, breach: Breach) -> bool:
        """Whether the rule may be broken where no path can keep them all."""
        ends = (0, len(self.slots) - 1)
        return (
            self.borne_in_a_choice(breach)
            or breach.rule is Rule.JURISDICTION
            or (breach.rule not in (Rule.LINK, Rule.ENTRY) and breach.hops != ends)
        )

    def path(self, bears: Bears) -> tuple[Server, ...] | None:
        """A path that breaks no rules but those that *bears* takes; None when none was found."""
        return self._draw(bears) or self._search(bears)

    def _draw(self, bears: Bears) -> tuple[Server, ...] | None:
        """Draw paths of different servers until one keeps the rules: uniform among those."""
        for _ in range(_DRAWS):
            path = self._any()
            if path is not None and all(bears(breach) for breach in breaches(path)):
                return path
        return None

    def _any(self) -> tuple[Server, ...] | None:
        """A path of different servers, whatever the rules; None when one came twice.

        What is drawn again here has as many possibilities whatever was drawn before it, so that
        all paths are equally likely; of a choice that is not sure, and all is drawn again.
        """
        hops: list[Server | None] = []
        chosen, taken = set[Server](), set[Server]()
        for slot in self.slots:
            server = None if slot is None else slot.pool.draw(self.random)
            if slot is not None:
                if server is None or server in taken:
                    return None
                taken.add(server)
                if slot.choice:
                    chosen.add(server)
            hops.append(server)
        path = []
        for hop in hops:
            server = hop
            while server is None or (hop is None and server in taken):
                server = self.others.draw(self.random)
                if server is None or server in chosen:
                    return None
            taken.add(server)
            path.append(server)
        return tuple(path)

    def _search(self, bears: Bears) -> tuple[Server, ...] | None:
        """Look for a path from the exit backwards, in random order: where few keep the rules."""
        steps = 0

        def extend(tail: tuple[Server, ...]) -> tuple[Server, ...] | None:
            nonlocal steps
            hop = len(self.slots) - 1 - len(tail)
            if hop < 0:
                return tail if all(bears(breach) for breach in breaches(tail)) else None
            slot = self.slots[hop]
            candidates = list((self.others if slot is None else slot.pool).all)
            self.random.shuffle(candidates)
            for server in candidates:
                steps += 1
                if steps > _STEPS:
                    return None
                longer = (server, *tail)
                if server not in tail and (found := keeps(longer, hop) and extend(longer)):
                    return found
            return None

        def keeps(tail: tuple[Server, ...], first: int) -> bool:
            return all(
                bears(Breach(each.rule, tuple(first + i for i in each.hops)))
                for each in breaches(tail)
                if each.rule not in (Rule.ENTRY, Rule.JURISDICTION)  # of whole paths
            )

        return extend(())
