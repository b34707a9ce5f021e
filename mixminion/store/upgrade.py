"""From format 1, whose records were not encrypted, to format 2.

The new store is written beside the old one and takes its file's name in one step, so that a
crash leaves the one or the other whole.  What the old file held is overwritten afterwards,
as far as its file system lets that happen.  Format 1 had, as now, ``tags/1/KEY``, and::

    incoming/1    sequence 8 -> packet
    pool/1        id 8 | due_ms 8 | destination -> record
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import lmdb

from mixminion.disk import private
from mixminion.store.environment import DATA, FORMAT, FORMAT_KEY, META, open_environment
from mixminion.store.errors import StoreUnusable
from mixminion.store.keyring import Keyring
from mixminion.store.shelf import ID, Shelf
from mixminion.store.transaction import TAGS, Databases

INCOMING = b"incoming/1"
POOL = b"pool/1"

COPIED = 256  #: records in one transaction
CHUNK = 2**20  #: octets overwritten at a time

_Batch = list[tuple[bytes, bytes]]


def upgrade(path: Path, map_size: int, keyring: Keyring) -> None:
    """Replace the closed store in *path*, of format 1.

    Raises :class:`StoreUnusable` where there is no room for both; the old one is whole then.
    """
    beside = beside_of(path)
    shutil.rmtree(beside, ignore_errors=True)
    try:
        new = open_environment(beside, map_size)
        try:
            old = open_environment(path, map_size)
            try:
                _copy(old, new, keyring)
            finally:
                old.close()
        finally:
            new.close()
        _replace(path / DATA, beside / DATA)
    except (lmdb.Error, OSError) as error:
        raise StoreUnusable(path=path, problem=f"its upgrade failed: {error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def beside_of(path: Path) -> Path:
    """Where the new store is while the one in *path* is upgraded."""
    return path.with_name(path.name + ".upgrading")


def _copy(old: lmdb.Environment, new: lmdb.Environment, keyring: Keyring) -> None:
    for batch in _batches(old, INCOMING):
        with new.begin(write=True) as txn:
            incoming = Shelf(txn, Databases(new, txn).incoming, keyring)
            for key, packet in batch:
                incoming.put(int.from_bytes(key), b"", packet, append=True)
    for batch in _batches(old, POOL):
        with new.begin(write=True) as txn:
            pool = Shelf(txn, Databases(new, txn).pool, keyring)
            for key, record in batch:
                pool.put(int.from_bytes(key[:ID]), key[ID:], record, append=True)
    with old.begin() as txn:
        names = [name for name in old.dbs(txn) if name.startswith(TAGS)]
    for name in names:
        for batch in _batches(old, name):
            with new.begin(write=True) as txn:
                tags = new.open_db(name, txn=txn)
                for tag, nothing in batch:
                    txn.put(tag, nothing, append=True, db=tags)
    with new.begin(write=True) as txn:
        Databases(new, txn)
        txn.put(FORMAT_KEY, b"%d" % FORMAT, db=new.open_db(META, txn=txn))


def _batches(environment: lmdb.Environment, name: bytes) -> Iterator[_Batch]:
    """All of a sub-database, a batch at a time; nothing when there is none of that name."""
    with environment.begin() as txn:
        if name not in environment.dbs(txn):
            return
        items = iter(txn.cursor(db=environment.open_db(name, txn=txn, create=False)))
        while batch := list(islice(items, COPIED)):
            yield batch


def _replace(old: Path, new: Path) -> None:
    """Put *new* in the place of *old*, then overwrite what *old* held."""
    with open(old, "r+b", buffering=0) as plain:
        os.replace(new, old)
        private.sync_folder(old.parent)
        size = os.fstat(plain.fileno()).st_size
        for start in range(0, size, CHUNK):
            plain.write(bytes(min(CHUNK, size - start)))
        os.fsync(plain.fileno())
