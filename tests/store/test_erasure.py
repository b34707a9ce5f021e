"""What is deleted is gone: every page of the file against every key there is.

Whoever has the store's file finds in it what LMDB no longer counts: deleted records, and the
keys they had, wrapped, on pages that are free.  The finder here reads pages and knows nothing of
sub-databases: wherever a storage key's name stands it tries to unwrap what follows, and
every key it gets it tries on every page.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from twisted.internet.defer import Deferred

from mixminion.crypto.aead import KEY, NONCE, TAG, Aead, Forged
from mixminion.disk import private
from mixminion.store import Pooled, Step, Store
from mixminion.store.keyring import FILE, NAME, ONCE, WRAPPED
from tests.store.cases import NODE, PACKET, StoreCase

PAGE = 4096
HEADER = 16  #: octets of a page of LMDB before a large value begins
ID = 8
BOUND = {b"incoming": 0, b"pool": 8 + len(NODE)}  #: octets of what records are bound to here


class ErasureTests(StoreCase):
    """Before its storage period ends a deleted record can be found, afterwards it cannot."""

    def on_disk(self) -> dict[bytes, bytes]:
        """Every storage key in the key store, by its name."""
        files = [private.read(path) for path in self.keys.folder.glob("storage-*")]
        return {name: key for _, _, name, _, key in map(FILE.unpack, files)}

    def found(self, keys: dict[bytes, bytes]) -> set[bytes]:
        """Every record that opens with those storage keys, live or deleted."""
        octets = (self.path / "data.mdb").read_bytes()
        return {
            record
            for name, key in keys.items()
            for context, record_key in unwrapped(octets, name, Aead(key))
            for record in opened(octets, context, Aead(record_key))
        }

    def names(self, name: bytes) -> int:
        return (self.path / "data.mdb").read_bytes().count(name)

    def live_and_deleted(self, store: Store) -> tuple[set[bytes], set[bytes]]:
        """Packets and pooled records, half of them deleted."""
        records = [os.urandom(PACKET) for _ in range(8)]
        taken = [self.result(store.take_in(record)) for record in records[:4]]
        pooled = [self.pooled(store, record, due_ms=n) for n, record in enumerate(records[4:])]
        self.results([store.delete(pooled[:2]), store.unwrapped([Step(n) for n in taken[:2]])])
        self.result(store.barrier(PACKET))
        return {*records[2:4], *records[6:]}, {*records[:2], *records[4:6]}

    def test_gone(self):
        """Live records are found always; deleted ones until the period ends."""
        store = self.open()
        live, deleted = self.live_and_deleted(store)
        first = self.on_disk()
        self.assertEqual(len(first), 1)
        self.assertLessEqual(live, self.found(first))
        self.assertTrue(deleted & self.found(first), "the finder finds nothing that was deleted")
        self.renew(store, 2)
        second = self.on_disk()
        self.assertFalse(set(first) & set(second))
        [name] = first
        self.assertTrue(self.names(name), "the old wrapped keys are not even there")
        found = self.found(second | self.in_memory(store))
        self.assertLessEqual(live, found)
        self.assertFalse(deleted & found)
        self.assertTrue(deleted & self.found(first), "a proof of nothing: its pages are gone")

    def test_gone_after_a_restart(self):
        """The same when the change of keys is interrupted and ended by the next start."""
        store = self.open()
        live, deleted = self.live_and_deleted(store)
        first = self.on_disk()
        interrupted = store._queue(lambda work, _: work.new_storage_key(2), None)
        self.result(interrupted)
        self.result(store.close())
        self.assertEqual(len(self.on_disk()), 2)
        store = self.open(period=2)
        self.renew(store, 2)
        self.assertEqual(len(self.on_disk()), 1)
        found = self.found(self.on_disk() | self.in_memory(store))
        self.assertLessEqual(live, found)
        self.assertFalse(deleted & found)
        self.assertTrue(deleted & self.found(first))

    def test_moved_on(self):
        """What went from packet to pooled record: the packet is gone, the record is there."""
        store = self.open()
        packet, record = os.urandom(PACKET), os.urandom(PACKET)
        incoming = self.result(store.take_in(packet))
        self.result(store.unwrapped([Step(incoming, 1, os.urandom(16), Pooled(NODE, 1, record))]))
        self.assertEqual(self.found(self.on_disk()), {packet, record})
        self.renew(store, 2)
        self.assertEqual(self.found(self.on_disk()), {record})

    def test_nothing_in_the_clear(self):
        """The file has no record that was not sealed."""
        store = self.open()
        live, deleted = self.live_and_deleted(store)
        octets = (self.path / "data.mdb").read_bytes()
        for record in live | deleted:
            self.assertNotIn(record[:64], octets)

    def renew(self, store: Store, period: int) -> None:
        renewed = Deferred.fromCoroutine(store.renew_storage_key(period))
        while not renewed.called:
            self.clock.advance(0)
        self.assertTrue(self.successResultOf(renewed))

    def in_memory(self, store: Store) -> dict[bytes, bytes]:
        """Names of the keys the store still has; their octets are those on disk."""
        names = set(store._spool._keyring._keys)
        self.assertEqual(names, set(self.on_disk()))
        return self.on_disk()


def unwrapped(octets: bytes, name: bytes, storage: Aead) -> Iterator[tuple[bytes, bytes]]:
    """Context and key of every record whose wrapped key stands anywhere."""
    at = octets.find(name)
    while at >= 0:
        nonce = octets[at + NAME : at + NAME + NONCE]
        wrapped = octets[at + NAME + NONCE : at + WRAPPED]
        for kind, length in BOUND.items():
            place = kind + octets[at - ID : at]
            try:
                key = storage.open(nonce, wrapped, place)
            except Forged:
                continue
            assert len(key) == KEY
            yield place + octets[at + WRAPPED : at + WRAPPED + length], key
        at = octets.find(name, at + 1)


def opened(octets: bytes, context: bytes, key: Aead) -> Iterator[bytes]:
    """Every page from which on a record of a packet's size opens."""
    for start in range(HEADER, len(octets), PAGE):
        try:
            yield key.open(ONCE, octets[start : start + PACKET + TAG], context)
        except Forged:
            continue
