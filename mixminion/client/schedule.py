"""The moment of the next fetch, kept on disk, so that a program that is started again does not
ask because it was started."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from twisted.internet.defer import Deferred

from mixminion.client import life
from mixminion.client.database import Database
from mixminion.directory.consensus import Consensus
from mixminion.interfaces import Clock, Random


class Schedule:
    """When the directory is fetched next."""

    def __init__(self, database: Database, clock: Clock, random: Random) -> None:
        self._database = database
        self._clock = clock
        self._random = random

    def due(self) -> Deferred[float | None]:
        """The moment, Unix seconds; None before the first fetch."""

        def query(connection: sqlite3.Connection) -> float | None:
            row = connection.execute("SELECT due FROM fetches").fetchone()
            return None if row is None else float(row[0])

        return self._database.run(query)

    def fetched(self, consensus: Consensus) -> Deferred[float]:
        """This one has been fetched now; when the next one is to be."""
        due = life.next_fetch(consensus, self._clock.seconds(), self._random)
        return self._set(lambda failures: (due, 0))

    def failed(self, interval: float) -> Deferred[float]:
        """A fetch came to nothing; when the next one is to be.  *interval* is the network's."""
        now, draw = self._clock.seconds(), self._random.uniform()
        return self._set(
            lambda failures: (now + life.retry(failures, interval, draw), failures + 1)
        )

    def _set(self, decide: Callable[[int], tuple[float, int]]) -> Deferred[float]:
        def query(connection: sqlite3.Connection) -> float:
            row = connection.execute("SELECT failures FROM fetches").fetchone()
            due, failures = decide(0 if row is None else row[0])
            connection.execute("INSERT OR REPLACE INTO fetches VALUES (1, ?, ?)", (due, failures))
            return due

        return self._database.run(query)
