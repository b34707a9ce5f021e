"""All sizes of a network's packets, from four values."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Protocol

from mixminion.crypto.kdf import sha256
from mixminion.sphinx import suites
from mixminion.sphinx.suites import Suite

AD = 2
MAC = 32
TAG = 32  #: the zeros in front of a body
NODE_ID = 32
FRAME = 8  #: the header of a frame (doc/spec/payload.rst)
LONGEST = 2**20  #: octets of a packet
RELAY = 6 + NODE_ID + MAC  #: what a relay slot takes of the commands

_CROSSOVER = TAG + FRAME + NODE_ID + 32  # in front of a reply block's header: id and seed


@dataclass(frozen=True, slots=True)
class Geometry:
    """Suite, longest path, octets of commands in a slot, octets of a packet.

    The rest follows, all in octets: ``slot``, ``routing``, ``header``, ``payload``, ``body``
    (payload without its tag), ``sealed`` (a sealed reply), ``surb``; and ``digest(32)``.
    ValueError for values that no network can have.
    """

    suite: Suite
    hops: int
    commands: int
    packet: int
    slot: int = field(init=False, compare=False, repr=False)
    routing: int = field(init=False, compare=False, repr=False)
    header: int = field(init=False, compare=False, repr=False)
    payload: int = field(init=False, compare=False, repr=False)
    body: int = field(init=False, compare=False, repr=False)
    sealed: int = field(init=False, compare=False, repr=False)
    surb: int = field(init=False, compare=False, repr=False)
    digest: bytes = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not 1 <= self.hops <= 0xFF:
            raise ValueError("a path has 1 to 255 hops")
        if not RELAY <= self.commands <= 0xFFFF:
            raise ValueError(f"commands take {RELAY} to 65,535 octets")
        if self.packet > LONGEST:
            raise ValueError(f"a packet has at most {LONGEST:,} octets")
        slot = self.commands + self.suite.carried
        routing = self.hops * slot
        header = AD + self.suite.element + routing + MAC
        payload = self.packet - header
        sealed = payload - header - _CROSSOVER
        if sealed < TAG + FRAME:
            raise ValueError(f"packets of {self.packet} octets have no room for a sealed reply")
        values = struct.pack(">BHI", self.hops, self.commands, self.packet)
        for name, value in (
            ("slot", slot),
            ("routing", routing),
            ("header", header),
            ("payload", payload),
            ("body", payload - TAG),
            ("sealed", sealed),
            ("surb", 26 + header + NODE_ID + 64),
            ("digest", sha256(self.suite.string + values)),
        ):
            object.__setattr__(self, name, value)


class Sizes(Protocol):
    """A geometry's four values as the directory has them, the suite by its name."""

    @property
    def suite(self) -> str: ...

    @property
    def hops(self) -> int: ...

    @property
    def commands(self) -> int: ...

    @property
    def packet(self) -> int: ...


def of(sizes: Sizes) -> Geometry:
    """The geometry of those values; KeyError for an unknown suite."""
    return Geometry(suites.by_name(sizes.suite), sizes.hops, sizes.commands, sizes.packet)


_DEFAULT_COMMANDS = {"xwing": 82, "x25519": 304}


def default(suite: str = "xwing") -> Geometry:
    """The default geometry of a suite: 4 hops, 32,768 octets; KeyError for an unknown suite."""
    return Geometry(suites.by_name(suite), 4, _DEFAULT_COMMANDS[suite], 32768)
