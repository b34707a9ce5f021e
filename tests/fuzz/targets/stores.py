"""What a disk may give back instead of what was written: storage keys, and a store's rows."""

from __future__ import annotations

import atexit
import shutil
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from mixminion.crypto.rng import SeededRandom
from mixminion.disk.errors import KeyDamaged
from mixminion.disk.keystore import KeyStore, Kind
from mixminion.store.environment import DATA, open_environment
from mixminion.store.keyring import Keyring
from mixminion.store.room import MAP_MIN, Room
from mixminion.store.shelf import Shelf
from mixminion.store.transaction import Databases, Transaction
from mixminion.store.values import Pooled, Step
from tests.fuzz.driver import Subject, Target
from tests.fuzz.targets.links import chance

_SIZES = struct.Struct(">8sBB")


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _storage_keys() -> Subject:
    """The file of a storage key."""
    keys = KeyStore(Kind.DISK, _folder() / "keys")
    Keyring(keys, SeededRandom(b"keys"), 3)
    path = keys.folder / "storage-1.key"
    corpus = [path.read_bytes()]

    def run(octets: bytes) -> object:
        path.write_bytes(octets)
        found = Keyring(keys, SeededRandom(b"keys"), 3)
        assert found.period < 2**64 and not found.older
        return True

    return Subject(run, corpus)


def _row(key: bytes, entry: bytes, record: bytes) -> bytes:
    """A row of an index and its record, as the target reads them."""
    return _SIZES.pack(key, len(entry), len(record)) + entry + record


def _rows(octets: bytes) -> list[tuple[bytes, bytes, bytes]]:
    found: list[tuple[bytes, bytes, bytes]] = []
    at = 0
    while len(octets) - at >= _SIZES.size and len(found) < 8:
        key, entry, record = _SIZES.unpack_from(octets, at)
        at += _SIZES.size
        found.append((key, octets[at : at + entry], octets[at + entry : at + entry + record]))
        at += entry + record
    return found


def _store_rows() -> Subject:
    """Rows in both indexes, and all that is done with them, in a transaction that is undone."""
    folder = _folder()
    keyring = Keyring(KeyStore(Kind.DISK, folder / "keys"), SeededRandom(b"keys"), 3)
    environment = open_environment(folder / "store", MAP_MIN)
    atexit.register(environment.close)
    with environment.begin(write=True) as txn:
        databases = Databases(environment, txn)
        databases.tags_of(1, txn)
    room = Room(folder / "store" / DATA, MAP_MIN, 0)
    rows = {}
    for name, bound in ((b"incoming", b""), (b"pool", bytes(7) + b"\x05" + bytes(32))):
        key = (1).to_bytes(8)
        wrapped, sealed = keyring.seal(name + key, bound, b"a packet")
        rows[name] = _row(key, wrapped + bound, sealed)
    rows[b"last"] = _row(b"\xff" * 8, rows[b"pool"][_SIZES.size :], b"")
    corpus = [
        rows[b"last"],
        rows[b"pool"] + rows[b"incoming"],
        rows[b"pool"],
        rows[b"incoming"] * 2,
    ]

    def run(octets: bytes) -> object:
        ids = []
        with environment.begin(write=True) as txn:
            for key, entry, record in _rows(octets):
                for pair in (databases.incoming, databases.pool):
                    txn.put(key, entry, db=pair.index)
                    txn.put(key, record, db=pair.records)
                ids.append(int.from_bytes(key))
            last = Shelf(txn, databases.incoming, keyring).last()
            work = Transaction(txn, databases, room, keyring, last, 1 << 20, 0)
            held = work.waiting(None)
            assert len(held.incoming) == len(held.pooled) == len(set(ids))
            shelves = [Shelf(txn, pair, keyring) for pair in (databases.incoming, databases.pool)]
            random = chance(octets)
            first = random.choice(ids or [1])
            pooled = Pooled(bytes(32), 5, b"x")
            doings: list[Callable[[], object]] = [
                lambda: work.read(ids),
                lambda: work.read_incoming(ids),
                lambda: work.unwrapped([(Step(first, 1, bytes(16), pooled), first)]),
                lambda: work.delete(ids[:1]),
                lambda: work.counts(None),
                *(shelf.forget_unreadable for shelf in shelves),
                *(lambda shelf=shelf: shelf.rewrap(0, 100) for shelf in shelves),
            ]
            random.shuffle(doings)
            if max(ids, default=0) < 2**63:  # more than a server will ever take in
                doings.append(lambda: work.take_in(b"x"))
            for doing in doings:
                doing()
            damaged = work.damaged + sum(shelf.damaged for shelf in shelves)
            txn.abort()
        return len(ids), damaged

    return Subject(run, corpus)


TARGETS = [
    Target("storage-key", _storage_keys, (KeyDamaged,), longest=128),
    Target("store-rows", _store_rows, longest=1024),
]
