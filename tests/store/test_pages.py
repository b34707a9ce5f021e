"""LMDB's file, read without LMDB: the same content, and every damage before it is followed."""

from __future__ import annotations

import os
import random
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

import lmdb

from mixminion.store import pages
from mixminion.store.pages import DamagedPage, NoPages, Pages
from mixminion.testing.cases import SyncTestCase

Content = dict[bytes, list[tuple[bytes, bytes]]]
SIZE = 4096


class PagesCase(SyncTestCase):
    """A file of LMDB's in a folder of the test's own."""

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.folder = Path(folder) / "store"
        self.file = self.folder / "data.mdb"

    def open(self) -> lmdb.Environment:
        environment = lmdb.open(str(self.folder), map_size=2**28, max_dbs=64, sync=False)
        self.addCleanup(environment.close)
        return environment

    def read(
        self, progress: pages.Progress = lambda done, of: None, *, forgotten: int = 0
    ) -> Content:
        """All of the file; every page but *forgotten* ones at most is in a tree or free."""
        descriptor = os.open(self.file, os.O_RDONLY)
        try:
            found = Pages(descriptor, progress)
            content = {
                name: [(node.key, found.data(node)) for node in found.nodes(tree)]
                for name, tree in found.trees(64).items()
            }
            found.examine_free()
        finally:
            os.close(descriptor)
        self.assertLessEqual(found.count - found._looked_at, forgotten)
        return content

    def write(self, content: Content) -> None:
        with self.open() as environment, environment.begin(write=True) as txn:
            for name, entries in content.items():
                database = environment.open_db(name, txn=txn)
                for key, value in entries:
                    txn.put(key, value, db=database)


