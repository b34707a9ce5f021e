"""One process per home.

``flock`` belongs to the open file, not to the process: it survives the forks of a process
that becomes a daemon, and goes with the last of them however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mixminion.disk import private
from mixminion.disk.errors import HomeInUse, WriteFailed

_NAME = "lock"
WIDTH = 21
"""Octets of the file: a pid in decimal, blanks, a line feed."""
UNKNOWN = "(unknown)"  #: for the pid of a process that has not written it down


class HomeLock:
    """Hold a home; ``lock`` in it names the process that does."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the home, which must exist, or raise :class:`HomeInUse`, naming who has it."""
        path = self._home / _NAME
        private.check_above(path)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise WriteFailed(path=path, reason=error.strerror) from error
        try:
            os.fchmod(descriptor, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = None if _shared(descriptor) else _pid(descriptor)  # who looks leaves no pid
            os.close(descriptor)
            raise HomeInUse(home=self._home, pid=pid or UNKNOWN) from error
        except OSError as error:
            os.close(descriptor)
            raise WriteFailed(path=path, reason=error.strerror) from error
        self._descriptor = descriptor
        self.note_pid()

    def note_pid(self) -> None:
        """Write down the pid of this process; again after a fork.

        Raises :class:`WriteFailed`, on a full disk only where nobody has held the home before.
        """
        self._write(b"%d" % os.getpid())

    def release(self) -> None:
        """Let go; the file stays, since somebody may wait on it."""
        if self._descriptor is not None:
            self._write(b"")
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, text: bytes) -> None:
        """In place and as long as ever: what a shorter one gave back another may take."""
        if self._descriptor is not None:
            try:
                os.pwrite(self._descriptor, text.ljust(WIDTH - 1) + b"\n", 0)
            except OSError as error:
                raise WriteFailed(path=self._home / _NAME, reason=error.strerror) from error


@contextmanager
def undisturbed(home: Path) -> Iterator[None]:
    """Nobody works in *home*, and nobody begins to; for who only looks, since nothing is written.

    Raises :class:`HomeInUse` when somebody has it, at the end for a home that nobody ever had
    and somebody took meanwhile.
    """
    try:
        descriptor = os.open(home / _NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:  # it is made with the first lock, and nothing to hold until then
        yield
        if (pid := holder(home)) is not None:
            raise HomeInUse(home=home, pid=pid or UNKNOWN) from None
        return
    try:
        if not _shared(descriptor):
            raise HomeInUse(home=home, pid=_pid(descriptor) or UNKNOWN)
        yield
    finally:
        os.close(descriptor)


def holder(home: Path) -> int | None:
    """The pid of the process that holds *home*, 0 when it is not known; None when nobody does.

    Looking takes the lock for a moment when it is free.
    """
    try:
        descriptor = os.open(home / _NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return None if _shared(descriptor) else _pid(descriptor) or 0
    finally:
        os.close(descriptor)


def _shared(descriptor: int) -> bool:
    """Whether the lock could be shared: nobody has it, or others that share it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, WIDTH, 0).strip()
    return int(text) if text.isdigit() else None
