"""Receipts leave a mix as packets of its own: over a path of full length, to a crossover that joins
them to a reply block.

Nobody but that crossover learns more of them than of any packet, and it learns no more than of any
reply.  As many leave as packets came that asked for one, and no more than :data:`RATE` in the long
run: whoever wants to have much traffic made must send as much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zope.interface import implementer

from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.errors import MixminionError
from mixminion.interfaces import Clock, Departure, IReceiptSender, Random
from mixminion.mix.pool import Pool
from mixminion.mixing.delays import truncated_exponential
from mixminion.paths.constraints import links
from mixminion.paths.select import Choice, choose
from mixminion.payload import reply
from mixminion.sphinx import build
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.errors import BadSurb
from mixminion.sphinx.surb import Surb

RATE = 0.5
"""Receipts a second, in the long run."""
MOST = 900.0
"""Receipts at once, after half an hour without any."""

_DRAWS = 100
"""Paths looked at for one that neither this server nor the reply block's first one is part of."""


@implementer(IReceiptSender)
class Receipts:
    """Those of the server *node_id* in the network that *view* shows."""

    def __init__(
        self,
        node_id: bytes,
        view: Callable[[], View],
        pool: Pool,
        clock: Clock,
        random: Random,
    ) -> None:
        self._node_id = node_id
        self._view = view
        self._pool = pool
        self._clock = clock
        self._random = random
        self._left = MOST
        self._counted = clock.seconds()

    def make(self, blocks: Sequence[bytes], content: bytes) -> Departure | None:
        """See :class:`IReceiptSender`."""
        if not self._may():
            return None
        view, now = self._view(), self._clock.seconds()
        for octets in blocks:
            try:
                made = self._made(view, octets, content, now)
            except MixminionError:  # no path, no keys; or other packets
                continue
            if made is not None:
                self._left -= 1
                return made
        return None

    def depart(self, record_id: int, departure: Departure) -> None:
        """See :class:`IReceiptSender`."""
        wait = max(0.0, departure.due - self._clock.seconds())
        self._pool.add(record_id, departure.destination, departure.due, wait)

    def _may(self) -> bool:
        now = self._clock.seconds()
        passed, self._counted = max(0.0, now - self._counted), now
        self._left = min(MOST, self._left + passed * RATE)
        return self._left >= 1

    def _made(self, view: View, octets: bytes, content: bytes, now: float) -> Departure | None:
        geometry = geometries.of(view.geometry_of(view.current_period(now)))
        try:
            block = Surb.decode(geometry, octets)
        except BadSurb:
            return None
        parameters = view.parameters
        first = view.by_node(block.first_hop)
        if first is None or not block.usable(now, parameters.delay_cap):
            return None
        choice = self._choice(view, first, now)
        if choice is None:
            return None
        body = reply.to_body(geometry, block, content, self._random)
        hops = [
            build.Hop(
                server.node_id, view.packet_key(server.identity, choice.period), self._delay()
            )
            for server in choice.path
        ]
        packet = build.crossover(geometry, hops, body, self._random)
        return Departure(choice.path[0].node_id, packet, now + self._delay() / 1000)

    def _delay(self) -> int:
        parameters = self._view().parameters
        return truncated_exponential(
            self._random, parameters.mean_delay_ms, parameters.delay_cap_ms
        )

    def _choice(self, view: View, first: Server, now: float) -> Choice | None:
        """A path of full length that begins at another server than this one, goes on from its
        last server to *first*, and passes here at its other hops only in small networks."""
        passable: Choice | None = None
        for _ in range(_DRAWS):
            choice = choose(view, None, None, now=now, random=self._random)
            nodes = [server.node_id for server in choice.path]
            if nodes[0] == self._node_id or choice.path[-1] == first:
                continue
            if self._node_id not in nodes and links(choice.path[-1], first):
                return choice
            passable = choice
        return passable
