"""A flat folder of private files, as the archive wants it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mixminion.disk import private


class Folder(Protocol):
    """Files by name; a name is a plain file name."""

    def read(self, name: str) -> bytes:
        """The octets of a file.

        :raises FileNotFoundError: there is none of that name.
        :raises PrivateFileError: others could have written it.
        """

    def write(self, name: str, octets: bytes) -> None:
        """Make or replace a file; it is on the disk when this returns.

        :raises WriteFailed: it cannot be written.
        """

    def names(self) -> list[str]:
        """The names of all files, ascending."""

    def remove(self, name: str) -> None:
        """Remove a file; none there is no error."""


class PrivateFolder:
    """One on the disk, made when something is written into it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, name: str) -> bytes:
        """See :class:`Folder`."""
        return private.read(self._path / name)

    def write(self, name: str, octets: bytes) -> None:
        """See :class:`Folder`."""
        private.make_folder(self._path)
        private.write(self._path / name, octets)

    def names(self) -> list[str]:
        """See :class:`Folder`; what a crash left half written is not counted."""
        try:
            found = [path.name for path in self._path.iterdir()]
        except FileNotFoundError:
            return []
        return sorted(name for name in found if not name.startswith("."))

    def remove(self, name: str) -> None:
        """See :class:`Folder`."""
        with suppress(FileNotFoundError):
            (self._path / name).unlink()
