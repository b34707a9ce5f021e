"""Opening the LMDB environment: private files, nothing cut short, a format we know."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import lmdb

from mixminion.disk import private
from mixminion.store.errors import StoreDamaged, StoreTooNew, StoreUnusable
from mixminion.store.pages import is_cut_short
from mixminion.store.room import MAP_MIN, PAGE

FORMAT = 2
META = b"meta"
FORMAT_KEY = b"format"
START_KEY = b"start"
DIGITS = 20  #: of a number in ``meta``, at most
DATABASES_MAX = 64
DATA = "data.mdb"
LOCK = "lock.mdb"
LOCK_SIZE = 8192  #: octets, at least those that LMDB writes
START_ROOM = 32 * PAGE  #: octets of the smallest file
CUT_SHORT = "its file has been cut short"
NOT_LMDB = (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError)


def open_environment(path: Path, map_size: int) -> lmdb.Environment:
    """The environment in the folder *path*, which is made if need be.

    Raises :class:`~mixminion.store.errors.StoreUnusable` and its kinds, and what
    :func:`mixminion.disk.private.check` finds.
    """
    environment: lmdb.Environment | None = None
    try:
        _make_private(path)
        environment = lmdb.open(
            os.fspath(path), map_size=max(map_size, MAP_MIN), max_dbs=DATABASES_MAX, mode=0o600
        )
        _examine(path, environment)
        _have_room(path)
    except BaseException as error:
        if environment is not None:
            environment.close()
        if isinstance(error, NOT_LMDB):
            raise StoreDamaged(path=path, problem="it is not an LMDB file") from error
        if isinstance(error, lmdb.Error | OSError):
            raise StoreUnusable(path=path, problem=str(error)) from error
        raise
    return environment


def found_format(path: Path, txn: lmdb.Transaction[bytes], meta: lmdb._Database) -> int:
    """The store's format; 0 when it is new.

    Raises :class:`~mixminion.store.errors.StoreTooNew` and
    :class:`~mixminion.store.errors.StoreDamaged`.
    """
    return format_of(path, txn.get(FORMAT_KEY, db=meta))


def format_of(path: Path, octets: bytes | None) -> int:
    """The same, from what stands in ``meta``."""
    found = number_of(path, "format", octets)
    if found > FORMAT:
        raise StoreTooNew(path=path, found=found, known=FORMAT)
    return found


def number_of(path: Path, name: str, octets: bytes | None) -> int:
    """A number in ``meta``, 0 where there is none.

    Raises :class:`~mixminion.store.errors.StoreDamaged`.
    """
    if octets is None:
        return 0
    if not octets.isdigit() or len(octets) > DIGITS:
        raise StoreDamaged(path=path, problem=f"its {name} is not a number")
    return int(octets)


def _examine(path: Path, environment: lmdb.Environment) -> None:
    """Refuse a store that is newer, or cut short: a page that is not there is a SIGBUS."""
    pages = environment.info()["last_pgno"] + 1
    with open(path / DATA, "rb") as file:
        whole = os.fstat(file.fileno()).st_size >= pages * environment.stat()["psize"]
        if not whole and is_cut_short(file.fileno(), DATABASES_MAX):
            raise StoreDamaged(path=path, problem=CUT_SHORT)
    with environment.begin(write=True) as txn:
        found_format(path, txn, environment.open_db(META, txn=txn))


def _have_room(path: Path) -> None:
    """Have the file system set aside what the starts of a small store write; where it has no more,
    the file may have enough.  Only now: LMDB would take a file of zeros for none of its own."""
    with suppress(OSError), open(path / DATA, "r+b", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, START_ROOM)


def _make_private(path: Path) -> None:
    """The folder 0700 and its two files 0600, before LMDB could make them under a umask.

    LMDB syncs its file and never the folder: without that a store that was new at a power
    loss would have no name after it.  And it writes the lock through a map, where a disk that
    has no room for it is no error but a SIGBUS.
    """
    private.make_folder(path)
    private.check(path)
    for file in (path / DATA, path / LOCK):
        if not file.exists():
            os.fchmod(descriptor := os.open(file, os.O_CREAT | os.O_EXCL, 0o600), 0o600)
            os.close(descriptor)
        private.check(file)
    with open(path / LOCK, "r+b", buffering=0) as lock:
        os.posix_fallocate(lock.fileno(), 0, LOCK_SIZE)
    private.sync_folder(path)
