"""Recently pooled packets in memory, so that what leaves soon is not read back."""

from __future__ import annotations

from collections import OrderedDict


class PacketCache:
    """Records by id, the oldest forgotten past *limit* octets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[int, bytes] = OrderedDict()
        self._octets = 0

    def put(self, record_id: int, record: bytes) -> None:
        """Remember a record that has just been stored."""
        self.forget(record_id)
        self._held[record_id] = record
        self._octets += len(record)
        while self._octets > self._limit:
            _, oldest = self._held.popitem(last=False)
            self._octets -= len(oldest)

    def get(self, record_id: int) -> bytes | None:
        """The record, if it is still remembered."""
        return self._held.get(record_id)

    def forget(self, record_id: int) -> None:
        """The record has been deleted."""
        record = self._held.pop(record_id, None)
        if record is not None:
            self._octets -= len(record)
