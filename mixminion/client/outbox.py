"""The outbox: packets are written here before anything is sent, and leave it when the entry
has them on its disk.

A packet is *new* until it is given to a transport and *handed* from then on.  A new one that
misses its key period is built again from its message; a handed one is only ever sent as it
is, so that the receiver's tags recognise it, and its message is forgotten.

A message in fragments is kept first, in blocks, and its packets are built a block at a time: in one
transaction they come and the block goes, so that each block is built once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from mixminion.client import receipt_rows, withdrawing
from mixminion.client.database import Database
from mixminion.client.withdrawing import Withdrawal
from mixminion.payload.fragments import Whole

REMEMBERED = 30 * 86_400
"""Seconds for which a used reply block is known after nobody can use it any more."""


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet built, and what it was built from."""

    entry: bytes  #: identity of the server that takes it, 32 octets
    period: int  #: the key period it was built for
    octets: bytes
    path: str  #: in path language
    message: bytes
    """Exit, recipients and content, as :mod:`mixminion.payload.message` writes them, or a fragment
    of that, as :mod:`mixminion.payload.fragments` does."""
    part_of: int | None = None  #: the message that it is a fragment of
    block: bytes | None = None  #: the reply block that it answers; its *message* is a frame then


@dataclass(frozen=True, slots=True)
class Large:
    """A message in fragments, without its octets: how it travels."""

    whole: Whole
    copies: int
    exit: str
    server: bytes  #: identity of the server that puts it together
    path: str  #: in path language


@dataclass(frozen=True, slots=True)
class Unbuilt:
    """A message of which ``blocks`` were not built yet."""

    id: int
    hour: int  #: Unix seconds, rounded down to the hour
    blocks: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A packet of the outbox, without its octets."""

    id: int
    entry: bytes
    period: int
    hour: int  #: Unix seconds, rounded down to the hour
    handed: bool  #: whether it was ever given to a transport
    part_of: int | None = None  #: the message that it is a fragment of
    answers: bool = False  #: whether it answers a reply block, and was not handed over yet
    carried: bool = False  #: whether it was given to a file, for another machine to send


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a new packet is built again from."""

    path: str
    message: bytes
    part_of: int | None = None
    block: bytes | None = None


