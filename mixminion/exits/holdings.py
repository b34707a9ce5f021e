"""Which messages are held for whom: an index in memory, and its limits.

What is held stays held: nothing that comes later pushes it out before its time, however much
there is of it.  What comes when a limit is reached is refused.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass

MAILBOX_FULL = "mailbox-full"
ALL_FULL = "mailboxes-full"


@dataclass(frozen=True, slots=True)
class Limits:
    """*messages* and *octets* of one mailbox, *total* octets of all, *expiry* in seconds."""

    messages: int
    octets: int
    total: int
    expiry: float


@dataclass(frozen=True, slots=True)
class Holding:
    """Somebody's message: its Message-ID, the room it takes, and when it left the pool, in Unix
    seconds."""

    capability: bytes
    message_id: str
    octets: int
    due: int


@dataclass(slots=True)
class _Mailbox:
    items: list[tuple[int, int]]  #: due and id, oldest first
    octets: int = 0


class Holdings:
    """Items are ids of stored records.  A mailbox is there while something is in it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._items: dict[int, Holding] = {}
        self._message_ids: set[str] = set()
        self._mailboxes: dict[bytes, _Mailbox] = {}
        self._octets = 0

    def __len__(self) -> int:
        return len(self._items)

    def has(self, message_id: str) -> bool:
        """Whether the message of that Message-ID is held."""
        return message_id in self._message_ids

    def refusal(self, capability: bytes, octets: int) -> str | None:
        """Why nothing more of that size is held for *capability*; None when it would be."""
        mailbox = self._mailboxes.get(capability)
        if mailbox is not None and (
            len(mailbox.items) >= self._limits.messages
            or mailbox.octets + octets > self._limits.octets
        ):
            return MAILBOX_FULL
        return ALL_FULL if self._octets + octets > self._limits.total else None

    def add(self, item: int, holding: Holding) -> bool:
        """Hold *item*, whatever the limits; False when the item or its message is held already."""
        if item in self._items or self.has(holding.message_id):
            return False
        self._items[item] = holding
        self._message_ids.add(holding.message_id)
        mailbox = self._mailboxes.setdefault(holding.capability, _Mailbox([]))
        insort(mailbox.items, (holding.due, item))
        mailbox.octets += holding.octets
        self._octets += holding.octets
        return True

    def remove(self, item: int) -> None:
        """Hold it no longer, if it is held."""
        holding = self._items.pop(item, None)
        if holding is None:
            return
        self._message_ids.remove(holding.message_id)
        mailbox = self._mailboxes[holding.capability]
        mailbox.items.remove((holding.due, item))
        mailbox.octets -= holding.octets
        self._octets -= holding.octets
        if not mailbox.items:
            del self._mailboxes[holding.capability]

    def of(self, capability: bytes) -> list[tuple[int, int]]:
        """When each left the pool, and its id, oldest first."""
        mailbox = self._mailboxes.get(capability)
        return [] if mailbox is None else list(mailbox.items)

    def expire(self, now: float) -> list[int]:
        """Hold no longer what has been held for its time; the items."""
        old = [id for id, held in self._items.items() if held.due + self._limits.expiry <= now]
        for item in old:
            self.remove(item)
        return old
