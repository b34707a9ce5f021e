"""Receipts as the state file has them: what is waited for, what opens it, how it ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mixminion.sphinx import suites
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.surb import KEY, SurbKey

REMEMBERED = 60 * 86_400
"""Seconds for which a key is kept after its reply block can be used no more, since a mailbox may
hold what came by it."""


class ReceiptState(StrEnum):
    """What is known of a message whose sender wants a receipt."""

    WAITING = "waiting"
    ACCEPTED = "accepted"  #: the exit's next system has it, or a mailbox holds it
    REFUSED = "refused"  #: it was not taken, and is not tried again
    EXPIRED = "expired"  #: the exit could not hand it over in its time
    SILENT = "silent"  #: no receipt came, as often as it was sent
    WITHDRAWN = "withdrawn"  #: it was called back, or deleted from the outbox, before it left


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is known of one message.  ``number`` is its own, ``message`` that of its last attempt
    in the outbox, as :class:`~mixminion.client.progress.Sent` has it; times are Unix seconds, all
    but ``due`` rounded down to the hour."""

    number: int
    state: ReceiptState
    hour: int  #: when it was sent first
    attempts: int
    message: int
    due: float  #: when, without a receipt, it is sent again or given up
    reason: str | None = None  #: the exit's word
    date: int | None = None  #: when that was


@dataclass(frozen=True, slots=True)
class Pending:
    """A message that waits, with all that it takes to send it again."""

    number: int
    name: bytes = field(repr=False)
    path: str
    copies: int
    mailbox: int
    server: bytes
    tried: tuple[bytes, ...]
    attempt: int
    kept: int
    due: float
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Key:
    """What opens the receipt for the message *receipt*."""

    receipt: int
    geometry: Geometry
    key: SurbKey = field(repr=False)
    not_after: int = 0


def insert(connection: sqlite3.Connection, pending: Pending, hour: int) -> int:
    """Begin to wait; its number."""
    cursor = connection.execute(
        "INSERT INTO receipts (name, hour, state, path, copies, mailbox, server, tried, attempt,"
        " kept, due, message) VALUES (?, ?, 'waiting', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(pending.name, hour, pending.path, pending.copies, pending.mailbox, pending.server),
            *(b"".join(pending.tried), pending.attempt, pending.kept, pending.due, pending.message),
        ),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def sent_again(connection: sqlite3.Connection, pending: Pending) -> bool:
    """One more attempt is kept; False when somebody else was faster, or a receipt was."""
    return bool(
        connection.execute(
            "UPDATE receipts SET server = ?, tried = ?, attempt = ?, kept = ?, due = ?"
            " WHERE id = ? AND attempt = ? AND state = 'waiting'",
            (
                *(pending.server, b"".join(pending.tried), pending.attempt, pending.kept),
                *(pending.due, pending.number, pending.attempt - 1),
            ),
        ).rowcount
    )


def put_off(connection: sqlite3.Connection, number: int, due: float) -> None:
    """It is not due before then."""
    connection.execute("UPDATE receipts SET due = ? WHERE id = ?", (due, number))


def add_keys(connection: sqlite3.Connection, receipt: int, keys: Iterable[Key], now: float) -> None:
    """Remember what opens the receipt by each of its reply blocks; and forget what is of no use."""
    connection.execute("DELETE FROM receipt_keys WHERE not_after < ?", (now - REMEMBERED,))
    connection.executemany(
        "INSERT INTO receipt_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(each.key.surb_id, receipt, g.suite.name, g.hops, g.commands, g.packet),
                *(each.not_after, b"".join((*each.key.hops, each.key.key))),
            )
            for each in keys
            for g in [each.geometry]
        ],
    )


def key(connection: sqlite3.Connection, surb_id: bytes) -> Key | None:
    """What opens what came by that reply block; None when it is none of a receipt."""
    row = connection.execute(
        "SELECT receipt, suite, hops, commands, packet, not_after, key FROM receipt_keys"
        " WHERE surb_id = ?",
        (surb_id,),
    ).fetchone()
    if row is None:
        return None
    receipt, suite, hops, commands, packet, not_after, octets = row
    parts = [octets[at : at + KEY] for at in range(0, len(octets), KEY)]
    geometry = Geometry(suites.by_name(suite), hops, commands, packet)
    return Key(receipt, geometry, SurbKey(surb_id, tuple(parts[:-1]), parts[-1]), not_after)


def end(
    connection: sqlite3.Connection,
    number: int,
    state: ReceiptState,
    reason: str | None = None,
    date: int | None = None,
) -> None:
    """It is known what became of one, and its text is not needed any more.

    A receipt that comes after all is believed as long as there was none: what was silent, or
    expired at one server and went by another, may turn out to be accepted.
    """
    connection.execute(
        "UPDATE receipts SET state = ?, reason = ?, date = ?, message = NULL"
        " WHERE id = ? AND (state IN ('waiting', 'silent', 'withdrawn')"
        " OR (? = 'accepted' AND state != 'accepted'))",
        (state, reason, date, number, state),
    )


def withdrawn(connection: sqlite3.Connection, kept: Sequence[int]) -> None:
    """These were deleted from the outbox: what waits for a receipt of them is not sent again."""
    connection.executemany(
        "UPDATE receipts SET state = 'withdrawn', message = NULL"
        " WHERE kept = ? AND state = 'waiting'",
        [(id,) for id in kept],
    )


def all(connection: sqlite3.Connection) -> list[Receipt]:
    """Every one, the oldest first."""
    rows = connection.execute(
        "SELECT id, state, hour, attempt + 1, kept, due, reason, date FROM receipts ORDER BY id"
    )
    return [Receipt(number, ReceiptState(state), *rest) for number, state, *rest in rows]


def waiting(connection: sqlite3.Connection) -> list[Pending]:
    """Those that wait."""
    rows = connection.execute(
        "SELECT id, name, path, copies, mailbox, server, tried, attempt, kept, due, message"
        " FROM receipts WHERE state = 'waiting' ORDER BY id"
    )
    return [
        Pending(number, name, path, copies, mailbox, server, _servers(tried), *rest)
        for number, name, path, copies, mailbox, server, tried, *rest in rows
    ]


def in_outbox(connection: sqlite3.Connection, kept: int) -> bool:
    """Whether anything of that message is in the outbox yet."""
    return any(
        connection.execute(f"SELECT 1 FROM {table} WHERE {column} = ?", (kept,)).fetchone()
        for table, column in (("packets", "part_of"), ("blocks", "message"))
    )


def forget(connection: sqlite3.Connection, numbers: Iterable[int]) -> int:
    """Wait for these no longer, and forget them; how many there were."""
    found = 0
    for number in numbers:
        found += connection.execute("DELETE FROM receipts WHERE id = ?", (number,)).rowcount
        connection.execute("DELETE FROM receipt_keys WHERE receipt = ?", (number,))
    return found


def last_mailbox(connection: sqlite3.Connection) -> int | None:
    """Where the last message's receipts come to."""
    row = connection.execute("SELECT mailbox FROM receipts ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else row[0]


def _servers(octets: bytes) -> tuple[bytes, ...]:
    return tuple(octets[at : at + 32] for at in range(0, len(octets), 32))
