"""Where documents are kept: in a private folder, or in memory where nothing should outlive the
process.  Both may block, so that they are used where that harms nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

from twisted.internet.defer import succeed

from mixminion.disk import private

T = TypeVar("T")

InThread = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs a function where it may block on the disk; fires when it has returned."""


def inline(work: Callable[[], None]) -> Awaitable[None]:
    """Where blocking harms nobody: a command, a virtual clock."""
    work()
    return succeed(None)


async def result_of(in_thread: InThread, work: Callable[[], T]) -> T:
    """What *work* returns, there."""
    results: list[T] = []
    await in_thread(lambda: results.append(work()))
    return results[0]


class Files(Protocol):
    """Octets by name."""

    def read(self, name: str) -> bytes:
        """What stands under *name*; :class:`FileNotFoundError` when nothing does."""

    def write(self, name: str, octets: bytes) -> None:
        """Keep *octets* under *name*, whole or not at all."""

    def remove(self, name: str) -> None:
        """Forget *name*, if it is there."""

    def names(self) -> Iterable[str]:
        """All names, in order."""


class FolderFiles:
    """Private files in *folder*, which is made when something is kept there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes:
        """Raises :class:`~mixminion.disk.errors.PrivateFileError`, too."""
        return private.read(self._folder / name)

    def write(self, name: str, octets: bytes) -> None:
        """On disk when this returns.  Raises :class:`~mixminion.disk.errors.WriteFailed`."""
        private.make_folder(self._folder)
        private.write(self._folder / name, octets)

    def remove(self, name: str) -> None:
        """Its octets may stay on the disk until they are written over: they are public."""
        with suppress(FileNotFoundError):
            (self._folder / name).unlink()

    def names(self) -> Iterable[str]:
        """Hidden ones, which are being written, are left out."""
        with suppress(FileNotFoundError):
            return sorted(
                path.name
                for path in self._folder.iterdir()
                if path.is_file() and not path.name.startswith(".")
            )
        return ()


class MemoryFiles:
    """Octets in memory."""

    def __init__(self) -> None:
        self._octets: dict[str, bytes] = {}

    def read(self, name: str) -> bytes:
        """See :class:`Files`."""
        try:
            return self._octets[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    def write(self, name: str, octets: bytes) -> None:
        """See :class:`Files`."""
        self._octets[name] = octets

    def remove(self, name: str) -> None:
        """See :class:`Files`."""
        self._octets.pop(name, None)

    def names(self) -> Iterable[str]:
        """See :class:`Files`."""
        return sorted(self._octets)
