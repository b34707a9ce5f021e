import os
import sqlite3
import stat
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from mixminion.client.database import Database, InlineExecutor, ThreadExecutor
from mixminion.client.errors import StateUnusable
from mixminion.disk.errors import PrivateFileError
from mixminion.disk.migrations import NewerState
from mixminion.testing.cases import AsyncTestCase, SyncTestCase


class SlowExecutor:
    """Runs each call when the test says so."""

    def __init__(self):
        self.calls = []

    def run(self, function, *args):
        deferred: Deferred[object] = Deferred()
        self.calls.append((deferred, function, args))
        return deferred

    def stop(self):
        pass

    def go(self):
        deferred, function, args = self.calls.pop(0)
        try:
            deferred.callback(function(*args))
        except Exception as error:
            deferred.errback(error)


def put(name):
    return lambda c: (
        c.execute(
            "INSERT INTO packets (id, state, entry, period, hour, packet)"
            " VALUES (?, 'handed', '', 0, 0, '')",
            (ord(name),),
        ).rowcount
    )


def names(connection):
    return [chr(id) for (id,) in connection.execute("SELECT id FROM packets ORDER BY id")]


class DatabaseTests(SyncTestCase):
    """One file, one thread, commits in groups."""

    def setUp(self):
        self.path = Path(self.mktemp()) / "state" / "client.sqlite"

    def open(self, executor=None):
        return Database(self.path, executor or InlineExecutor())

    def test_private(self):
        """The file and its folder are made private, whatever the umask; so is what SQLite adds."""
        umask = os.umask(0)
        self.addCleanup(os.umask, umask)
        database = self.open()
        self.successResultOf(database.run(put("a")))
        for path in (self.path, self.path.with_name("client.sqlite-wal")):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600, path)
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o700)
        self.successResultOf(Deferred.fromCoroutine(database.close()))

    def test_readable_by_others(self):
        """A state file that others may read is refused."""
        database = self.open()
        self.successResultOf(database.run(names))
        self.successResultOf(Deferred.fromCoroutine(database.close()))
        self.path.chmod(0o644)
        self.failureResultOf(self.open().run(names), PrivateFileError)

    def test_groups(self):
        """What is asked during a commit is committed together by the next one."""
        executor = SlowExecutor()
        database = self.open(executor)
        first = database.run(put("a"))
        rest = [database.run(put(name)) for name in "bcd"]
        self.assertEqual(len(executor.calls), 1)
        executor.go()
        self.assertEqual(self.successResultOf(first), 1)
        self.assertEqual(len(executor.calls), 1)
        self.assertNoResult(rest[0])
        executor.go()
        self.assertEqual([self.successResultOf(each) for each in rest], [1, 1, 1])
        closed = Deferred.fromCoroutine(database.close())
        executor.go()
        self.successResultOf(closed)

    def test_failure(self):
        """A query that fails takes its group with it, and the next group goes on."""
        executor = SlowExecutor()
        database = self.open(executor)
        database.run(put("a"))
        together = [database.run(put("b")), database.run(put("a"))]
        executor.go()
        executor.go()
        for each in together:
            self.failureResultOf(each, StateUnusable)
        after = database.run(names)
        closed = Deferred.fromCoroutine(database.close())
        executor.go()
        self.assertEqual(self.successResultOf(after), ["a"])
        executor.go()
        executor.go()
        self.successResultOf(closed)

    def test_kept(self):
        """What was committed is there when the file is opened again."""
        database = self.open()
        self.successResultOf(database.run(put("a")))
        self.successResultOf(Deferred.fromCoroutine(database.close()))
        self.assertEqual(self.successResultOf(self.open().run(names)), ["a"])

    def test_full_synchronous(self):
        """Commits are on the disk when they are answered."""
        query = self.open().run(lambda c: c.execute("PRAGMA synchronous").fetchone())
        self.assertEqual(self.successResultOf(query), (2,))

    def test_newer(self):
        """A file of a later release is not touched."""
        self.successResultOf(self.open().run(names))
        with sqlite3.connect(self.path) as connection:
            connection.execute("PRAGMA user_version = 99")
        self.failureResultOf(self.open().run(names), NewerState)

    def test_no_database(self):
        """A file that is no database is one sentence."""
        database = self.open()
        self.successResultOf(database.run(names))
        self.successResultOf(Deferred.fromCoroutine(database.close()))
        self.path.write_bytes(b"something else " * 100)
        self.failureResultOf(self.open().run(names), StateUnusable)


class ThreadTests(AsyncTestCase):
    """The same in a real thread."""

    async def test_thread(self):
        """Queries from the reactor's thread come back to it."""
        path = Path(self.mktemp()) / "client.sqlite"
        database = Database(path, ThreadExecutor(reactor))
        waiting = [database.run(put(chr(n))) for n in range(100)]
        self.assertEqual([await each for each in waiting], [1] * 100)
        self.assertEqual(len(await database.run(names)), 100)
        await database.close()
