"""Calling a message back: what was never given to a transport is deleted, and the rest is told.

Whether a packet has left is decided in the transaction that marks it as handed over: either that
one is first, or the one here.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from mixminion.client import receipt_rows
from mixminion.client.database import Database
from mixminion.client.errors import AlreadyHandedOver
from mixminion.payload import fragments
from mixminion.payload.fragments import Whole


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of a message that was called back: ``packets`` of it were deleted and do not
    leave; ``left`` have, or may have.  Without an *id* it had not been kept yet, and is not."""

    id: int | None
    packets: int
    left: int


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The same, and the ids of the packets that were deleted."""

    cancelled: Cancelled
    ids: tuple[int, ...]


def withdraw(database: Database, id: int) -> Deferred[Withdrawal]:
    """Delete what has not left of the packet, or the message in fragments, of that number.

    :raises AlreadyHandedOver: nothing of it is here that has not (as failure).
    """

    def query(connection: sqlite3.Connection) -> Withdrawal | None:
        rows = connection.execute(
            "SELECT id, state FROM packets WHERE id = ? OR part_of = ?", (id, id)
        ).fetchall()
        new = [number for number, state in rows if state == "new"]
        packets, left = len(new), len(rows) - len(new)
        large = connection.execute(
            "SELECT name, coding, size, piece, copies FROM messages WHERE id = ?", (id,)
        ).fetchone()
        if large is not None:
            *whole, copies = large
            name, coding, size, piece = whole
            unbuilt = _unbuilt(connection, id, Whole.of(name, coding, size, piece), copies)
            packets += unbuilt
            left = fragments.number_of_packets(size, piece, copies) - packets
            connection.execute("DELETE FROM blocks WHERE message = ?", (id,))
        if not packets:
            return None
        connection.executemany("DELETE FROM packets WHERE id = ?", [(each,) for each in new])
        connection.execute(
            "DELETE FROM messages WHERE id = ? AND id NOT IN"
            " (SELECT part_of FROM packets WHERE part_of IS NOT NULL)",
            (id,),
        )
        receipt_rows.withdrawn(connection, [id])
        return Withdrawal(Cancelled(id, packets, left), tuple(new))

    return database.run(query).addCallback(_found, id)


def _unbuilt(connection: sqlite3.Connection, id: int, whole: Whole, copies: int) -> int:
    """How many packets the blocks would become that were not built."""
    rows = connection.execute("SELECT number FROM blocks WHERE message = ?", (id,))
    return sum(len(fragments.numbers(whole.data(number), copies)) for (number,) in rows)


def _found(withdrawal: Withdrawal | None, id: int) -> Withdrawal:
    if withdrawal is None:
        raise AlreadyHandedOver(id=id)
    return withdrawal
