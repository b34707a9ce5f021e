"""What goes into the store and what comes out."""

from __future__ import annotations

import enum
from dataclasses import dataclass

TAG_LENGTH = 16
DESTINATION_MAX = 480  #: octets; the longest is ``b"exit:"`` and an exit's name


@dataclass(frozen=True, slots=True)
class Pooled:
    """A packet or message held until *due_ms* (Unix milliseconds) for *destination*: a node
    id of 32 octets, or ``b"exit:"`` and the exit's name.  Neither source nor time of arrival."""

    destination: bytes
    due_ms: int
    record: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """What unwrapping made of the incoming packet *incoming*.

    ``tag`` (16 octets) goes into the tags of packet key ``key`` (the number of its key
    period), together with ``pooled`` and the removal of the incoming packet.  Without a
    tag there is nothing to pool: the incoming packet is only removed.
    """

    incoming: int
    key: int | None = None
    tag: bytes | None = None
    pooled: Pooled | None = None


class Refused(enum.Enum):
    """Why a step pooled nothing."""

    REPLAY = "replay"  #: the key has seen this tag
    DROPPED = "dropped"  #: there was nothing to pool
    GONE = "gone"  #: the incoming packet had been dealt with before


Verdict = int | Refused
"""The pooled record's id, 63 random bits, or why there is none."""

REPLAY = Refused.REPLAY
DROPPED = Refused.DROPPED
GONE = Refused.GONE


@dataclass(frozen=True, slots=True)
class Entry:
    """The pool's index: one record that is held."""

    id: int
    due_ms: int
    destination: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """All that a store holds when it is opened."""

    incoming: list[int]  #: ids, in the order they were taken in
    pooled: list[Entry]
    tag_keys: list[int]  #: packet keys that have tags


@dataclass(frozen=True, slots=True)
class Counts:
    """How much is in the store.  ``used``, ``limit`` and ``map_limit`` are octets: what is in use,
    where intake ends, and where it would end if the disk had room for the whole map.
    ``damaged`` records could not be opened since it was opened, and were removed."""

    incoming: int
    pooled: int
    tags: int
    used: int
    limit: int
    map_limit: int
    damaged: int
