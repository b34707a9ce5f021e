"""What jobs do inside one write transaction.

Each public method does all of its work, or raises :class:`StoreError` having done nothing;
any other exception means that the whole transaction must end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import lmdb

from mixminion.store.errors import StoreFull
from mixminion.store.keyring import Keyring
from mixminion.store.room import Room, footprint
from mixminion.store.shelf import Pair, Shelf
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

INCOMING = b"incoming"
POOL = b"pool"
TAGS = b"tags/1/"

ID_MAX = 2**63 - 1
REWRAPPED = 256  #: keys that one transaction brings under a new storage key: about a millisecond

_TAGS_NAME = re.compile(re.escape(TAGS) + rb"([0-9a-f]{16})")

Place = tuple[bytes, int]
"""How far a change of storage keys has come: a shelf's name, and the id to go on from."""

START: Place = (INCOMING, 0)


def tags_name(key: int) -> bytes:
    """The sub-database with the tags of a packet key.  LMDB's names are C strings: hence hex."""
    return TAGS + b"%016x" % key


def tags_key(name: bytes) -> int | None:
    """The packet key whose tags a sub-database has; None when it is another one."""
    found = _TAGS_NAME.fullmatch(name)
    return None if found is None else int(found[1], 16)


class Databases:
    """Handles of the sub-databases.

    A handle that was made or dropped in a transaction which then failed may silently mean
    another sub-database: after a failure this object is made anew.
    """

    def __init__(self, environment: lmdb.Environment, txn: lmdb.Transaction[bytes]) -> None:
        self._environment = environment
        self.incoming = Pair.open(INCOMING, environment, txn)
        self.pool = Pair.open(POOL, environment, txn)
        self.tags = {
            key: environment.open_db(name, txn=txn)
            for name in environment.dbs(txn)
            if (key := tags_key(name)) is not None
        }

    def tags_of(self, key: int, txn: lmdb.Transaction[bytes]) -> lmdb._Database:
        """The tags of a packet key."""
        if key not in self.tags:
            name = tags_name(key)
            self.tags[key] = self._environment.open_db(name, txn=txn)
        return self.tags[key]


class Transaction:
    """One write transaction.

    ``last`` is the youngest incoming id given out, 0 when it is not known; ``left`` the
    octets that may still be taken in; ``damaged`` how many records could not be opened.  They
    are the owner's to keep when the transaction has been committed.
    """

    def __init__(
        self,
        txn: lmdb.Transaction[bytes],
        databases: Databases,
        room: Room,
        keyring: Keyring,
        last: int,
        left: int,
        damaged: int,
    ) -> None:
        self._txn = txn
        self._databases = databases
        self._room = room
        self._keyring = keyring
        self._incoming = Shelf(txn, databases.incoming, keyring)
        self._pool = Shelf(txn, databases.pool, keyring)
        self._full = False
        self._damaged = damaged
        self.last = last or self._incoming.last()
        self.left = left

    @property
    def damaged(self) -> int:
        """Records that could not be opened."""
        return self._damaged + self._incoming.damaged + self._pool.damaged

    # -- in ------------------------------------------------------------------------------

    def take_in(self, packet: bytes) -> int:
        """Put a packet into incoming; its id."""
        self.barrier(len(packet))
        self._incoming.put(self.last + 1, b"", packet, append=True)
        self.last += 1
        self.left -= footprint(len(packet))
        return self.last

    def barrier(self, octets: int) -> None:
        """Padding's part: refused exactly when a packet of so many octets would be."""
        needed = footprint(octets)
        if self.left < needed and not self._full:
            self.left = self._room.left(self.used())
            self._full = self.left < needed
        if self._full:
            raise StoreFull

    # -- incoming to pool ------------------------------------------------------------------

    def unwrapped(self, steps: Sequence[tuple[Step, int]]) -> list[Verdict]:
        """Do all steps; with each comes the id for what it pools."""
        return [self._step(step, record_id) for step, record_id in steps]

    def _step(self, step: Step, record_id: int) -> Verdict:
        if not self._incoming.delete(step.incoming):
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
        while record_id in self._pool:  # two records of one id would be one record lost
            record_id = record_id % ID_MAX + 1
        bound = pooled.due_ms.to_bytes(8) + pooled.destination
        self._pool.put(record_id, bound, pooled.record)
        return record_id

    # -- the pool --------------------------------------------------------------------------

    def read(self, ids: Sequence[int]) -> list[bytes | None]:
        """Pooled records."""
        return [self._pool.read(record_id) for record_id in ids]

    def delete(self, ids: Sequence[int]) -> None:
        """Remove pooled records; one that is gone is no error."""
        for record_id in ids:
            self._pool.delete(record_id)

    def exchange(self, change: tuple[Sequence[tuple[Pooled, int]], Sequence[int]]) -> list[int]:
        """Pool some records and remove others; the ids of the new ones."""
        added, removed = change
        ids = [self._put(record_id, pooled) for pooled, record_id in added]
        self.delete(removed)
        return ids

    # -- the rest --------------------------------------------------------------------------

    def read_incoming(self, ids: Sequence[int]) -> list[bytes | None]:
        """Incoming packets."""
        return [self._incoming.read(record_id) for record_id in ids]

    def waiting(self, _: None) -> Waiting:
        """All that is held, from the indexes alone."""
        return Waiting(
            incoming=[record_id for record_id, _ in self._incoming.entries()],
            pooled=[
                Entry(record_id, int.from_bytes(bound[:8]), bound[8:])
                for record_id, bound in self._pool.entries()
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
            incoming=self._txn.stat(databases.incoming.index)["entries"],
            pooled=self._txn.stat(databases.pool.index)["entries"],
            tags=sum(self._txn.stat(tags)["entries"] for tags in databases.tags.values()),
            used=self.used(),
            limit=self._room.limit(),
            map_limit=self._room.map_limit,
            damaged=self.damaged,
        )

    def used(self) -> int:
        """Octets in use.  What no sub-database counts is free, or LMDB's few own pages."""
        incoming, pool = self._databases.incoming, self._databases.pool
        databases = [incoming.index, incoming.records, pool.index, pool.records]
        stats = [self._txn.stat(db) for db in (*databases, *self._databases.tags.values())]
        pages = sum(s["branch_pages"] + s["leaf_pages"] + s["overflow_pages"] for s in stats)
        return pages * stats[0]["psize"]

    # -- storage keys ----------------------------------------------------------------------

    def new_storage_key(self, period: int) -> bool:
        """Wrap under a key of *period* from now on; whether there are older ones to erase."""
        if self._keyring.period != period:
            self._keyring.make(period)
        return self._keyring.older

    def rewrap(self, place: Place) -> Place | None:
        """Bring some keys from *place* on under the newest storage key; where to go on."""
        name, start = place
        shelf = self._incoming if name == INCOMING else self._pool
        after = shelf.rewrap(start, REWRAPPED)
        if after is not None:
            return name, after
        return (POOL, 0) if name == INCOMING else None

    def erase_storage_keys(self, _: None) -> None:
        """Erase all storage keys but the newest, after the last :meth:`rewrap` was committed."""
        self._keyring.erase_older()
