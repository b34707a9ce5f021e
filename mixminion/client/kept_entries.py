"""Our own entries, in the state file (:mod:`mixminion.paths.entries` has the rules)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mixminion.client.database import Database
from mixminion.client.errors import StateUnusable
from mixminion.client.path_errors import NotAnEntry
from mixminion.directory.view import View
from mixminion.interfaces import Clock, Random
from mixminion.paths import entries
from mixminion.paths.entries import EntryRole, KeptEntry
from mixminion.paths.preferences import Lists, Preferences

__all__ = ["EntryRole", "KeptEntries", "KeptEntry"]

_COLUMNS = "identity, nickname, drawn, until, absent, silent, failed, failures, worked"


class KeptEntries:
    """Those of one state file; *lists* are the configuration's."""

    def __init__(self, database: Database, clock: Clock, random: Random, lists: Lists) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self.lists = lists

    async def preferences(self, view: View, avoiding: Collection[bytes] = ()) -> Preferences:
        """What paths of packets that leave here keep to; the entries are drawn, or replaced, if
        need be.  With identities in *avoiding* it is the other one in use alone."""
        kept = await self.current(view)
        now = self._clock.seconds()
        return entries.preferences(kept, view, self.lists, now=now, avoiding=avoiding)

    async def standing(self, view: View) -> list[tuple[KeptEntry, EntryRole]]:
        """All of them, and what each is for at the moment."""
        kept = await self.current(view)
        return list(zip(kept, entries.roles(kept, view, self._clock.seconds()), strict=True))

    def current(self, view: View) -> Deferred[list[KeptEntry]]:
        """All of them, after a look at the directory."""
        now = self._clock.seconds()

        def query(connection: sqlite3.Connection) -> list[KeptEntry]:
            before = _read(connection)
            after = entries.revise(before, view, self.lists, now=now, random=self._random)
            if after != before:
                _write(connection, after)
            return after

        return self._database.run(query)

    def observe(self, identity: bytes, worked: bool) -> None:
        """What a link tells: see :meth:`worked` and :meth:`failed`."""
        noting = self.worked(identity) if worked else self.failed(identity)
        _ = noting.addErrback(_unnoted)

    def failed(self, identity: bytes) -> Deferred[None]:
        """A server did not take what it was given; nothing if it is no entry."""
        return self._change(identity, lambda entry: entry.after_failure(self._clock.seconds()))

    def worked(self, identity: bytes) -> Deferred[None]:
        """It did."""
        return self._change(identity, lambda entry: entry.after_success(self._clock.seconds()))

    async def forget(self, nicknames: Iterable[str]) -> None:
        """Let entries go, all where none is named; others are drawn when they are needed.

        :raises NotAnEntry: there is none of that nickname; nothing was changed.
        """
        names = {name.lower(): name for name in nicknames}

        def query(connection: sqlite3.Connection) -> list[str]:
            kept = _read(connection)
            unknown = names.keys() - {each.nickname.lower() for each in kept}
            if not unknown:
                gone = names or {each.nickname.lower() for each in kept}
                _write(connection, [each for each in kept if each.nickname.lower() not in gone])
            return sorted(unknown)

        unknown = await self._database.run(query)
        if unknown:
            raise NotAnEntry(name=names[unknown[0]])

    def _change(self, identity: bytes, change: Callable[[KeptEntry], KeptEntry]) -> Deferred[None]:
        def query(connection: sqlite3.Connection) -> None:
            before = _read(connection)
            after = [change(each) if each.identity == identity else each for each in before]
            if after != before:
                _write(connection, after)

        return self._database.run(query)


def _unnoted(failure: Failure) -> None:
    """The state cannot be written: whoever needs it hears of that, and no entry is worth it."""
    failure.trap(StateUnusable)


def _read(connection: sqlite3.Connection) -> list[KeptEntry]:
    return [
        KeptEntry(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM entries ORDER BY id")
    ]


def _write(connection: sqlite3.Connection, kept: Iterable[KeptEntry]) -> None:
    connection.execute("DELETE FROM entries")
    connection.executemany(
        f"INSERT INTO entries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (each.identity, each.nickname, each.drawn, each.until, each.absent)
            + (each.silent, each.failed, each.failures, each.worked)
            for each in kept
        ],
    )
