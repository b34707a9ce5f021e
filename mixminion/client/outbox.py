"""The outbox: packets are written here before anything is sent, and leave it when the entry
has them on its disk.

A packet is *new* until it is given to a transport and *handed* from then on.  A new one that
misses its key period is built again from its message; a handed one is only ever sent as it
is, so that the receiver's tags recognise it, and its message is forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from mixminion.client.database import Database


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet built, and what it was built from."""

    entry: bytes  #: identity of the server that takes it, 32 octets
    period: int  #: the key period it was built for
    octets: bytes
    path: str  #: in path language
    message: bytes  #: exit, recipients and content, as :mod:`mixminion.payload.message` writes them


@dataclass(frozen=True, slots=True)
class Waiting:
    """A packet of the outbox, without its octets."""

    id: int
    entry: bytes
    period: int
    hour: int  #: Unix seconds, rounded down to the hour
    handed: bool  #: whether it was ever given to a transport


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a new packet is built again from."""

    path: str
    message: bytes


class Outbox:
    """The packets of one state file.  Every Deferred fires after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, packet: Packet, now: float) -> Deferred[int]:
        """Keep a new packet; its id."""

        def query(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(
                "INSERT INTO packets (state, entry, period, hour, packet, path, message)"
                " VALUES ('new', ?, ?, ?, ?, ?, ?)",
                (
                    packet.entry,
                    packet.period,
                    int(now // 3600) * 3600,
                    packet.octets,
                    packet.path,
                    packet.message,
                ),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

        return self._database.run(query)

    def replace(self, id: int, packet: Packet) -> Deferred[bool]:
        """Put *packet* in the place of a new one; False when it was handed over meanwhile."""

        def query(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "UPDATE packets SET entry = ?, period = ?, packet = ?, path = ?, message = ?"
                " WHERE id = ? AND state = 'new'",
                (packet.entry, packet.period, packet.octets, packet.path, packet.message, id),
            )
            return cursor.rowcount == 1

        return self._database.run(query)

    def hand(self, ids: Sequence[int]) -> Deferred[list[bytes | None]]:
        """Mark packets as handed to a transport; their octets, None for one that is gone."""

        def query(connection: sqlite3.Connection) -> list[bytes | None]:
            connection.executemany(
                "UPDATE packets SET state = 'handed', path = NULL, message = NULL"
                " WHERE id = ? AND state = 'new'",
                [(id,) for id in ids],
            )
            rows = [
                connection.execute("SELECT packet FROM packets WHERE id = ?", (id,)).fetchone()
                for id in ids
            ]
            return [None if row is None else row[0] for row in rows]

        return self._database.run(query)

    def delete(self, ids: Sequence[int]) -> Deferred[int]:
        """Forget packets; how many were there."""

        def query(connection: sqlite3.Connection) -> int:
            return sum(
                connection.execute("DELETE FROM packets WHERE id = ?", (id,)).rowcount for id in ids
            )

        return self._database.run(query)

    def waiting(self) -> Deferred[list[Waiting]]:
        """Everything that is kept, oldest first."""

        def query(connection: sqlite3.Connection) -> list[Waiting]:
            rows = connection.execute(
                "SELECT id, entry, period, hour, state = 'handed' FROM packets ORDER BY id"
            )
            return [
                Waiting(id, entry, period, hour, bool(handed))
                for id, entry, period, hour, handed in rows
            ]

        return self._database.run(query)

    def recipe(self, id: int) -> Deferred[Recipe | None]:
        """What a new packet was built from; None for one that was handed over or is gone."""

        def query(connection: sqlite3.Connection) -> Recipe | None:
            row = connection.execute(
                "SELECT path, message FROM packets WHERE id = ? AND state = 'new'", (id,)
            ).fetchone()
            return None if row is None else Recipe(*row)

        return self._database.run(query)
