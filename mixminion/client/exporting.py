"""Identities in a file: what a new machine needs to read the answers that the old one waits for.

In the file are the identities with their keys as they are kept, what opens the answers to their
reply blocks, and the mailboxes where those come.  The whole is sealed by a passphrase of its own
(:mod:`mixminion.crypto.passphrase`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import msgspec

from mixminion.client.identity_errors import NotAnExport
from mixminion.crypto import sign
from mixminion.payload import capability

PURPOSE = b"mixminion2 identity export"
VERSION = 1


class _Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    public: bytes
    secret: bytes
    address: str | None


class _Mailbox(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    server: bytes
    nickname: str
    exit: str
    private: bytes


class _Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    identity: bytes  #: public key
    surb_id: bytes
    digest: bytes
    suite: str
    hops: int
    commands: int
    packet: int
    period: int
    not_before: int
    not_after: int
    address: str
    key: bytes
    hour: int
    used: int | None


class _Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    identities: list[_Identity]
    mailboxes: list[_Mailbox]
    blocks: list[_Block]


@dataclass(frozen=True, slots=True)
class Restored:
    """What came out of an export that was not here before: names of identities as they are
    called here, how many mailboxes and reply blocks."""

    identities: tuple[str, ...]
    mailboxes: int
    blocks: int


_BLOCK = (
    "surb_id, digest, suite, hops, commands, packet, period, not_before, not_after,"
    " reply_blocks.address, key, hour, used"
)


def collect(connection: sqlite3.Connection, ids: Collection[int] | None = None) -> bytes:
    """An export of the identities with those ids and of mailboxes that they use; without *ids* of
    all, and of all mailboxes."""
    keys: dict[int, bytes] = {}
    identities, blocks = [], []
    rows = connection.execute(
        "SELECT id, name, public, secret, address FROM identities ORDER BY id"
    )
    for id, *row in rows:
        if ids is None or id in ids:
            identities.append(_Identity(*row))
            keys[id] = row[1]
    for id, *row in connection.execute(f"SELECT identity, {_BLOCK} FROM reply_blocks ORDER BY id"):
        if id in keys:
            blocks.append(_Block(keys[id], *row))
    wanted = {each.address for each in identities} | {each.address for each in blocks}
    mailboxes = [each for each in _mailboxes(connection) if ids is None or _address(each) in wanted]
    return msgspec.json.encode(_Export(VERSION, identities, mailboxes, blocks))


def collect_blocks(connection: sqlite3.Connection, surb_ids: Collection[bytes]) -> bytes:
    """An export of these blocks with their mailboxes, and of no identity."""
    rows = [
        connection.execute(
            f"SELECT public, {_BLOCK} FROM reply_blocks JOIN identities ON identity = identities.id"
            " WHERE surb_id = ?",
            (surb_id,),
        ).fetchone()
        for surb_id in surb_ids
    ]
    blocks = [_Block(*row) for row in rows]
    wanted = {each.address for each in blocks}
    mailboxes = [each for each in _mailboxes(connection) if _address(each) in wanted]
    return msgspec.json.encode(_Export(VERSION, [], mailboxes, blocks))


def read(octets: bytes, path: str) -> _Export:
    """An export; raises NotAnExport."""
    try:
        found = msgspec.json.decode(octets, type=_Export)
    except msgspec.MsgspecError:
        raise NotAnExport(path=path, why="it is damaged, or of another version") from None
    if found.version != VERSION:
        raise NotAnExport(path=path, why="it is of another version")
    return found


def restore(connection: sqlite3.Connection, export: _Export) -> Restored:
    """Put everything that is not here beside what is here; nothing that is here changes."""
    ids = _ids(connection)
    named = []
    for identity in export.identities:
        if identity.public not in ids:
            name = next(each for each in _names(identity.name) if _free(connection, each))
            connection.execute(
                "INSERT INTO identities (name, public, secret, address) VALUES (?, ?, ?, ?)",
                (name, identity.public, identity.secret, identity.address),
            )
            named.append(name)
    ids = _ids(connection)
    known = {each.private for each in _mailboxes(connection)}
    new = [each for each in export.mailboxes if each.private not in known]
    connection.executemany(
        "INSERT INTO mailboxes (server, nickname, exit, private) VALUES (?, ?, ?, ?)",
        [msgspec.structs.astuple(each) for each in new],
    )
    columns = _BLOCK.replace("reply_blocks.", "")
    marks = ", ".join("?" * (columns.count(",") + 2))
    blocks = 0
    for block in export.blocks:
        key, *rest = msgspec.structs.astuple(block)
        if key in ids:
            blocks += connection.execute(
                f"INSERT OR IGNORE INTO reply_blocks (identity, {columns}) VALUES ({marks})",
                (ids[key], *rest),
            ).rowcount
    return Restored(tuple(named), len(new), blocks)


def _ids(connection: sqlite3.Connection) -> dict[bytes, int]:
    """Ids of identities by their public keys."""
    return dict(connection.execute("SELECT public, id FROM identities"))


def _mailboxes(connection: sqlite3.Connection) -> list[_Mailbox]:
    rows = connection.execute("SELECT server, nickname, exit, private FROM mailboxes ORDER BY id")
    return [_Mailbox(*row) for row in rows]


def _address(mailbox: _Mailbox) -> str:
    key = capability.to_text(sign.public(mailbox.private))
    return f"{mailbox.exit}:{key}@{mailbox.nickname}"


def _names(name: str) -> Iterator[str]:
    """The name, then others like it."""
    yield name
    n = 2
    while True:
        yield f"{name[:35]}-{n}"
        n += 1


def _free(connection: sqlite3.Connection, name: str) -> bool:
    row = connection.execute("SELECT 1 FROM identities WHERE name = ?", (name,)).fetchone()
    return row is None
