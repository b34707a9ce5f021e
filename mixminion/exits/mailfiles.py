"""Mail put into files, to stay: Maildir, mbox and MH.  Everything here blocks.

A mail is on the disk when a function returns.  One that was put there before, by a
hand-over of which a crash left no trace, is found again and not put there twice, as long as
nobody has moved it on.  Lines end in LF, as programs that read such files expect.

:raises OSError: it could not be done, and nothing is left behind that a reader takes for mail.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

MODE = 0o600
RECENT = 32
"""How many of the newest mails of an MH folder may be the one that is to be put there."""

OWNER = b"mixminion\n"
"""What is in the file that locks an mbox."""

_guard = Lock()
_taken: set[str] = set()
_FROM = re.compile(rb"^(>*From )", re.MULTILINE)


def maildir(folder: Path, name: str, mail: bytes) -> None:
    """Put *mail* into ``new`` of the Maildir *folder*, under *name*, which is this mail's only
    (https://cr.yp.to/proto/maildir.html)."""
    if _has(folder / "new", name) or _has(folder / "cur", name):
        return
    made = folder / "tmp" / name
    try:
        _write(made, mail)
        os.rename(made, folder / "new" / name)
    except OSError:
        _forget(made)
        raise
    _sync(folder / "new")


def mh(folder: Path, name: str, mail: bytes) -> None:
    """Put *mail* into the MH folder *folder*, under the number behind the last one.  *name* is
    what its file is called before that."""
    numbers = sorted(int(each) for each in os.listdir(folder) if each.isdecimal())
    if any(_holds(folder / str(number), mail) for number in numbers[-RECENT:]):
        return
    made = folder / f".{name}"
    try:
        _write(made, mail)
        number = numbers[-1] if numbers else 0
        while True:
            number += 1
            with suppress(FileExistsError):
                os.link(made, folder / str(number))
                break
    finally:
        _forget(made)
    _sync(folder)


def mbox(path: Path, date: str, mail: bytes) -> None:
    """Add *mail* to the file *path*, which is made if it is missing, below a line with *date*
    (as ``asctime`` writes it).  Lines that begin with From are quoted, those that are quoted
    once more (mboxrd, RFC 4155), so that a reader can undo it.

    :raises BlockingIOError: somebody else has locked it.
    """
    entry = b"From MAILER-DAEMON %s\n%s\n" % (date.encode("ascii"), _FROM.sub(rb">\1", mail))
    with _ours(path):
        there = path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, MODE)
        try:
            if not there:
                os.fchmod(descriptor, MODE)
                _sync(path.parent)
            with _locked(path, descriptor):
                _append(descriptor, entry)
        finally:
            os.close(descriptor)


def _append(descriptor: int, entry: bytes) -> None:
    """Add *entry*, or what a crash kept from being added of it, and nothing where it fails."""
    size = os.fstat(descriptor).st_size
    read = min(size, len(entry) + 2)
    tail = os.pread(descriptor, read, size - read)
    if tail.endswith(entry):
        os.fsync(descriptor)
        return
    begun = tail.rfind(b"\nFrom ") + 1  # lines of a mail that begin so are quoted
    if begun or read == size:
        torn = tail[begun:] if entry.startswith(tail[begun:]) else b""
        tail = tail.removesuffix(torn)
        size -= len(torn)
    # A mail begins behind an empty line, whoever wrote the one before.
    gap = b"" if not size or tail.endswith(b"\n\n") else b"\n" if tail.endswith(b"\n") else b"\n\n"
    os.ftruncate(descriptor, size)
    try:
        _all(descriptor, gap + entry, size)
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


@contextmanager
def _ours(path: Path) -> Iterator[None]:
    """Keep other threads of this process away: the system's locks do not."""
    name = os.path.realpath(path)
    with _guard:
        if name in _taken:
            raise BlockingIOError
        _taken.add(name)
    try:
        yield
    finally:
        _taken.discard(name)


@contextmanager
def _locked(path: Path, descriptor: int) -> Iterator[None]:
    """Both locks that mail programs use, as the standard library's mailbox takes them: of the
    file, and a file beside it where its folder may be written to."""
    fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    dot = path.with_name(path.name + ".lock")
    mine = False
    with suppress(PermissionError):  # a spool that is the system's: the other lock has to do
        _lock_beside(dot)
        mine = True
    try:
        yield
    finally:
        if mine:
            _forget(dot)


def _lock_beside(dot: Path) -> None:
    # Whoever of us holds the file beside holds the lock of the file too, which is ours now: one
    # with our word in it is what a crash left.
    if dot.is_file() and not dot.is_symlink() and dot.read_bytes() == OWNER:
        dot.unlink()
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    try:
        descriptor = os.open(dot, flags, 0o644)
    except FileExistsError:
        raise BlockingIOError from None
    try:
        os.write(descriptor, OWNER)
    finally:
        os.close(descriptor)


def _write(path: Path, octets: bytes) -> None:
    """A file with *octets*, on the disk; one that a crash left is written over."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, MODE)
    try:
        os.fchmod(descriptor, MODE)
        _all(descriptor, octets, 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _all(descriptor: int, octets: bytes, at: int) -> None:
    left = memoryview(octets)
    while left:
        n = os.pwrite(descriptor, left, at)
        left, at = left[n:], at + n


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _has(folder: Path, name: str) -> bool:
    """Whether a Maildir's *folder* holds the mail *name*, whatever flags a reader gave it."""
    with os.scandir(folder) as entries:
        return any(entry.name.partition(":")[0] == name for entry in entries)


def _holds(path: Path, octets: bytes) -> bool:
    with suppress(OSError):
        return path.stat().st_size == len(octets) and path.read_bytes() == octets
    return False


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
