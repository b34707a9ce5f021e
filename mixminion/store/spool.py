"""An open store, and what becomes of a group of jobs.

Owned by one thread; knows no reactor.  Sub-databases, where the number in a name is the
version of its records' format::

    meta                b"format" -> the store's format, b"start" -> the number of its newest
                        start; ASCII decimal
    incoming/2          sequence 8 -> sealed packet
    incoming-index/2    sequence 8 -> wrapped key
    pool/2              id 8 -> sealed record
    pool-index/2        id 8 -> wrapped key | due_ms 8 | destination
    tags/1/KEY          tag 16 -> nothing; KEY is 16 hexadecimal digits; one for each packet key

Integers are big-endian; :mod:`mixminion.store.keyring` has sealing and wrapping.
"""

from __future__ import annotations

from pathlib import Path

import lmdb

from mixminion.store import opening
from mixminion.store.environment import DATA, open_environment
from mixminion.store.errors import StoreError, StoreUnusable
from mixminion.store.jobs import Job
from mixminion.store.keyring import Keyring
from mixminion.store.room import MAP_MIN, Room
from mixminion.store.transaction import Databases, Transaction
from mixminion.store.witness import Witness


class Spool:
    """An open store.  Opening raises :class:`StoreUnusable`, or what
    :func:`mixminion.disk.private.check` finds; working raises nothing.

    ``started`` says what opening it found.
    """

    def __init__(
        self,
        path: Path,
        map_size: int,
        free_reserve: int | None,
        keyring: Keyring,
        witness: Witness,
        published: int,
    ) -> None:
        self._path = path
        self._map_size = max(map_size, MAP_MIN)
        self._room = Room(path / DATA, self._map_size, free_reserve)
        self._keyring = keyring
        self._witness = witness
        self._last = 0
        self._left = 0
        self._damaged = 0
        self._databases: Databases | None = None
        self._environment: lmdb.Environment | None
        self._environment, self.started = opening.start(
            path, self._map_size, keyring, witness, published
        )

    def close(self) -> None:
        """Let go of the files."""
        self._let_go()
        self._witness.close()

    def _let_go(self) -> None:
        if self._environment is not None:
            self._environment.close()
            self._environment = None
            self._databases = None

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
        if self._environment is None:
            self._environment = open_environment(self._path, self._map_size)
        environment = self._environment
        databases, self._databases = self._databases, None
        with environment.begin(write=True) as txn:
            databases = databases or Databases(environment, txn)
            work = Transaction(
                txn, databases, self._room, self._keyring, self._last, self._left, self._damaged
            )
            for job in jobs:
                try:
                    job.result, job.error = job.function(work, job.argument), None
                except StoreError as error:
                    job.error = error
        self._witness.commits = environment.info()["last_txnid"]
        self._databases = databases
        self._last, self._left, self._damaged = work.last, work.left, work.damaged

    def _alone(self, job: Job) -> None:
        try:
            self._together([job])
        except lmdb.PanicError as error:  # LMDB wants to be opened again
            self._let_go()
            job.error = StoreError(problem=str(error))
        except (lmdb.Error, OSError, StoreUnusable) as error:
            job.error = StoreError(problem=str(error))
        except Exception as error:
            job.error = error
