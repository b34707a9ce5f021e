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
SMALL = 4  #: of a capacity too small for that a quarter is used: it is written three times over
MAP_MIN = 16 * 2**20  #: octets; a smaller map is made this large
STRIDE = 16 * 2**20  #: octets taken in before the room is measured again
OTHERS = 128 * 2**20  #: octets of the file system that intake leaves to others...
SHARE = 8  #: ... or this part of it, where that is less


class Room:
    """Measures; *path* is the store's data file, sizes are octets.  *free_reserve* is what intake
    leaves free of the file system; None for :data:`OTHERS`, or less on a small one."""

    def __init__(self, path: Path, map_size: int, free_reserve: int | None = None) -> None:
        self._path = path
        self._map_size = map_size
        self._free_reserve = free_reserve
        self._denied = False  # the file system has less to give than it says, as under a quota

    @property
    def map_limit(self) -> int:
        """What :meth:`limit` would be if the disk had room for the whole map."""
        return _usable(self._map_size)

    def limit(self) -> int:
        """Octets that may be used before intake is refused."""
        return self._limit(0 if self._denied else self._spare())

    def left(self, used: int) -> int:
        """Octets that may be taken in before measuring again, whose place on the disk is the
        store's; nothing, or less, when full."""
        wanted = min(STRIDE, self._limit(self._spare()) - used)
        self._denied = False
        while wanted > 0 and not self._allocate(used + wanted):
            self._denied = True
            wanted //= 2
        return max(wanted, self.limit() - used) if self._denied else wanted

    def _limit(self, spare: int) -> int:
        """The limit where the file may grow by *spare*.  Its holes are not its own."""
        found = self._path.stat()
        return _usable(min(self._map_size, min(found.st_size, found.st_blocks * 512) + spare))

    def _spare(self) -> int:
        """What the file system would give."""
        disk = os.statvfs(self._path)
        reserve = self._free_reserve
        if reserve is None:
            reserve = min(OTHERS, disk.f_blocks * disk.f_frsize // SHARE)
        return max(0, disk.f_bavail * disk.f_frsize - reserve)

    def _allocate(self, used: int) -> bool:
        """Have the file system set aside what it takes to use so many octets, holes included;
        whether it did."""
        size = min(_capacity(used), self._map_size)
        with suppress(OSError), open(self._path, "r+b", buffering=0) as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return True
        return False


def _usable(capacity: int) -> int:
    """What may be used of so many octets."""
    return min(int(capacity * FULL), max(capacity - RESERVE, capacity // SMALL))


def _capacity(used: int) -> int:
    """The least of which so many octets may be used, in whole pages."""
    octets = max(int(used / FULL), min(used + RESERVE, used * SMALL))
    return (octets // PAGE + 1) * PAGE


def footprint(octets: int) -> int:
    """Octets that a record of some kilobytes takes: whole pages, and 16 octets of page header."""
    return -(-(octets + 16) // PAGE) * PAGE
