"""Private files and folders: 0600 and 0700 whatever the umask, replaced whole, checked before use.

A file is private when it is ours, nobody else may read or write it, and nobody else can put
another in its place: every folder above it, up to the root, belongs to us or to root and is
writable by its owner alone (a sticky one, such as /tmp, may be writable by all).
"""

from __future__ import annotations

import os
import shlex
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from mixminion.disk.errors import PrivateFileError, WriteFailed

ERASING = ".erasing"


def write(path: Path, octets: bytes) -> None:
    """Make *path* a file of mode 0600 with just these octets, on disk when this returns.

    A reader, or somebody after a crash, finds the old file or the new one.  Raises
    :class:`WriteFailed`.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o600)
                file.write(octets)
                file.flush()
                os.fsync(descriptor)
            os.replace(name, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(name)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise WriteFailed(path=path, reason=error.strerror) from error


def create(path: Path, octets: bytes) -> None:
    """Make a new file with just these octets, on disk when this returns, as private as its file
    system has it: a stick that goes to another machine knows no modes.

    After a crash it may be there in part.  Raises :class:`WriteFailed`, also where there is such
    a file.
    """
    try:
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        with open(os.open(path, flags, 0o600), "wb") as file:
            try:
                file.write(octets)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                os.unlink(path)
                raise
        sync_folder(path.parent)
    except OSError as error:
        raise WriteFailed(path=path, reason=error.strerror) from error


def overwrite(path: Path, octets: bytes) -> None:
    """As :func:`write`; but a file that is as long already is written in its place, which takes
    no room on a full disk.  For some octets that a disk writes at once, a sector's.  Raises
    :class:`WriteFailed`.
    """
    try:
        if path.stat().st_size == len(octets):
            with open(path, "r+b", buffering=0) as file:
                file.write(octets)
                os.fsync(file.fileno())
            return
    except FileNotFoundError:
        pass
    except OSError as error:
        raise WriteFailed(path=path, reason=error.strerror) from error
    write(path, octets)


def erase(path: Path) -> None:
    """Overwrite a file and remove it, on disk when this returns; none there is no error.

    It loses its name first, so that nobody after a crash takes half of an erased file for a
    damaged one; what is left then is ``.NAME.erasing``, to be erased by whoever opens the folder.
    """
    left = path
    with suppress(FileNotFoundError):
        if path.suffix != ERASING:
            left = path.with_name(f".{path.name}{ERASING}")
            os.rename(path, left)
            sync_folder(path.parent)
        with open(left, "r+b", buffering=0) as file:
            file.write(bytes(os.fstat(file.fileno()).st_size))
            os.fsync(file.fileno())
        os.unlink(left)
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make *path* and the folders above it that are missing, each 0700.

    What is there already stays as it is.  Raises :class:`WriteFailed`.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)
        sync_folder(path.parent)
    except FileExistsError as error:
        if not path.is_dir():
            raise WriteFailed(path=path, reason="there is a file of that name") from error
    except OSError as error:
        raise WriteFailed(path=path, reason=error.strerror) from error


def read(path: Path) -> bytes:
    """The octets of a private file.

    Raises :class:`PrivateFileError` when it is not private, :class:`FileNotFoundError` when
    it is not there.
    """
    check_above(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        _check_one(path, _look(path))
        raise PrivateFileError(
            path=path, what="cannot be opened", command=f"ls -ld {_quoted(path)}"
        ) from error
    with open(descriptor, "rb") as file:
        _check_one(path, os.fstat(descriptor))
        return file.read()


def check(path: Path) -> None:
    """Refuse a file or folder that is not private, as :func:`read` does, without opening it."""
    check_above(path)
    _check_one(path, _look(path))


def check_unchangeable(path: Path) -> None:
    """Refuse a file that others may read but somebody else could change or replace."""
    check_above(path)
    _check_guarded(path.resolve(), _look(path.resolve()))


def check_above(path: Path) -> None:
    """Refuse *path* when somebody else could change one of the folders above it."""
    lexical = Path(os.path.abspath(path))
    for folder in dict.fromkeys((*lexical.parents, *lexical.parent.resolve().parents)):
        with suppress(FileNotFoundError):
            _check_guarded(folder, _look(folder.resolve()))


def _look(path: Path) -> os.stat_result:
    try:
        return os.lstat(path)
    except PermissionError as error:
        raise PrivateFileError(
            path=path.parent, what="cannot be entered", command=f"chmod u+x {_quoted(path.parent)}"
        ) from error


def _check_guarded(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in {0, os.geteuid()}:
        raise PrivateFileError(path=path, what="belongs to another user", command=_chown(path))
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & 0o022 and not sticky:
        raise PrivateFileError(
            path=path,
            what="can be changed by other users",
            command=f"chmod go-w {_quoted(path)}",
        )


def _check_one(path: Path, found: os.stat_result) -> None:
    folder = stat.S_ISDIR(found.st_mode)
    if not folder and not stat.S_ISREG(found.st_mode):
        raise PrivateFileError(
            path=path, what="is not an ordinary file", command=f"ls -l {_quoted(path)}"
        )
    if found.st_uid != os.geteuid():
        raise PrivateFileError(path=path, what="belongs to another user", command=_chown(path))
    wanted = 0o700 if folder else 0o600
    if found.st_mode & 0o077 or found.st_mode & 0o400 == 0:
        raise PrivateFileError(
            path=path,
            what=f"has mode {stat.S_IMODE(found.st_mode):04o}, not {wanted:04o}",
            command=f"chmod {wanted:o} {_quoted(path)}",
        )


def sync_folder(path: Path) -> None:
    """Have the disk know which files a folder has."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _chown(path: Path) -> str:
    return f"chown {os.geteuid()} {_quoted(path)}"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
