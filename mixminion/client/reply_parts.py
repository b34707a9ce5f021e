"""Replies in several parts, until they are complete: each part sealed to its identity.

Parts are of one reply when their fragments say so and their reply blocks are of one identity:
somebody who holds blocks of two of them must not find out that they are one person's by answering
each with a half.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from mixminion.client.database import Database
from mixminion.client.identities import Identity, Unlocked
from mixminion.client.reply_errors import DamagedReply, NoSuchReply, PartsLacking, TooMuch
from mixminion.crypto import hpke
from mixminion.errors import UserError
from mixminion.interfaces import Clock
from mixminion.payload import joined
from mixminion.payload.errors import BadPayload, Problem
from mixminion.payload.fragments import Coding, Fragment, Whole

EXPIRY = 60 * 86_400
"""Seconds after its first part for which a reply waits for the others: longer than mailboxes hold
and reply blocks live."""

INFO = b"mixminion2 reply part "
"""What is sealed to an identity; the fragment's id, block and number follow."""

_Held = tuple[Whole, list[tuple[int, int, bytes]]]


@dataclass(frozen=True, slots=True)
class PartialReply:
    """A reply of which ``have`` parts are here and ``lacking`` more have to come at least.

    ``size`` is octets as they were sent, maybe deflated; ``hour`` when the first part came, in
    Unix seconds rounded down to the hour, and ``expires`` when those that are here are deleted.
    """

    number: int
    identity: str
    size: int
    have: int
    lacking: int
    hour: int
    expires: int

    @property
    def complete(self) -> bool:
        """Whether it can be put together."""
        return not self.lacking


@dataclass(frozen=True, slots=True)
class Added:
    """Where a part went: the reply's number, how many parts are here and lacking, and whether the
    reply was read already."""

    number: int
    have: int
    lacking: int
    over: bool


class ReplyParts:
    """The parts of one state file."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, identity: Identity, part: Fragment) -> Deferred[Added]:
        """Keep a part, unless it is not needed."""
        now = self._clock.seconds()
        sealed = hpke.seal(identity.public, part.octets, _info(part.whole, part.block, part.index))

        def query(connection: sqlite3.Connection) -> Added:
            _purge(connection, now)
            number, over = _find(connection, identity, part.whole, now)
            counts = _counts(connection, number)
            if not over and counts.get(part.block, 0) < part.whole.data(part.block):
                inserted = connection.execute(
                    "INSERT OR IGNORE INTO reply_parts VALUES (?, ?, ?, ?)",
                    (number, part.block, part.index, sealed),
                )
                if inserted.rowcount:
                    counts[part.block] = counts.get(part.block, 0) + 1
            lacking = joined.lacking(part.whole, counts)
            return Added(number, sum(counts.values()), lacking, over)

        return self._database.run(query)

    def all(self) -> Deferred[list[PartialReply]]:
        """Every reply of which parts are here, the oldest first."""

        def query(connection: sqlite3.Connection) -> list[PartialReply]:
            rows = connection.execute(
                "SELECT partial_replies.id, coding, size, piece, hour, identities.name"
                " FROM partial_replies LEFT JOIN identities ON identities.id = identity"
                " WHERE NOT done ORDER BY partial_replies.id"
            ).fetchall()
            found = []
            for number, coding, size, piece, hour, name in rows:
                counts = _counts(connection, number)
                lacking = joined.lacking(Whole(b"", Coding(coding), size, piece), counts)
                have = sum(counts.values())
                found.append(
                    PartialReply(number, name or "", size, have, lacking, hour, hour + EXPIRY)
                )
            return found

        return self._database.run(query)

    async def owner(self, number: int) -> int:
        """The id of the identity whose reply it is.

        :raises NoSuchReply: there is none of that number.
        """

        def query(connection: sqlite3.Connection) -> int | None:
            row = connection.execute(
                "SELECT identity FROM partial_replies WHERE id = ? AND NOT done", (number,)
            ).fetchone()
            return None if row is None else int(row[0])

        found = await self._database.run(query)
        if found is None:
            raise NoSuchReply(number=number)
        return found

    async def join(self, number: int, unlocked: Unlocked, limit: int) -> bytes:
        """Put one together: at most *limit* octets.  Its parts stay, until :func:`done`.

        :raises NoSuchReply: there is none of that number, or it is another identity's.
        :raises PartsLacking: it is not complete.
        :raises TooMuch: there are more octets.
        :raises DamagedReply: they do not expand.
        """

        def query(connection: sqlite3.Connection) -> UserError | _Held:
            row = connection.execute(
                "SELECT name, coding, size, piece FROM partial_replies"
                " WHERE id = ? AND identity = ? AND NOT done",
                (number, unlocked.identity.id),
            ).fetchone()
            if row is None:
                return NoSuchReply(number=number)
            name, coding, size, piece = row
            whole = Whole(name, Coding(coding), size, piece)
            lacking = joined.lacking(whole, _counts(connection, number))
            if lacking:
                return PartsLacking(number=number, lacking=lacking)
            if whole.coding is Coding.PLAIN and size > limit:
                return TooMuch(limit=limit)
            rows = connection.execute(
                "SELECT block, number, octets FROM reply_parts WHERE reply = ?", (number,)
            )
            return whole, rows.fetchall()

        held = await self._database.run(query)
        if isinstance(held, UserError):  # not raised in there: others' queries would fail with it
            raise held
        whole, rows = held
        pieces: dict[int, dict[int, bytes]] = {}
        for block, index, sealed in rows:
            opened = unlocked.open(sealed, _info(whole, block, index))
            if opened is None:
                raise DamagedReply(handle=f"in parts, number {number}")
            pieces.setdefault(block, {})[index] = opened
        try:
            return joined.join(whole, pieces, limit)
        except BadPayload as error:
            if error.problem is Problem.SIZE:
                raise TooMuch(limit=limit) from None
            raise DamagedReply(handle=f"in parts, number {number}") from None

    def purge(self, numbers: Iterable[int]) -> Deferred[int]:
        """Delete these replies' parts, and those that have waited too long; how many replies."""
        given, now = list(numbers), self._clock.seconds()

        def query(connection: sqlite3.Connection) -> int:
            return sum(_delete(connection, number) for number in given) + _purge(connection, now)

        return self._database.run(query)


