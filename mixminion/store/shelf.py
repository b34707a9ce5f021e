"""Sealed records of one kind, by id, inside one write transaction.

Two sub-databases: ``KIND/2`` has the sealed records, ``KIND-index/2`` for each a wrapped key
and what the record is bound to, ``due_ms 8 | destination`` or nothing.  An index is small: it
is read at a start without touching a record, and a change of storage keys writes it alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import lmdb

from mixminion.store.errors import StoreError
from mixminion.store.keyring import WRAPPED, Keyring, Unreadable

ID = 8
LAST = b"\xff" * ID  #: no id of ours: only damage makes one


@dataclass(frozen=True, slots=True)
class Pair:
    """Handles of a shelf's two sub-databases."""

    name: bytes
    index: lmdb._Database
    records: lmdb._Database

    @classmethod
    def open(cls, name: bytes, environment: lmdb.Environment, txn: lmdb.Transaction[bytes]) -> Pair:
        """Those of *name*, which are made when they are not there."""
        index = environment.open_db(name + b"-index/2", txn=txn)
        return cls(name, index, environment.open_db(name + b"/2", txn=txn))


class Shelf:
    """``damaged`` counts records that could not be opened, and were removed.

    A key of another length than an id's is none of ours, and stays where it is.
    """

    def __init__(self, txn: lmdb.Transaction[bytes], pair: Pair, keyring: Keyring) -> None:
        self._txn = txn
        self._name = pair.name
        self._index = pair.index
        self._records = pair.records
        self._keyring = keyring
        self._cursor: lmdb.Cursor[bytes] | None = None
        self.damaged = 0

    def __contains__(self, record_id: int) -> bool:
        return self._txn.get(record_id.to_bytes(ID), db=self._index) is not None

    def put(self, record_id: int, bound: bytes, record: bytes, *, append: bool = False) -> None:
        """Seal and keep *record*; with *append* its id is larger than all others'."""
        key = record_id.to_bytes(ID)
        wrapped, sealed = self._keyring.seal(self._name + key, bound, record)
        for octets, database in ((wrapped + bound, self._index), (sealed, self._records)):
            if not self._put(key, octets, database, append):
                raise StoreError(problem="a record's id is taken")

    def _put(self, key: bytes, octets: bytes, database: lmdb._Database, append: bool) -> bool:
        put = self._txn.put
        if append and put(key, octets, overwrite=False, append=True, db=database):
            return True
        # a key that is none of ours may be larger than all ids
        return put(key, octets, overwrite=False, db=database)

    def read(self, record_id: int) -> bytes | None:
        """The record; None when there is none, or none that opens.

        ``item`` fetches pages from the disk without the interpreter's lock, which ``get``
        would hold.
        """
        key = record_id.to_bytes(ID)
        entry = self._txn.get(key, db=self._index)
        if entry is None:
            return None
        if self._cursor is None:
            self._cursor = self._txn.cursor(db=self._records)
        try:
            if not self._cursor.set_key(key):
                raise Unreadable
            sealed = self._cursor.item()[1]
            return self._keyring.open(self._name + key, entry[WRAPPED:], entry[:WRAPPED], sealed)
        except Unreadable:
            self.damaged += 1
            self.delete(record_id)
            return None

    def delete(self, record_id: int) -> bool:
        """Remove a record; whether there was one."""
        key = record_id.to_bytes(ID)
        self._txn.delete(key, db=self._records)
        return self._txn.delete(key, db=self._index)

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Every record's id and what it is bound to, in the order of the ids."""
        for key, entry in self._txn.cursor(db=self._index):
            if len(key) == ID:
                yield int.from_bytes(key), entry[WRAPPED:]

    def last(self) -> int:
        """The largest id, 0 when there is none."""
        cursor = self._txn.cursor(db=self._index)
        found = cursor.last()
        while found and len(cursor.key()) != ID:
            found = cursor.prev()
        return int.from_bytes(cursor.key()) if found else 0

    def rewrap(self, start: int, count: int) -> int | None:
        """Bring at most *count* keys from the id *start* on under the newest storage key; the
        id to go on from, None after the last."""
        cursor = self._txn.cursor(db=self._index)
        found = cursor.set_range(start.to_bytes(ID))
        while found and count:
            key, entry = cursor.item()
            if len(key) != ID:
                found = cursor.next()
                continue
            if not self._keyring.newest(entry):
                try:
                    wrapped = self._keyring.rewrap(self._name + key, entry[:WRAPPED])
                except Unreadable:
                    self.damaged += 1
                    self.delete(int.from_bytes(key))
                else:
                    cursor.put(key, wrapped + entry[WRAPPED:])
            count -= 1
            found = key != LAST and cursor.set_range((int.from_bytes(key) + 1).to_bytes(ID))
        return int.from_bytes(cursor.key()[:ID].ljust(ID, b"\0")) if found else None

    def forget_unreadable(self) -> int:
        """Remove the records whose storage key is gone; how many there were."""
        lost = [
            int.from_bytes(key)
            for key, entry in self._txn.cursor(db=self._index)
            if len(key) == ID and not self._keyring.known(entry)
        ]
        for record_id in lost:
            self.delete(record_id)
        return len(lost)
