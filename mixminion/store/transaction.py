"""What jobs do inside one write transaction.

Each public method does all of its work, or raises :class:`StoreError` having done nothing;
any other exception means that the whole transaction must end.
"""

from __future__ import annotations

from collections.abc import Sequence

import lmdb

from mixminion.store.errors import StoreError, StoreFull
from mixminion.store.room import Room, footprint
from mixminion.store.values import (
    DROPPED,
    GONE,
    REPLAY,
    Counts,
    Entry,
    Pooled,
    Step,
    Verdict,
    Waiting,
)

INCOMING = b"incoming/1"
POOL = b"pool/1"
TAGS = b"tags/1/"

ID_MAX = 2**63 - 1


class Databases:
    """Handles of the sub-databases.

    A handle that was made or dropped in a transaction which then failed may silently mean
    another sub-database: after a failure this object is made anew.
    """

    def __init__(self, environment: lmdb.Environment, txn: lmdb.Transaction[bytes]) -> None:
        self._environment = environment
        self.incoming = environment.open_db(INCOMING, txn=txn)
        self.pool = environment.open_db(POOL, txn=txn)
        self.tags = {
            int(name[len(TAGS) :], 16): environment.open_db(name, txn=txn)
            for name in environment.dbs(txn)
            if name.startswith(TAGS)
        }

    def tags_of(self, key: int, txn: lmdb.Transaction[bytes]) -> lmdb._Database:
        """The tags of a packet key.  LMDB's names are C strings: hence the key in hex."""
        if key not in self.tags:
            name = TAGS + b"%016x" % key
            self.tags[key] = self._environment.open_db(name, txn=txn)
        return self.tags[key]


class Transaction:
    """One write transaction.

    ``last`` is the youngest incoming id given out, ``left`` the octets that may still be
    taken in; both are the owner's to keep when the transaction has been committed.
    """

    def __init__(
        self,
        txn: lmdb.Transaction[bytes],
        databases: Databases,
        room: Room,
        last: int,
        left: int,
    ) -> None:
        self._txn = txn
        self._databases = databases
        self._room = room
        self._pool = txn.cursor(db=databases.pool)
        self._full = False
        self.last = last
        self.left = left

    # -- in ------------------------------------------------------------------------------

    def take_in(self, packet: bytes) -> int:
        """Put a packet into incoming; its id."""
        self.barrier()
        key = (self.last + 1).to_bytes(8)
        if not self._txn.put(key, packet, append=True, db=self._databases.incoming):
            raise StoreError(problem="incoming ids are out of order")
        self.last += 1
        self.left -= footprint(packet)
        return self.last

    def barrier(self, _: None = None) -> None:
        """Padding's part: refused exactly when a packet in its place would be."""
        if self.left <= 0 and not self._full:
            self.left = self._room.left(self.used())
            self._full = self.left <= 0
        if self._full:
            raise StoreFull

    # -- incoming to pool ------------------------------------------------------------------

    def unwrapped(self, steps: Sequence[tuple[Step, int]]) -> list[Verdict]:
        """Do all steps; with each comes the id for what it pools."""
        return [self._step(step, record_id) for step, record_id in steps]

    def _step(self, step: Step, record_id: int) -> Verdict:
        if not self._txn.delete(step.incoming.to_bytes(8), db=self._databases.incoming):
            return GONE
        if step.key is None or step.tag is None:
            return DROPPED
        tags = self._databases.tags_of(step.key, self._txn)
        if not self._txn.put(step.tag, b"", overwrite=False, db=tags):
            return REPLAY
        if step.pooled is None:
            return DROPPED
        return self._put(record_id, step.pooled)

    def _put(self, record_id: int, pooled: Pooled) -> int:
        while self._seek(record_id):  # two records of one id would be one record lost
            record_id = record_id % ID_MAX + 1
        key = record_id.to_bytes(8) + pooled.due_ms.to_bytes(8) + pooled.destination
        self._txn.put(key, pooled.record, db=self._databases.pool)
        return record_id

    # -- the pool --------------------------------------------------------------------------

    def _seek(self, record_id: int) -> bool:
        """Put the pool's cursor on a record; true when there is one of that id."""
        prefix = record_id.to_bytes(8)
        return self._pool.set_range(prefix) and self._pool.key().startswith(prefix)

    def read(self, ids: Sequence[int]) -> list[bytes | None]:
        """Pooled records.  ``item`` fetches pages from the disk without the interpreter's
        lock, which ``get`` would hold."""
        return [self._pool.item()[1] if self._seek(record_id) else None for record_id in ids]

    def delete(self, ids: Sequence[int]) -> None:
        """Remove pooled records; one that is gone is no error."""
        for record_id in ids:
            if self._seek(record_id):
                self._pool.delete()

    # -- the rest --------------------------------------------------------------------------

    def read_incoming(self, ids: Sequence[int]) -> list[bytes | None]:
        """Incoming packets."""
        cursor = self._txn.cursor(db=self._databases.incoming)
        return [cursor.item()[1] if cursor.set_key(n.to_bytes(8)) else None for n in ids]

    def waiting(self, _: None) -> Waiting:
        """All that is held, from the keys alone."""
        incoming = self._txn.cursor(db=self._databases.incoming)
        pool = self._txn.cursor(db=self._databases.pool)
        return Waiting(
            incoming=[int.from_bytes(key) for key in incoming.iternext(values=False)],
            pooled=[
                Entry(int.from_bytes(key[:8]), int.from_bytes(key[8:16]), key[16:])
                for key in pool.iternext(values=False)
            ],
            tag_keys=sorted(self._databases.tags),
        )

    def drop_tags(self, key: int) -> None:
        """Forget the tags of a packet key."""
        if key in self._databases.tags:
            self._txn.drop(self._databases.tags.pop(key))

    def counts(self, _: None) -> Counts:
        """How much there is."""
        databases = self._databases
        return Counts(
            incoming=self._txn.stat(databases.incoming)["entries"],
            pooled=self._txn.stat(databases.pool)["entries"],
            tags=sum(self._txn.stat(tags)["entries"] for tags in databases.tags.values()),
            used=self.used(),
            limit=self._room.limit(),
        )

    def used(self) -> int:
        """Octets in use.  What no sub-database counts is free, or LMDB's few own pages."""
        databases = [self._databases.incoming, self._databases.pool, *self._databases.tags.values()]
        stats = [self._txn.stat(db) for db in databases]
        pages = sum(s["branch_pages"] + s["leaf_pages"] + s["overflow_pages"] for s in stats)
        return pages * stats[0]["psize"]
