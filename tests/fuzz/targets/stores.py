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
from mixminion.store.environment import DATA, FORMAT, FORMAT_KEY, META, open_environment
from mixminion.store.inspection import inspect
from mixminion.store.keyring import Keyring
from mixminion.store.pages import Pages
from mixminion.store.room import MAP_MIN, Room
from mixminion.store.shelf import Shelf
from mixminion.store.transaction import Databases, Transaction
from mixminion.store.values import Pooled, Step
from tests.fuzz.driver import Subject, Target
from tests.fuzz.targets.links import chance

_SIZES = struct.Struct(">8sBB")
_CHANGE = struct.Struct(">HB")


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


def _places(file: Path) -> list[int]:
    """The octets that matter: heads of pages in use, and what is not zero in them."""

    class Used(Pages):
        numbers = [0, 1]

        def page(self, number: int) -> bytes:
            self.numbers.append(number)
            return super().page(number)

    with open(file, "rb") as opened:
        pages = Used(opened.fileno())
        for tree in pages.trees(8).values():
            list(pages.nodes(tree))
        pages.examine_free()
    octets, size = file.read_bytes(), pages.page_size
    return [
        number * size + at
        for number in pages.numbers
        for at in range(size)
        if at < 32 or octets[number * size + at]
    ]


def _store_file() -> Subject:
    """Octets of a store's file changed here and there, as ``check-store`` reads it.

    An input is a list of changes, each a place of two octets and one to combine with."""
    folder = _folder()
    keys = KeyStore(Kind.DISK, folder / "keys")
    keyring = Keyring(keys, SeededRandom(b"keys"), 3)
    path = folder / "store"
    with open_environment(path, MAP_MIN) as environment, environment.begin(write=True) as txn:
        databases = Databases(environment, txn)
        for pair, bound in ((databases.incoming, b""), (databases.pool, bytes(8) + bytes(32))):
            shelf = Shelf(txn, pair, keyring)
            for number in range(1, 42):
                shelf.put(number, bound, b"a packet" * (300 if number == 7 else 1))
        txn.put(bytes(16), b"", db=databases.tags_of(1, txn))
        txn.put(FORMAT_KEY, b"%d" % FORMAT, db=environment.open_db(META, txn=txn))
    file = path / DATA
    good, places = file.read_bytes(), _places(file)
    corpus = [_CHANGE.pack(n, 1 << n % 8) for n in range(0, len(places), len(places) // 40)]

    def run(octets: bytes) -> object:
        changed = bytearray(good)
        for place, octet in _CHANGE.iter_unpack(octets[: len(octets) // _CHANGE.size * 3]):
            changed[places[place % len(places)]] ^= octet
        file.write_bytes(changed)
        found = inspect(path, map_size=MAP_MIN, keys=keys, published=1, now_ms=0)
        codes = tuple(each.code for each in found.found)
        if found.held is not None and not codes:
            assert found.used <= len(good)
            assert (found.held.incoming.good, found.held.mixes) == (41, 41)
        return codes

    return Subject(run, corpus)


TARGETS = [
    Target("store-file", _store_file, longest=12),
    Target("storage-key", _storage_keys, (KeyDamaged,), longest=128),
    Target("store-rows", _store_rows, longest=1024),
]
