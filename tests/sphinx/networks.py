"""Nodes and paths for tests of the packet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mixminion.crypto.rng import SeededRandom
from mixminion.sphinx import geometry, suites
from mixminion.sphinx.build import Hop
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.unwrap import Answer, Relay, Unwrapper

SMALL_XWING = Geometry(suites.XWING, 3, 82, 10240)
SMALL_X25519 = Geometry(suites.X25519, 3, 96, 1024)
SMALL = (SMALL_XWING, SMALL_X25519)
DEFAULT = (geometry.default("xwing"), geometry.default("x25519"))


@dataclass
class Nodes:
    """As many nodes as asked for, and a generator that repeats itself."""

    geometry: Geometry
    random: SeededRandom = field(default_factory=lambda: SeededRandom(b"nodes"))
    unwrappers: dict[bytes, Unwrapper] = field(default_factory=dict)

    def path(self, n: int) -> list[Hop]:
        """A path over *n* new nodes."""
        path = []
        for i in range(n):
            node_id, private = self.random.octets(32), self.random.octets(32)
            self.unwrappers[node_id] = Unwrapper(self.geometry, node_id, private)
            path.append(Hop(node_id, self.geometry.suite.public(private), 1000 * i))
        return path

    def walk(self, node_id: bytes, packet: bytes) -> Iterator[Answer]:
        """The answers on a packet's way from the node *node_id*."""
        while True:
            answer = self.unwrappers[node_id].unwrap(packet)
            yield answer
            if not isinstance(answer, Relay):
                return
            node_id, packet = answer.next, answer.packet
