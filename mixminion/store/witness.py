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
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mixminion.disk import private
from mixminion.disk.keystore import KeyStore

COMMITS = struct.Struct(">Q")
COMMITS_FILE = "commits"
START_FILE = "start"
START = b"%020d\n"  # as long as any other: it takes no room to write the next


@dataclass(frozen=True, slots=True)
class Noted:
    """What the two files in *keys* said at one moment."""

    keys: KeyStore
    start: int
    commits: int

    @classmethod
    def read(cls, keys: KeyStore) -> Self:
        """What they say, without a change to them.  Raises
        :class:`~mixminion.disk.errors.PrivateFileError`."""
        octets = _read(keys.folder / COMMITS_FILE)
        commits = COMMITS.unpack(octets)[0] if len(octets) == COMMITS.size else 0
        return cls(keys, _start(keys), commits)


class Witness:
    """The two files in *keys*, which is open.  Zero is what is not known."""

    def __init__(self, keys: KeyStore) -> None:
        self.keys = keys
        if not (keys.folder / START_FILE).exists():  # its place on the disk, before it counts
            self.start = 0
        self._map = _mapped(keys.folder / COMMITS_FILE)

    @property
    def start(self) -> int:
        """The number of the newest start."""
        return _start(self.keys)

    @start.setter
    def start(self, number: int) -> None:
        private.overwrite(self.keys.folder / START_FILE, START % number)

    @property
    def commits(self) -> int:
        """How many transactions were committed, at least."""
        number: int = COMMITS.unpack_from(self._map)[0]
        return number

    @commits.setter
    def commits(self, number: int) -> None:
        COMMITS.pack_into(self._map, 0, number)

    @property
    def noted(self) -> Noted:
        """Both as they are now."""
        return Noted(self.keys, self.start, self.commits)

    def close(self) -> None:
        """Have the file on disk, and let go of it."""
        self._map.flush()
        self._map.close()


def _start(keys: KeyStore) -> int:
    text = _read(keys.folder / START_FILE).strip()
    return int(text) if text.isdigit() else 0


def _read(path: Path) -> bytes:
    """A file's octets, none when it is not there."""
    with suppress(FileNotFoundError):
        return private.read(path)
    return b""


def _mapped(path: Path) -> mmap.mmap:
    if len(_read(path)) != COMMITS.size:
        private.write(path, bytes(COMMITS.size))
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), COMMITS.size)
