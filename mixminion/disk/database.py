"""One SQLite file, used by one thread, with commits that hold.

Whatever is asked for while a commit is under way is committed together by the next one.
A Deferred fires only when what it stands for is on the disk (``synchronous=FULL``).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from mixminion.disk import migrations, private
from mixminion.errors import MixminionError

T = TypeVar("T")
Query = Callable[[sqlite3.Connection], T]


class Executor(Protocol):
    """Where the database's calls run, one after the other."""

    def run(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """Call *function* there."""

    def stop(self) -> None:
        """Nothing is run any more."""


class ThreadExecutor:
    """One thread of its own."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=0, maxthreads=1, name="mixminion-state")
        self._pool.start()
        # A thread that is left would keep the process from ending.
        self._trigger = reactor.addSystemEventTrigger("after", "shutdown", self._pool.stop)

    def run(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """Call *function* in the thread."""
        return deferToThreadPool(self._reactor, self._pool, function, *args)

    def stop(self) -> None:
        """Wait for the thread and end it."""
        self._reactor.removeSystemEventTrigger(self._trigger)
        self._pool.stop()


class InlineExecutor:
    """The caller's thread, at once: for networks on a virtual clock."""

    def run(self, function: Callable[..., T], *args: Any) -> Deferred[T]:
        """Call *function* now."""
        return execute(function, *args)

    def stop(self) -> None:
        """Nothing to end."""


class Database:
    """Queries, grouped into transactions.

    *package* has the file's migrations; *unusable* is raised, with ``path`` and ``why``, when the
    file cannot be opened, read or written.
    """

    def __init__(
        self, path: Path, executor: Executor, package: str, unusable: type[MixminionError]
    ) -> None:
        self._path = path
        self._executor = executor
        self._package = package
        self._unusable = unusable
        self._connection: sqlite3.Connection | None = None
        self._queued: list[tuple[Query[Any], Deferred[Any]]] = []
        self._busy = False
        self._closed = False

    def run(self, query: Query[T]) -> Deferred[T]:
        """The result of ``query(connection)``, after its commit.

        A query that raises takes the whole group with it: all are rolled back and all fail.

        :raises MixminionError: what *unusable* is (as failure).
        """
        if self._closed:
            raise RuntimeError("the database is closed")
        waiting: Deferred[T] = Deferred()
        self._queued.append((query, waiting))
        if not self._busy:
            _ = Deferred.fromCoroutine(self._commit_queued())
        return waiting

    async def close(self) -> None:
        """Returns when what was queued is committed and the file is closed."""
        if self._closed:
            return
        if self._busy:
            await self.run(lambda connection: None)
        self._closed = True
        await self._executor.run(self._close_file)
        self._executor.stop()

    async def _commit_queued(self) -> None:
        self._busy = True
        while self._queued:
            group, self._queued = self._queued, []
            try:
                results = await self._executor.run(self._transact, [query for query, _ in group])
            except Exception:
                failure = Failure()
                for _, waiting in group:
                    waiting.errback(failure)
            else:
                for (_, waiting), result in zip(group, results, strict=True):
                    waiting.callback(result)
        self._busy = False

    # -- in the executor --

    def _transact(self, queries: list[Query[Any]]) -> list[Any]:
        try:
            if self._connection is None:
                self._connection = open_file(self._path, self._package)
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                results = [query(self._connection) for query in queries]
                self._connection.execute("COMMIT")
                return results
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(path=str(self._path), why=str(error)) from None

    def _close_file(self) -> None:
        if self._connection is not None:
            self._connection.close()


def open_file(path: Path, package: str) -> sqlite3.Connection:
    """Open the file; make it, private, when there is none."""
    private.make_folder(path.parent)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    private.check(path)
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")
    migrations.apply(connection, migrations.scripts(package), path=str(path))
    return connection