def done(connection: sqlite3.Connection, number: int) -> None:
    """The reply of that number was read: its parts go, and what else comes of it is known."""
    connection.execute("UPDATE partial_replies SET done = 1 WHERE id = ?", (number,))
    connection.execute("DELETE FROM reply_parts WHERE reply = ?", (number,))


def _info(whole: Whole, block: int, index: int) -> bytes:
    return INFO + whole.id + block.to_bytes(2) + bytes((index,))


def _find(
    connection: sqlite3.Connection, identity: Identity, whole: Whole, now: float
) -> tuple[int, bool]:
    """The reply's number, and whether it was read; written down when it is new."""
    values = identity.id, whole.id, int(whole.coding), whole.size, whole.piece
    connection.execute(
        "INSERT OR IGNORE INTO partial_replies (identity, name, coding, size, piece, hour)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (*values, int(now // 3600) * 3600),
    )
    number, over = connection.execute(
        "SELECT id, done FROM partial_replies"
        " WHERE identity = ? AND name = ? AND coding = ? AND size = ? AND piece = ?",
        values,
    ).fetchone()
    return int(number), bool(over)


def _counts(connection: sqlite3.Connection, number: int) -> dict[int, int]:
    rows = connection.execute(
        "SELECT block, count(*) FROM reply_parts WHERE reply = ? GROUP BY block", (number,)
    )
    return dict(rows.fetchall())


def _purge(connection: sqlite3.Connection, now: float) -> int:
    """Delete what has waited too long; how many replies' parts."""
    rows = connection.execute(
        "SELECT id, done FROM partial_replies WHERE hour < ?", (now - EXPIRY,)
    ).fetchall()
    for number, _ in rows:
        _delete(connection, number)
    return sum(not over for _, over in rows)


def _delete(connection: sqlite3.Connection, number: int) -> bool:
    connection.execute("DELETE FROM reply_parts WHERE reply = ?", (number,))
    deleted = connection.execute("DELETE FROM partial_replies WHERE id = ?", (number,))
    return deleted.rowcount == 1
