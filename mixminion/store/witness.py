"""What is known of the store outside it, beside the keys.

``commits`` is a mapped file of 8 octets, big-endian: how many transactions the store has
committed.  It is written after each commit and never synced but at the end: it survives
every process, after a power loss it may lag, it never leads.  So a store with fewer commits
is an older copy.  ``start`` is the number of the store's newest start, on disk at once.
"""

from __future__ import annotations

import mmap
import struct
from contextlib import suppress
from pathlib import Path

from mixminion.disk import private
from mixminion.disk.keystore import KeyStore

COMMITS = struct.Struct(">Q")


class Witness:
    """The two files in *keys*, which is open.  Zero is what is not known."""

    def __init__(self, keys: KeyStore) -> None:
        self.keys = keys
        self._start = keys.folder / "start"
        self._map = _mapped(keys.folder / "commits")

    @property
    def start(self) -> int:
        """The number of the newest start."""
        with suppress(FileNotFoundError):
            text = private.read(self._start).strip()
            return int(text) if text.isdigit() else 0
        return 0

    @start.setter
    def start(self, number: int) -> None:
        private.write(self._start, b"%d\n" % number)

    @property
    def commits(self) -> int:
        """How many transactions were committed, at least."""
        number: int = COMMITS.unpack_from(self._map)[0]
        return number

    @commits.setter
    def commits(self, number: int) -> None:
        COMMITS.pack_into(self._map, 0, number)

    def close(self) -> None:
        """Have the file on disk, and let go of it."""
        self._map.flush()
        self._map.close()


def _mapped(path: Path) -> mmap.mmap:
    try:
        known = len(private.read(path)) == COMMITS.size
    except FileNotFoundError:
        known = False
    if not known:
        private.write(path, bytes(COMMITS.size))
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), COMMITS.size)
