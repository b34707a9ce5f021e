"""What is kept for long: said, and at last deleted where the configuration wants that."""

from __future__ import annotations

import sqlite3

from twisted.internet.defer import Deferred

from mixminion.client import receipt_rows
from mixminion.client.database import Database
from mixminion.client.progress import Deleted, KeptLong
from mixminion.client.sections import OutboxSection
from mixminion.interfaces import Clock


class Aging:
    """The ages of what one outbox keeps.  They are counted from the hour in which it came, which
    is all that is written down."""

    def __init__(self, database: Database, section: OutboxSection, clock: Clock) -> None:
        self._database = database
        self._section = section
        self._clock = clock

    def look(self) -> Deferred[list[KeptLong | Deleted]]:
        """Delete what is too old, and say what is old."""
        now, section = self._clock.seconds(), self._section
        warn = now - section.warn_after
        delete = None if section.delete_after is None else now - section.delete_after

        def query(connection: sqlite3.Connection) -> list[KeptLong | Deleted]:
            events: list[KeptLong | Deleted] = []
            if delete is not None and (found := _older(connection, delete)):
                _delete(connection, delete)
                events.append(Deleted(*found))
            if found := _older(connection, warn):
                events.append(KeptLong(*found))
            return events

        return self._database.run(query)


def _older(connection: sqlite3.Connection, moment: float) -> tuple[int, int] | None:
    """How many packets and blocks came before *moment*, and the oldest one's hour."""
    packets, oldest = connection.execute(
        "SELECT count(*), min(hour) FROM (SELECT hour FROM packets UNION ALL"
        " SELECT hour FROM messages JOIN blocks ON message = id) WHERE hour < ?",
        (moment,),
    ).fetchone()
    return (packets, oldest) if packets else None


def _delete(connection: sqlite3.Connection, moment: float) -> None:
    old = connection.execute("SELECT id FROM messages WHERE hour < ?", (moment,)).fetchall()
    receipt_rows.withdrawn(connection, [id for (id,) in old])
    connection.execute("DELETE FROM packets WHERE hour < ?", (moment,))
    connection.execute(
        "DELETE FROM blocks WHERE message IN (SELECT id FROM messages WHERE hour < ?)", (moment,)
    )
    connection.execute(
        "DELETE FROM messages WHERE id NOT IN (SELECT message FROM blocks)"
        " AND id NOT IN (SELECT part_of FROM packets WHERE part_of IS NOT NULL)"
    )
