"""How much a store may still take in.

What was accepted must drain, and every later step writes before it frees: LMDB uses a
freed page again two transactions later at the earliest.  So intake ends while a reserve is
left, counted against what the store can really have: its map, or its file and what the
file system would still give it.  And what is taken in is taken in only where the file has its
place on the disk already, with the reserve: whoever fills the disk then, the store drains.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

PAGE = 4096
FULL = 0.85  #: intake ends when this share of the capacity is used
RESERVE = 4 * 2**20  #: octets that intake leaves free at least: some hundred records
FREE_RESERVE = 128 * 2**20  #: octets of the file system that intake leaves to others
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
        return _usable(min(self._map_size, self._path.stat().st_size + max(0, spare)))

    def left(self, used: int) -> int:
        """Octets that may be taken in before measuring again, whose place on the disk is the
        store's; nothing when full."""
        wanted = min(STRIDE, self.limit() - used)
        if wanted > 0 and not self._allocate(used + wanted):
            return _usable(self._path.stat().st_size) - used
        return wanted

    def _allocate(self, used: int) -> bool:
        """Have the file system set aside what it takes to use so many octets, holes included;
        whether it did."""
        size = max(-(-int(used / FULL) // PAGE) * PAGE, used + RESERVE)
        with suppress(OSError), open(self._path, "r+b", buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, min(size, self._map_size))
            return True
        return False


def _usable(capacity: int) -> int:
    """What may be used of so many octets."""
    return max(0, min(int(capacity * FULL), capacity - RESERVE))


def footprint(record: bytes) -> int:
    """Octets a record of some kilobytes takes: whole pages, and 16 octets of page header."""
    return -(-(len(record) + 16) // PAGE) * PAGE
