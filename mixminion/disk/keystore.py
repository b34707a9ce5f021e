"""Where keys are kept whose end is the end of what they open.

Packet keys and storage keys live together in one folder.  On ``disk`` it is durable, and an
erased key may be found again by who takes the disk apart: flash remaps, file systems
journal and copy on write.  In ``ram`` it is a file system in memory: keys survive the end of
every process and nothing survives the loss of power.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from mixminion.disk import memory, private
from mixminion.disk.errors import NotInMemory


class Kind(enum.StrEnum):
    """What a key store is made of, as the configuration names it."""

    DISK = "disk"
    RAM = "ram"


@dataclass(frozen=True, slots=True)
class KeyStore:
    """A private folder of keys."""

    kind: Kind
    folder: Path

    def open(self) -> None:
        """Make the folder if need be and check it.

        Raises :class:`~mixminion.disk.errors.NotInMemory` for a key store in memory that is
        not, and what :mod:`mixminion.disk.private` finds.
        """
        self._check_kind()
        private.make_folder(self.folder)
        private.check(self.folder)

    def check(self) -> None:
        """The same for a folder that is not made: :class:`FileNotFoundError` without one."""
        self._check_kind()
        private.check(self.folder)

    @property
    def swappable(self) -> bool:
        """Whether keys in memory may be written to a disk after all, as far as can be told."""
        return self.kind is Kind.RAM and memory.swappable(self.folder)

    def _check_kind(self) -> None:
        if self.kind is Kind.RAM:
            found = memory.file_system(self.folder)
            if found.name not in memory.IN_MEMORY:
                raise NotInMemory(path=self.folder, kind=found.name)
