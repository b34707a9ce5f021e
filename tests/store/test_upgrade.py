"""A store that the previous release wrote is taken over, all of it, whatever interrupts that."""

from __future__ import annotations

import errno
import os
from typing import Any

import lmdb

from mixminion.errors import render
from mixminion.store import REPLAY, Entry, Pooled, Step, StoreUnusable, upgrade
from tests.store.cases import NODE, PACKET, StoreCase


class FirstFormat:
    """What the first release wrote: a frozen copy of its layout, records in the clear."""

    def __init__(self, path: Any, packets: int) -> None:
        self.incoming = {n: os.urandom(PACKET) for n in range(1, packets + 1)}
        self.pool = {
            int.from_bytes(os.urandom(8)) >> 1: Pooled(
                [NODE, b"exit:smtp"][n % 2], 1000 + n, b"plain" + os.urandom(PACKET)
            )
            for n in range(packets)
        }
        self.tags = {period: [os.urandom(16) for _ in range(packets)] for period in (2800, 2801)}
        path.mkdir(mode=0o700)
        environment = lmdb.open(str(path), map_size=2**26, max_dbs=64, mode=0o600)
        with environment.begin(write=True) as txn:
            txn.put(b"format", b"1", db=environment.open_db(b"meta", txn=txn))
            incoming = environment.open_db(b"incoming/1", txn=txn)
            for number, packet in self.incoming.items():
                txn.put(number.to_bytes(8), packet, db=incoming)
            pool = environment.open_db(b"pool/1", txn=txn)
            for number, pooled in self.pool.items():
                key = number.to_bytes(8) + pooled.due_ms.to_bytes(8) + pooled.destination
                txn.put(key, pooled.record, db=pool)
            for period, tags in self.tags.items():
                database = environment.open_db(b"tags/1/%016x" % period, txn=txn)
                for tag in tags:
                    txn.put(tag, b"", db=database)
        environment.close()


class UpgradeTests(StoreCase):
    """From format 1 to 2."""

    def write(self, packets: int = 20) -> FirstFormat:
        return FirstFormat(self.path, packets)

    def check(self, old: FirstFormat) -> None:
        """All of it is there, once, and may be worked with."""
        store = self.open(map_size=2**26)
        self.assertEqual(store.started.findings, ())
        waiting = self.result(store.waiting())
        self.assertEqual(waiting.incoming, list(old.incoming))
        self.assertEqual(
            self.result(store.read_incoming(waiting.incoming)), list(old.incoming.values())
        )
        expected = [Entry(n, p.due_ms, p.destination) for n, p in sorted(old.pool.items())]
        self.assertEqual(waiting.pooled, expected)
        records = [pooled.record for _, pooled in sorted(old.pool.items())]
        self.assertEqual(self.result(store.read(sorted(old.pool))), records)
        self.assertEqual(waiting.tag_keys, [2800, 2801] if old.incoming else [])
        self.assertEqual(self.result(store.counts()).tags, 2 * len(old.incoming))
        for period, tags in old.tags.items():
            if not tags:
                continue
            incoming = self.result(store.take_in(b"packet"))
            again = store.unwrapped([Step(incoming, period, tags[-1], Pooled(NODE, 1, b"record"))])
            self.assertEqual(self.result(again), [REPLAY])
        self.result(store.close())
        self.assertEqual([p.name for p in self.path.parent.glob("store*")], ["store"])

    def test_upgrade(self):
        """Packets, messages and tags, in the order and under the ids they had."""
        old = self.write()
        self.check(old)
        self.check_again(old)

    def check_again(self, old: FirstFormat) -> None:
        """A second start finds what the first one made."""
        waiting = self.result(self.open().waiting())
        self.assertEqual(waiting.incoming, list(old.incoming))
        self.assertEqual([entry.id for entry in waiting.pooled], sorted(old.pool))

    def test_many(self):
        """More than one transaction copies."""
        self.check(self.write(2 * upgrade.COPIED // 3 + 200))

    def test_empty(self):
        """A store that held nothing."""
        self.check(self.write(0))

    def test_nothing_in_the_clear(self):
        """The new file has no record of the old one."""
        old = self.write(4)
        self.open()
        octets = (self.path / "data.mdb").read_bytes()
        for pooled in old.pool.values():
            self.assertNotIn(pooled.record[:4000], octets)

    def test_old_is_overwritten(self):
        """Whoever still holds the old file finds zeros."""
        self.write(4)
        with open(self.path / "data.mdb", "rb") as held:
            self.open()
            self.assertEqual(set(held.read()), {0})

    def test_interrupted(self):
        """Ended at any step, the next start has all of it."""
        steps = ("_copy", "_replace", "after")
        for step in steps:
            with self.subTest(step=step):
                self.path = self.path.parent / f"store-{step}"
                old = FirstFormat(self.path, 5)
                self.interrupted(step)
                store = self.open()
                self.assertEqual(self.result(store.waiting()).incoming, list(old.incoming))
                self.result(store.close())

    def interrupted(self, step: str) -> None:
        """Open, and end in the middle of *step*."""

        class PowerLost(BaseException):
            pass

        real = getattr(upgrade, "_copy" if step == "after" else step)

        def broken(*arguments: Any) -> None:
            if step == "after":
                real(*arguments)
            raise PowerLost

        self.patch(upgrade, "_replace" if step == "_replace" else "_copy", broken)
        with self.assertRaises(PowerLost):
            self.open()
        self.patch(upgrade, "_replace" if step == "_replace" else "_copy", real)

    def test_no_room(self):
        """Where the disk has no room for both, the old one stays as it was."""
        old = self.write(4)
        before = (self.path / "data.mdb").read_bytes()

        def full(*arguments: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.patch(upgrade, "_copy", full)
        with self.assertRaises(StoreUnusable) as caught:
            self.open()
        self.assertIn("upgrade failed", render(caught.exception))
        self.assertIn("No space left", render(caught.exception))
        self.assertEqual((self.path / "data.mdb").read_bytes(), before)
        self.assertFalse(self.path.with_name("store.upgrading").exists())
        self.assertTrue(old.incoming)
