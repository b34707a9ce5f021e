"""What was opened of what came: values, and what is to be written down once somebody has them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from mixminion.errors import MixminionError


class Kind(StrEnum):
    """What something that came is."""

    MESSAGE = "message"  #: as anybody can send it
    ENCRYPTED = "encrypted"  #: one that was encrypted to one of our keys
    REPLY = "reply"  #: to a reply block of ours
    PART = "part"  #: of a reply of which more parts have to come
    AGAIN = "again"  #: a copy of something that was read already
    CLOSED = "closed"  #: what cannot be opened


@dataclass(frozen=True, slots=True)
class Marks:
    """What is written down when something was read: *items* of mailboxes, SURB ids of reply
    blocks, *digests* of what came, the number of a reply in parts."""

    items: tuple[int, ...] = ()
    surb_ids: tuple[bytes, ...] = ()
    digests: tuple[bytes, ...] = ()
    reply: int | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """Something that came.

    *identity* is the name of the one that it is for, None for what is for nobody in particular;
    *handle* the SURB id of a reply; *date* Unix seconds, as whoever delivered it says; *blocks* the
    reply blocks in its content, by which it can be answered.  *error* says why something is closed;
    of a part, *have* and *lacking* how many parts are here and have to come at least.
    """

    kind: Kind
    content: bytes = field(default=b"", repr=False)
    identity: str | None = None
    handle: bytes | None = None
    date: int | None = None
    blocks: tuple[bytes, ...] = field(default=(), repr=False)
    error: MixminionError | None = None
    have: int = 0
    lacking: int = 0
    number: int | None = None  #: of a reply in parts
    marks: Marks = field(default=Marks(), repr=False)  #: the inbox's own

    @property
    def readable(self) -> bool:
        """Whether there is a content to be read."""
        return self.kind in (Kind.MESSAGE, Kind.ENCRYPTED, Kind.REPLY)
