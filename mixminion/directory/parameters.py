"""The network's parameters: every server and client takes them from the consensus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from mixminion.crypto import kdf
from mixminion.directory.documents import Count, Digest, Part, Positive, Word

Delay = Annotated[int, Meta(ge=1, le=2**32 - 1)]
"""Milliseconds that a packet can ask for: a slot has four octets for them."""


class Parameters(Part, frozen=True, kw_only=True, omit_defaults=False):
    """Network parameters.  Durations are seconds unless a name ends in ``_ms``.

    Every one is written out in a consensus; one that is missing there has its default.
    """

    mean_delay_ms: Delay = 240_000  #: of the exponential delays that senders draw
    delay_cap_ms: Delay = 2_400_000  #: at which those are truncated; mixes drop beyond it
    tick_ms: Positive = 100  #: packets due in one tick leave shuffled
    strategy: Word = "poisson"  #: how mixes hold packets (mixminion.mixing.strategies)
    pool_interval: Annotated[int, Meta(ge=1, le=604_800)] = 900  #: between a pool's rounds
    pool_minimum: Count = 45  #: packets that always stay in a pool
    pool_percent: Annotated[int, Meta(ge=1, le=100)] = 65  #: of a pool, which leave at a round
    hops: Annotated[int, Meta(ge=1, le=32)] = 4  #: the usual length of a path, the exit included
    consensus_interval: Positive = 3_600
    consensus_fresh: Positive = 3_600  #: from valid-after to fresh-until
    consensus_valid: Positive = 10_800  #: from valid-after to valid-until
    key_period: Positive = 604_800
    peer_queue_expiry: Positive = 86_400  #: how long a mix keeps trying a dead neighbour
    mmtp_window: Annotated[int, Meta(ge=1, le=65_535)] = 256  #: unacknowledged frames of a link
    fragments: Positive = 40  #: of one message
    mix_loops_per_hour: Count = 75  #: loops of each mix: 20 mu / hops, mu = 1 / mean delay

    @classmethod
    def default(cls) -> Self:
        """A real network."""
        return cls()

    @classmethod
    def local_demo(cls) -> Self:
        """A network on one machine: half a second a hop, a hand-signed consensus for a week."""
        week = 604_800
        return cls(
            mean_delay_ms=500,
            delay_cap_ms=5_000,
            tick_ms=50,
            consensus_interval=week,
            consensus_fresh=week,
            consensus_valid=week,
            mix_loops_per_hour=0,
        )

    @property
    def mean_delay(self) -> float:
        """Seconds."""
        return self.mean_delay_ms / 1000

    @property
    def delay_cap(self) -> float:
        """Seconds."""
        return self.delay_cap_ms / 1000

    @property
    def tick(self) -> float:
        """Seconds."""
        return self.tick_ms / 1000

    @property
    def key_grace(self) -> float:
        """How many seconds a packet key is accepted after its period: what a packet made in
        the period's last moment may spend on its way."""
        return self.peer_queue_expiry + 2 * self.hops * self.delay_cap


class Suite(msgspec.Struct, frozen=True):
    """What the directory needs to know of a packet suite."""

    string: bytes  #: 16 octets
    key_length: int  #: octets of a public packet key
    element: int  #: octets in front of the routing
    carried: int  #: octets of the next element, in a slot


SUITES = {
    "xwing": Suite(b"mixminion2-xwing", 1216, 1120, 1120),
    "x25519": Suite(b"mixminion2-25519", 32, 32, 0),
}
LONGEST = 2**20  #: octets of a packet, whoever signs that they are more
_RELAY = 70  # octets of a relay slot's commands
_AROUND_SEALED = 104  # of a crossover packet's payload, besides a header and the sealed reply
_LEAST_SEALED = 40


class PacketGeometry(Part, frozen=True, kw_only=True, omit_defaults=False):
    """The sizes of all packets of a key period; ``digest`` is that of :func:`geometry_digest`."""

    suite: Word
    hops: Annotated[int, Meta(ge=1, le=255)]  #: slots of a header: the longest possible path
    commands: Annotated[int, Meta(ge=1, le=65_535)]  #: octets
    packet: Annotated[int, Meta(ge=1, le=LONGEST)]  #: octets
    digest: Digest

    @classmethod
    def make(
        cls, suite: str = "xwing", hops: int = 4, commands: int = 82, packet: int = 32_768
    ) -> Self:
        """The geometry of those sizes, with its digest."""
        return cls(
            suite=suite,
            hops=hops,
            commands=commands,
            packet=packet,
            digest=geometry_digest(suite, hops, commands, packet),
        )

    def __post_init__(self) -> None:
        suite = SUITES.get(self.suite)
        if suite is None:
            return
        if self.digest != geometry_digest(self.suite, self.hops, self.commands, self.packet):
            raise ValueError("the geometry's digest is not that of its sizes")
        header = 2 + suite.element + self.hops * (self.commands + suite.carried) + 32
        room = self.packet - 2 * header - _AROUND_SEALED
        if self.packet > LONGEST:
            raise ValueError(f"a packet has at most {LONGEST:,} octets")
        if self.commands < _RELAY or room < _LEAST_SEALED:
            raise ValueError("no packet can have these sizes")


def check_packet_length(geometries: Iterable[PacketGeometry]) -> None:
    """ValueError when two have packets of different lengths: links carry frames of one length, so
    a network's packets have the same one in every key period."""
    if len({each.packet for each in geometries}) > 1:
        raise ValueError("the key periods differ in the length of packets")


def geometry_digest(suite: str, hops: int, commands: int, packet: int) -> bytes:
    """SHA-256(suite string | hops 1 | commands 2 | packet 4), integers big-endian."""
    sizes = hops.to_bytes(1, "big") + commands.to_bytes(2, "big") + packet.to_bytes(4, "big")
    return kdf.sha256(SUITES[suite].string + sizes)
