"""The LMDB environment, and what becomes of a group of jobs.

Owned by one thread; knows no reactor.  Sub-databases, where the number in a name is the
version of its records' format::

    meta          b"format" -> the store's format, ASCII decimal
    incoming/1    sequence 8 -> packet
    pool/1        id 8 | due_ms 8 | destination -> record
    tags/1/KEY    tag 16 -> nothing; KEY is 16 hexadecimal digits; one for each packet key

Integers are big-endian.  The pool's keys are its index: a start reads them without
touching a record, and a record costs one put and one delete.
"""

from __future__ import annotations

import os
from pathlib import Path

import lmdb

from mixminion.disk import private
from mixminion.store.errors import StoreDamaged, StoreError, StoreTooNew, StoreUnusable
from mixminion.store.jobs import Job
from mixminion.store.room import MAP_MIN, Room
from mixminion.store.transaction import Databases, Transaction

FORMAT = 1
META = b"meta"
DATABASES_MAX = 64
DATA = "data.mdb"
LOCK = "lock.mdb"
NOT_LMDB = (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.CorruptedError)


class Spool:
    """An open store.  Opening raises :class:`StoreUnusable`, or what
    :func:`mixminion.disk.private.check` finds; working raises nothing."""

    def __init__(self, path: Path, map_size: int, free_reserve: int) -> None:
        self._path = path
        self._map_size = max(map_size, MAP_MIN)
        self._room = Room(path / DATA, self._map_size, free_reserve)
        self._last = 0
        self._left = 0
        self._databases: Databases | None = None
        self._environment: lmdb.Environment | None = None
        self._open()

    def close(self) -> None:
        """Let go of the files."""
        if self._environment is not None:
            self._environment.close()
            self._environment = None
            self._databases = None

    # -- opening ---------------------------------------------------------------------------

    def _open(self) -> lmdb.Environment:
        try:
            _make_private(self._path)
            self._environment = lmdb.open(
                os.fspath(self._path), map_size=self._map_size, max_dbs=DATABASES_MAX, mode=0o600
            )
            self._examine(self._environment)
        except BaseException as error:
            self.close()
            if isinstance(
                error, lmdb.InvalidError | lmdb.VersionMismatchError | lmdb.CorruptedError
            ):
                raise StoreDamaged(path=self._path, problem="it is not an LMDB file") from error
            if isinstance(error, lmdb.Error | OSError):
                raise StoreUnusable(path=self._path, problem=str(error)) from error
            raise
        return self._environment

    def _examine(self, environment: lmdb.Environment) -> None:
        """Refuse a store that is newer, or cut short: a page that is not there is a SIGBUS."""
        pages = environment.info()["last_pgno"] + 1
        if (self._path / DATA).stat().st_size < pages * environment.stat()["psize"]:
            raise StoreDamaged(path=self._path, problem="its file has been cut short")
        with environment.begin(write=True) as txn:
            meta = environment.open_db(META, txn=txn)
            found = txn.get(b"format", db=meta)
            if found is None:
                txn.put(b"format", b"%d" % FORMAT, db=meta)
            elif not found.isdigit():
                raise StoreDamaged(path=self._path, problem="its format is not a number")
            elif int(found) > FORMAT:
                raise StoreTooNew(path=self._path, found=int(found), known=FORMAT)
            databases = Databases(environment, txn)
            incoming = txn.cursor(db=databases.incoming)
            self._last = max(self._last, int.from_bytes(incoming.key()) if incoming.last() else 0)
        self._databases = databases

    # -- working ---------------------------------------------------------------------------

    def perform(self, jobs: list[Job]) -> None:
        """Do all jobs in one transaction; when that fails, each in one of its own."""
        try:
            self._together(jobs)
        except Exception:
            for job in jobs:
                self._alone(job)

    def _together(self, jobs: list[Job]) -> None:
        """Begin, do, commit with fsync.  After an exception nothing of it is on disk."""
        environment = self._environment or self._open()
        databases, self._databases = self._databases, None
        with environment.begin(write=True) as txn:
            databases = databases or Databases(environment, txn)
            work = Transaction(txn, databases, self._room, self._last, self._left)
            for job in jobs:
                try:
                    job.result, job.error = job.function(work, job.argument), None
                except StoreError as error:
                    job.error = error
        self._databases, self._last, self._left = databases, work.last, work.left

    def _alone(self, job: Job) -> None:
        try:
            self._together([job])
        except lmdb.PanicError as error:  # LMDB wants to be opened again
            self.close()
            job.error = StoreError(problem=str(error))
        except (lmdb.Error, OSError, StoreUnusable) as error:
            job.error = StoreError(problem=str(error))
        except Exception as error:
            job.error = error


def _make_private(path: Path) -> None:
    """The folder 0700 and its two files 0600, before LMDB could make them under a umask."""
    private.make_folder(path)
    private.check(path)
    for file in (path / DATA, path / LOCK):
        if not file.exists():
            os.fchmod(descriptor := os.open(file, os.O_CREAT | os.O_EXCL, 0o600), 0o600)
            os.close(descriptor)
        private.check(file)
