"""How much a store may still take in.

What was accepted must drain, and every later step writes before it frees: LMDB uses a
freed page again two transactions later at the earliest.  So intake ends while a reserve is
left, counted against what the store can really have: its map, or its file and what the
file system would still give it.
"""

from __future__ import annotations

import os
from pathlib import Path

PAGE = 4096
FULL = 0.85  #: intake ends when this share of the capacity is used
RESERVE = 4 * 2**20  #: octets that intake leaves free at least: some hundred records
MAP_MIN = 16 * 2**20  #: octets; a smaller map is made this large
STRIDE = 16 * 2**20  #: octets taken in before the room is measured again


class Room:
    """Measures; *path* is the store's data file, sizes are octets."""

    def __init__(self, path: Path, map_size: int, free_reserve: int) -> None:
        self._path = path
        self._map_size = map_size
        self._free_reserve = free_reserve

    def limit(self) -> int:
        """Octets that may be used before intake is refused."""
        disk = os.statvfs(self._path)
        spare = disk.f_bavail * disk.f_frsize - self._free_reserve
        capacity = min(self._map_size, self._path.stat().st_size + max(0, spare))
        return max(0, min(int(capacity * FULL), capacity - RESERVE))

    def left(self, used: int) -> int:
        """Octets that may be taken in before measuring again; nothing when full."""
        return min(STRIDE, self.limit() - used)


def footprint(record: bytes) -> int:
    """Octets a record of some kilobytes takes: whole pages, and 16 octets of page header."""
    return -(-(len(record) + 16) // PAGE) * PAGE