class SameTests(PagesCase):
    """What LMDB reads is what is read here."""

    def test_empty(self):
        """A new file, and a sub-database that has lost all it had."""
        with self.open() as environment:
            self.assertEqual(self.read(), {})
            with environment.begin(write=True) as txn:
                database = environment.open_db(b"a", txn=txn)
                txn.put(b"key", b"value", db=database)
                txn.delete(b"key", db=database)
            self.assertEqual(self.read(), {b"a": []})

    def test_any(self):
        """After any work: short and long keys and data, deep trees, deletions, dropped
        sub-databases, lists of free pages of several lengths."""
        for seed in range(8):
            with self.subTest(seed=seed):
                self.folder = self.folder.parent / str(seed)
                self.file = self.folder / "data.mdb"
                self.work(random.Random(seed))

    def work(self, dice: random.Random) -> None:
        environment = self.open()
        keys = dice.choice([8, 16, 100, 400])
        for turn in range(30):
            with environment.begin(write=True) as txn:
                for _ in range(dice.randrange(400)):
                    self.step(dice, environment, txn, keys)
            if turn % 6 == 5:
                self.assertEqual(self.read(), self.lmdb(environment))

    @staticmethod
    def step(dice: random.Random, environment: Any, txn: Any, keys: int) -> None:
        name = b"db%d" % dice.randrange(4)
        database = environment.open_db(name, txn=txn)
        what = dice.random()
        if what < 0.002:
            txn.drop(database)
        elif what < 0.6:
            length = dice.choice([0, 8, 76, 500, 1500, 2020, 4096, 40_000])
            txn.put(dice.randbytes(dice.choice([8, keys])), dice.randbytes(length), db=database)
        else:
            cursor = txn.cursor(db=database)
            if cursor.set_range(dice.randbytes(2)):
                cursor.delete()

    @staticmethod
    def lmdb(environment: lmdb.Environment) -> Content:
        with environment.begin() as txn:
            return {
                name: list(txn.cursor(db=environment.open_db(name, txn=txn, create=False)))
                for name in environment.dbs(txn)
            }

    def test_numbers(self):
        """The transaction's number and the count of pages are LMDB's own."""
        with self.open() as environment:
            for n in range(5):
                with environment.begin(write=True) as txn:
                    txn.put(b"%d" % n, bytes(9000), db=environment.open_db(b"a", txn=txn))
            info = environment.info()
        with open(self.file, "rb") as file:
            found = Pages(file.fileno())
        self.assertEqual(
            (found.transaction, found.count), (info["last_txnid"], info["last_pgno"] + 1)
        )

    def test_progress(self):
        """It is told how far it has come, to the end and never back."""
        self.write({b"a": [(b"%d" % n, bytes(40_000)) for n in range(400)]})
        told: list[tuple[int, int]] = []
        self.read(lambda done, of: told.append((done, of)))
        self.assertEqual(told, sorted(told))
        self.assertEqual(len(told), 400 * 10 // pages.TOLD)
        self.assertTrue(all(done <= of for done, of in told))


class DamageTests(PagesCase):
    """A damage is found, whatever it is, and nothing else happens."""

    def setUp(self) -> None:
        super().setUp()
        self.content: Content = {
            b"a": [(b"%08d" % n, bytes(20)) for n in range(300)],
            b"b": [(b"%08d" % n, bytes(9000)) for n in range(5)],
        }
        self.write(self.content)
        with self.open() as environment, environment.begin(write=True) as txn:
            for n in range(100):  # so that there are free pages
                txn.delete(b"%08d" % n, db=environment.open_db(b"a", txn=txn))
        self.good = self.file.read_bytes()

    def damaged(self, part: str, octets: bytes, kind: type[Exception] = DamagedPage) -> None:
        self.file.write_bytes(octets)
        with self.assertRaises(kind) as caught:
            self.read()
        self.assertIn(part, str(caught.exception))

    def change(self, at: int, octets: bytes) -> bytes:
        return self.good[:at] + octets + self.good[at + len(octets) :]

    def numbers(self, flags: int) -> list[int]:
        """The pages with these flags, newest copies and others."""
        found = []
        for number in range(2, len(self.good) // SIZE):
            at = number * SIZE
            if struct.unpack_from("<Q2H", self.good, at)[::2] == (number, flags):
                found.append(number)
        return found

    def used(self, flags: int) -> int:
        """A page with these flags that matters."""
        for number in self.numbers(flags):
            self.file.write_bytes(self.change(number * SIZE + 10, b"\x40"))
            try:
                self.read()
            except DamagedPage:
                return number
        raise AssertionError(flags)

    def test_none(self):
        """A file of zeros, of text, none at all, another version."""
        for octets in (b"", b"not LMDB" * 1000, bytes(20_000), self.good[:100]):
            self.damaged("not an LMDB file", octets, NoPages)
        self.damaged("not an LMDB file", self.change(20, b"\x02"), NoPages)
        self.damaged("not an LMDB file", self.change(SIZE + 20, b"\x02"), NoPages)

    def test_short(self):
        """A file that ends before a page in use is cut short; before one that is free it is not."""
        with self.open() as environment:
            for add in (True, False):
                with environment.begin(write=True) as txn:
                    database = environment.open_db(b"b", txn=txn)
                    if add:
                        txn.put(b"long", bytes(400_000), db=database)
                    else:
                        txn.delete(b"long", db=database)
            for n in range(3):
                with environment.begin(write=True) as txn:
                    txn.put(b"%08d" % n, bytes(20), db=environment.open_db(b"a", txn=txn))
        good = self.file.read_bytes()
        content = self.read()
        for end in range(len(good) // SIZE, 2, -1):
            self.file.write_bytes(good[: end * SIZE])
            with open(self.file, "rb") as file:
                if pages.is_cut_short(file.fileno(), 64):
                    break
            self.assertEqual(self.read(), content)
        self.assertLess(end, len(good) // SIZE - 50)
        self.damaged("behind the end", good[: end * SIZE])
        self.file.write_bytes(good[: (end + 1) * SIZE])
        with self.open() as environment, environment.begin() as txn:
            self.assertEqual(SameTests.lmdb(environment), content)

    def test_last_page(self):
        """A last page that no map has room for."""
        at = 16 + 24 + 2 * 48
        for start in (0, SIZE):
            self.good = self.change(start + at, struct.pack("<Q", 2**50))
        self.damaged("outside the map", self.good)

    def test_other_page(self):
        """A page that is another's copy, or of another kind."""
        leaf = self.used(2)
        self.damaged("is not the page", self.change(leaf * SIZE, b"\xff"))
        self.damaged("is not the page", self.change(leaf * SIZE + 10, b"\x01"))

    def test_sizes(self):
        """Sizes that no page has, and entries outside of it."""
        at = self.used(2) * SIZE
        lower, upper = struct.unpack_from("<2H", self.good, at + 12)
        for low, high in ((lower, 5000), (8, upper), (upper + 2, upper), (lower + 1, upper)):
            self.damaged("impossible sizes", self.change(at + 12, struct.pack("<2H", low, high)))
        self.damaged("outside itself", self.change(at + 16, struct.pack("<H", 4090)))
        self.damaged("do not fill", self.change(at + 12, struct.pack("<H", lower - 2)))
        self.damaged("", self.change(at + 16, struct.pack("<H", upper + 1)))

    def test_order(self):
        """Keys that do not ascend: two offsets have changed places."""
        at = self.used(2) * SIZE + 16
        one, two = struct.unpack_from("<2H", self.good, at)
        self.damaged("not in order", self.change(at, struct.pack("<2H", two, one)))

    def test_circle(self):
        """A branch that leads to itself, to nowhere, to a page twice."""
        branch = self.used(1)
        offset = struct.unpack_from("<H", self.good, branch * SIZE + 16)[0]
        at = branch * SIZE + offset
        other = struct.unpack_from("<H", self.good, branch * SIZE + 18)[0]
        twice = self.good[branch * SIZE + other : branch * SIZE + other + 4]
        self.damaged("used twice", self.change(at, struct.pack("<I", branch)))
        self.damaged("is not there", self.change(at, struct.pack("<I", 2**31)))
        self.damaged("", self.change(at, twice))

    def test_data(self):
        """A run of overflow pages that is not one, or is too short."""
        at = self.used(4) * SIZE
        self.damaged("does not begin the data", self.change(at + 12, b"\x01"))
        self.damaged("does not begin the data", self.change(at + 10, b"\x02"))

    def test_counts(self):
        """A sub-database without the entries that it says."""
        [(at, _)] = [(n, 0) for n in range(2 * SIZE, len(self.good)) if self.record(n)][-1:]
        self.damaged("pages or entries", self.change(at + 32, b"\x07"))
        self.damaged("impossible depth", self.change(at + 6, b"\x63"))
        self.damaged("unknown kind", self.change(at + 4, b"\x04"))

    def record(self, at: int) -> bool:
        """Whether the record of a sub-database named ``a`` with 200 entries stands at *at*."""
        return self.good[at - 1 : at] == b"a" and self.good[at + 32 : at + 36] == b"\xc8\0\0\0"

    def test_free(self):
        """A page that is in use and free."""
        descriptor = os.open(self.file, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        found = Pages(descriptor)
        nodes = [*found.nodes(found._meta.free)]
        count, first = struct.unpack_from("<2Q", found.data(nodes[-1]))
        self.assertGreater(count, 0)
        at = self.good.rindex(nodes[-1].data)
        self.damaged("used twice", self.change(at + 8, struct.pack("<Q", self.used(2))))
        self.damaged("is not there", self.change(at + 8, struct.pack("<Q", first + 2**40)))
        self.damaged("is none", self.change(at, struct.pack("<Q", count + 1)))

    def test_any_byte(self):
        """Whatever octet is changed: what is read is what LMDB would read, or a damage."""
        filled = [at for at, octet in enumerate(self.good) if octet]
        dice, told = random.Random(1), 0
        for turn in range(1500):
            at = dice.randrange(len(self.good)) if turn % 4 == 0 else dice.choice(filled)
            changed = bytes([self.good[at] ^ (1 << dice.randrange(8))])
            self.file.write_bytes(self.change(at, changed))
            try:
                content = self.read(forgotten=2**20)  # of a free page nobody cares
            except (DamagedPage, NoPages):
                told += 1
            else:
                with self.open() as environment:
                    self.assertEqual(content, SameTests.lmdb(environment))
        self.assertGreater(told, 50)