class Outbox:
    """The packets of one state file.  Every Deferred fires after the commit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, packet: Packet, now: float) -> Deferred[int]:
        """Keep a new packet; its id."""

        return self._database.run(lambda connection: _insert(connection, packet, now))

    def add_replies(
        self, packets: Sequence[Packet], digests: Mapping[bytes, int], now: float, *, again: bool
    ) -> Deferred[list[int]]:
        """Keep the packets of one answer and, by their *digests* in the same order with the dates
        until which they are usable, that their reply blocks are used; their ids, none when one
        was used already and not *again*.  Of several packets the first one's id is what they are
        parts of."""

        def query(connection: sqlite3.Connection) -> list[int]:
            if not again and _used(connection, digests):
                return []
            connection.execute("DELETE FROM used_blocks WHERE until < ?", (now - REMEMBERED,))
            ids = [_insert(connection, packet, now) for packet in packets]
            connection.executemany(
                "INSERT OR IGNORE INTO used_blocks (digest, until, packet) VALUES (?, ?, ?)",
                [(*used, id) for used, id in zip(digests.items(), ids, strict=True)],
            )
            if len(ids) > 1:
                connection.executemany(
                    "UPDATE packets SET part_of = ? WHERE id = ?", [(ids[0], id) for id in ids]
                )
            return ids

        return self._database.run(query)

    def used_blocks(self, digests: Iterable[bytes]) -> Deferred[set[bytes]]:
        """Those of the reply blocks of these digests that were used."""
        wanted = list(digests)
        return self._database.run(lambda connection: _used(connection, wanted))

    def add_large(self, large: Large, blocks: Iterable[bytes], now: float) -> Deferred[int]:
        """Keep a message whose packets are yet to be built, in *blocks*; its number."""

        return self._database.run(lambda connection: insert_large(connection, large, blocks, now))

    def large(self, id: int) -> Deferred[Large | None]:
        """A message in fragments; None when nothing of it is here."""

        def query(connection: sqlite3.Connection) -> Large | None:
            row = connection.execute(
                "SELECT name, coding, size, piece, copies, exit, server, path FROM messages"
                " WHERE id = ?",
                (id,),
            ).fetchone()
            if row is None:
                return None
            name, coding, size, piece, *rest = row
            return Large(Whole.of(name, coding, size, piece), *rest)

        return self._database.run(query)

    def next_block(self, id: int) -> Deferred[tuple[int, bytes] | None]:
        """Number and octets of a message's first block that was not built; None after the last."""

        def query(connection: sqlite3.Connection) -> tuple[int, bytes] | None:
            found: tuple[int, bytes] | None = connection.execute(
                "SELECT number, octets FROM blocks WHERE message = ? ORDER BY number LIMIT 1", (id,)
            ).fetchone()
            return found

        return self._database.run(query)

    def built(
        self, id: int, number: int, packets: Sequence[Packet], now: float
    ) -> Deferred[list[int]]:
        """Put *packets* in the place of a block; their ids, none when another process did it."""

        def query(connection: sqlite3.Connection) -> list[int]:
            deleted = connection.execute(
                "DELETE FROM blocks WHERE message = ? AND number = ?", (id, number)
            )
            if not deleted.rowcount:
                return []
            return [_insert(connection, packet, now) for packet in packets]

        return self._database.run(query)

    def unbuilt(self) -> Deferred[list[Unbuilt]]:
        """Messages of which blocks were not built, oldest first."""

        def query(connection: sqlite3.Connection) -> list[Unbuilt]:
            rows = connection.execute(
                "SELECT id, hour, count(*) FROM messages JOIN blocks ON message = id"
                " GROUP BY id ORDER BY id"
            )
            return [Unbuilt(*row) for row in rows]

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
        """Mark packets as handed to a transport; their octets, None for one that is gone,
        or that another machine sends."""

        def query(connection: sqlite3.Connection) -> list[bytes | None]:
            connection.executemany(
                "UPDATE packets SET state = 'handed', path = NULL, message = NULL, block = NULL"
                " WHERE id = ? AND state = 'new'",
                [(id,) for id in ids],
            )
            rows = [
                connection.execute(
                    "SELECT packet FROM packets WHERE id = ? AND carried IS NULL", (id,)
                ).fetchone()
                for id in ids
            ]
            return [None if row is None else row[0] for row in rows]

        return self._database.run(query)

    def delete(self, ids: Sequence[int]) -> Deferred[int]:
        """Forget packets; how many were there."""

        def query(connection: sqlite3.Connection) -> int:
            deleted = sum(
                connection.execute("DELETE FROM packets WHERE id = ?", (id,)).rowcount for id in ids
            )
            connection.execute(
                "DELETE FROM messages WHERE id NOT IN (SELECT message FROM blocks)"
                " AND id NOT IN (SELECT part_of FROM packets WHERE part_of IS NOT NULL)"
            )
            return deleted

        return self._database.run(query)

    def delete_large(self, ids: Sequence[int]) -> Deferred[int]:
        """Forget messages in fragments, whatever of them is here; how many packets that were,
        blocks that were not built counted as one."""

        def query(connection: sqlite3.Connection) -> int:
            deleted = 0
            for id in ids:
                for table, column in (("packets", "part_of"), ("blocks", "message")):
                    deleted += connection.execute(
                        f"DELETE FROM {table} WHERE {column} = ?", (id,)
                    ).rowcount
                connection.execute("DELETE FROM messages WHERE id = ?", (id,))
            receipt_rows.withdrawn(connection, ids)
            return deleted

        return self._database.run(query)

    def withdraw(self, id: int) -> Deferred[Withdrawal]:
        """See :func:`mixminion.client.withdrawing.withdraw`."""
        return withdrawing.withdraw(self._database, id)

    def waiting(self) -> Deferred[list[Waiting]]:
        """Everything that is kept, oldest first."""

        def query(connection: sqlite3.Connection) -> list[Waiting]:
            rows = connection.execute(
                "SELECT id, entry, period, hour, state = 'handed', part_of, block IS NOT NULL,"
                " carried IS NOT NULL FROM packets ORDER BY id"
            )
            return [
                Waiting(
                    id, entry, period, hour, bool(handed), part_of, bool(answers), bool(carried)
                )
                for id, entry, period, hour, handed, part_of, answers, carried in rows
            ]

        return self._database.run(query)

    def recipe(self, id: int) -> Deferred[Recipe | None]:
        """What a new packet was built from; None for one that was handed over or is gone."""

        def query(connection: sqlite3.Connection) -> Recipe | None:
            row = connection.execute(
                "SELECT path, message, part_of, block FROM packets WHERE id = ? AND state = 'new'",
                (id,),
            ).fetchone()
            return None if row is None else Recipe(*row)

        return self._database.run(query)


def insert_large(
    connection: sqlite3.Connection, large: Large, blocks: Iterable[bytes], now: float
) -> int:
    """See :meth:`Outbox.add_large`, within the caller's transaction."""
    whole = large.whole
    id = _insert(connection, Packet(large.server, 0, b"", "", b""), now)
    connection.execute("DELETE FROM packets WHERE id = ?", (id,))  # the number stays ours
    connection.execute(
        "INSERT INTO messages (id, hour, name, coding, size, piece, copies, exit, server,"
        " path) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (id, hour(now), whole.id, whole.code, whole.size, whole.piece)
        + (large.copies, large.exit, large.server, large.path),
    )
    for number, octets in enumerate(blocks):
        connection.execute("INSERT INTO blocks VALUES (?, ?, ?)", (id, number, octets))
    return id


def _used(connection: sqlite3.Connection, digests: Iterable[bytes]) -> set[bytes]:
    find = "SELECT 1 FROM used_blocks WHERE digest = ?"
    return {each for each in digests if connection.execute(find, (each,)).fetchone()}


def _insert(connection: sqlite3.Connection, packet: Packet, now: float) -> int:
    cursor = connection.execute(
        "INSERT INTO packets (state, entry, period, hour, packet, path, message, part_of, block)"
        " VALUES ('new', ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            packet.entry,
            packet.period,
            hour(now),
            packet.octets,
            packet.path,
            packet.message,
            packet.part_of,
            packet.block,
        ),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def hour(now: float) -> int:
    """When something was written, as far as it is written down."""
    return int(now // 3600) * 3600
