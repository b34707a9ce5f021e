"""What a start finds, says, and goes on from."""

from __future__ import annotations

import os
import shutil

import lmdb
from twisted.internet.defer import Deferred

from mixminion.disk.keystore import KeyStore, Kind
from mixminion.errors import render
from mixminion.store import Started, Step, Store
from mixminion.store.environment import DATABASES_MAX
from mixminion.store.pages import is_cut_short
from mixminion.store.room import PAGE
from tests.store.cases import MAP, PACKET, StoreCase


def codes(started: Started) -> list[str]:
    return [finding.code for finding in started.findings]


class StartCase(StoreCase):
    """A server that is started and stopped; ``published`` is what its descriptor says."""

    def setUp(self) -> None:
        super().setUp()
        self.published = 1
        self.folder = self.path.parent

    def run_once(self, packets: int = 3) -> Started:
        """Start, publish, take something in, stop."""
        store = self.open(published=self.published)
        for _ in range(packets):
            self.pooled(store, os.urandom(PACKET))
        self.result(store.close())
        self.published = store.started.number
        return store.started

    def start(self) -> Started:
        """Start and stop; every finding has its sentence."""
        store = self.open(published=self.published)
        self.result(store.take_in(b"packet"))
        self.result(store.close())
        for finding in store.started.findings:
            self.assertNotIn("{", render(finding))
        return store.started

    def copy(self, *names: str) -> None:
        """Remember folders as they are now."""
        for name in names:
            shutil.copytree(self.folder / name, self.folder / f"{name}.copy")

    def put_back(self, *names: str) -> None:
        """Make them what they were."""
        for name in names:
            shutil.rmtree(self.folder / name)
            shutil.copytree(self.folder / f"{name}.copy", self.folder / name)


class QuietTests(StartCase):
    """Where nothing is wrong nothing is found."""

    def test_numbers_grow(self):
        """Each start has the next number; the first is one more than a new descriptor's."""
        self.assertEqual([self.run_once().number for _ in range(4)], [2, 3, 4, 5])

    def test_nothing_found(self):
        """New, used, and used again."""
        for _ in range(3):
            self.assertEqual(self.run_once().findings, ())

    def test_commits_may_lag(self):
        """After a power loss the file beside the keys may be older than the store."""
        self.run_once()
        old = (self.folder / "keys" / "commits").read_bytes()
        self.run_once()
        (self.folder / "keys" / "commits").write_bytes(old)
        self.assertEqual(self.start().findings, ())

    def test_ended_between_the_two_numbers(self):
        """A start that ended after the store's number and before the keys' finds nothing,
        the first one neither."""
        for _ in range(2):
            number = self.folder / "keys" / "start"
            before, published = number.read_bytes() if number.exists() else None, self.published
            self.run_once()
            self.published = published
            if before is None:
                number.unlink()
            else:
                number.write_bytes(before)
            self.assertEqual(self.run_once().findings, ())

    def test_every_commit_is_noted(self):
        """The mapped file has what LMDB counts, after each group."""
        store = self.open()
        for _ in range(3):
            self.results([store.take_in(b"packet") for _ in range(5)])
            environment = store._spool._environment
            assert environment is not None
            noted = int.from_bytes((self.folder / "keys" / "commits").read_bytes())
            self.assertEqual(noted, environment.info()["last_txnid"])
        self.results([store.barrier(PACKET)])
        self.assertEqual(int.from_bytes((self.folder / "keys" / "commits").read_bytes()), noted)

    def test_last_pages_are_free(self):
        """LMDB may leave out free pages at the end of its file: nothing is lost with them."""
        store = self.open(published=self.published)
        kept = self.result(store.take_in(b"packet"))
        taken = self.results([store.take_in(bytes(PACKET)) for _ in range(40)])
        self.result(store.unwrapped([Step(number) for number in taken]))
        for _ in range(6):  # so that the pages in use are those at the beginning
            self.pooled(store)
        self.published = store.started.number
        self.result(store.close())
        data = self.path / "data.mdb"
        whole = data.read_bytes()
        end = len(whole)
        while not self.cut_short(end - PAGE):
            end -= PAGE
        self.assertLess(end, len(whole) - 50 * PAGE)
        data.write_bytes(whole[:end])
        store = self.open(published=self.published)
        self.assertEqual(store.started.findings, ())
        self.assertEqual(self.result(store.waiting()).incoming, [kept])
        self.assertEqual(self.result(store.read_incoming([kept])), [b"packet"])

    def cut_short(self, end: int) -> bool:
        """Whether the file loses something when it ends there."""
        os.truncate(self.path / "data.mdb", end)
        with open(self.path / "data.mdb", "rb") as file:
            return is_cut_short(file.fileno(), DATABASES_MAX)


class DoubtTests(StartCase):
    """Where tags may be missing, it is said, and packet keys have to go."""

    def found(self, code: str) -> Started:
        started = self.start()
        self.assertEqual(codes(started), [code])
        self.assertTrue(started.doubtful)
        self.assertEqual(started.number, self.published + 1)
        self.published = started.number
        after = self.start()
        self.assertEqual(after.findings, ())
        self.published = after.number
        return started

    def test_missing(self):
        """The store is gone, its keys are not."""
        self.run_once()
        shutil.rmtree(self.path)
        self.found("store-missing")

    def test_missing_data(self):
        """The folder is there, the file is not."""
        self.run_once()
        (self.path / "data.mdb").unlink()
        self.found("store-missing")

    def test_put_back_within_a_run(self):
        """A copy of the same start, with fewer commits."""
        self.run_once()
        store = self.open(published=self.published)
        self.pooled(store)
        self.copy("store")
        self.pooled(store)
        self.result(store.close())
        self.published = store.started.number
        self.put_back("store")
        self.found("store-put-back")

    def test_put_back_after_power_loss(self):
        """A copy of an earlier start, where the commits beside the keys lag behind it."""
        self.run_once()
        self.copy("store")
        commits = (self.folder / "keys" / "commits").read_bytes()
        self.run_once()
        (self.folder / "keys" / "commits").write_bytes(commits)
        self.put_back("store")
        self.found("store-put-back")

    def test_keys_put_back(self):
        """Old keys, among them such as had been erased."""
        self.run_once()
        self.copy("keys")
        self.run_once()
        self.run_once()
        self.put_back("keys")
        self.found("keys-put-back")

    def test_both_put_back(self):
        """Store and keys agree, and the descriptor that was published knows better."""
        self.run_once()
        self.copy("store", "keys")
        self.run_once()
        self.run_once()
        self.put_back("store", "keys")
        self.found("restored")

    def test_clone(self):
        """Two machines with one store: the one that is started less often notices, if it
        learns what the other has published."""
        self.run_once()
        self.copy("store", "keys")
        for _ in range(3):
            self.run_once()
        self.put_back("store", "keys")
        self.found("restored")

    def test_cut_short(self):
        """A file that ends too early is moved aside whole; reading it would be a SIGBUS."""
        self.run_once(10)
        data = self.path / "data.mdb"
        os.truncate(data, 16 * 4096)
        short = data.read_bytes()
        started = self.found("store-set-aside")
        self.assertIn("cut short", render(started.findings[0]))
        aside = self.folder / "store.damaged-1"
        self.assertIn(str(aside), render(started.findings[0]))
        self.assertEqual((aside / "data.mdb").read_bytes(), short)

    def test_not_a_store(self):
        """Another file is moved aside, not overwritten, and so is the next one."""
        self.run_once()
        for number in (1, 2):
            junk = os.urandom(20000)
            (self.path / "data.mdb").write_bytes(junk)
            self.found("store-set-aside")
            aside = self.folder / f"store.damaged-{number}"
            self.assertEqual((aside / "data.mdb").read_bytes(), junk)

    def test_format_is_no_number(self):
        """A store whose meta data is junk."""
        for key in (b"format", b"start"):
            self.run_once()
            with lmdb.open(str(self.path), max_dbs=8) as environment:
                meta = environment.open_db(b"meta")
                with environment.begin(write=True) as txn:
                    txn.put(key, b"two", db=meta)
            self.found("store-set-aside")


class KeysGoneTests(StartCase):
    """The key store was memory, and there was no power."""

    def test_all_gone(self):
        """What was stored is removed and counted; what comes after is kept."""
        self.run_once()
        store = self.open(published=self.published)
        for _ in range(2):
            self.result(store.take_in(bytes(PACKET)))
        self.published = store.started.number
        self.result(store.close())
        shutil.rmtree(self.keys.folder)
        store = self.open(published=self.published)
        self.assertEqual(codes(store.started), ["keys-missing", "records-lost"])
        self.assertIn("of 2 accepted packets and 3 packets", render(store.started.findings[1]))
        counts = self.result(store.counts())
        self.assertEqual((counts.incoming, counts.pooled, counts.tags), (0, 0, 3))
        kept = self.result(store.take_in(b"packet"))
        self.published = store.started.number
        self.result(store.close())
        store = self.open(published=self.published)
        self.assertEqual(store.started.findings, ())
        self.assertEqual(self.result(store.read_incoming([kept])), [b"packet"])

    def test_everything_gone(self):
        """Neither store nor keys: the descriptor that was published still tells."""
        self.run_once()
        shutil.rmtree(self.keys.folder)
        shutil.rmtree(self.path)
        self.assertEqual(codes(self.start()), ["keys-missing"])

    def test_another_store(self):
        """A store under foreign keys is not taken for this one's."""
        self.run_once()
        other = KeyStore(Kind.DISK, self.folder / "other")
        store: Store = self.open(published=self.published, keys=other)
        self.assertEqual(codes(store.started), ["keys-missing", "records-lost"])


class DamagedRecordTests(StartCase):
    """A record that does not open is gone, counted, and nothing else is."""

    def damage(self, name: bytes) -> None:
        """Flip a bit in the middle of the first value of a sub-database."""
        with lmdb.open(str(self.path), max_dbs=8, map_size=MAP) as environment:
            database = environment.open_db(name)
            with environment.begin(write=True) as txn:
                cursor = txn.cursor(db=database)
                cursor.first()
                key, value = cursor.item()
                half = len(value) // 2
                cursor.put(key, value[:half] + bytes([value[half] ^ 4]) + value[half + 1 :])

    def test_damaged(self):
        """Its ciphertext, its wrapped key, or what it is bound to."""
        for name in (b"pool/2", b"pool-index/2"):
            with self.subTest(name=name):
                self.run_once(3)
                self.damage(name)
                store = self.open(published=self.published)
                ids = [entry.id for entry in self.result(store.waiting()).pooled]
                records = self.result(store.read(ids))
                self.assertEqual([record is None for record in records].count(True), 1)
                counts = self.result(store.counts())
                self.assertEqual((counts.damaged, counts.pooled), (1, len(ids) - 1))
                self.published = store.started.number
                self.result(store.close())

    def test_moved(self):
        """Two records that changed places do not open: each is bound to its own."""
        self.run_once(2)
        with lmdb.open(str(self.path), max_dbs=8, map_size=MAP) as environment:
            for name in (b"pool/2", b"pool-index/2"):
                database = environment.open_db(name)
                with environment.begin(write=True) as txn:
                    (first, a), (second, b) = txn.cursor(db=database)
                    txn.put(first, b, db=database)
                    txn.put(second, a, db=database)
        store = self.open(published=self.published)
        ids = [entry.id for entry in self.result(store.waiting()).pooled]
        self.assertEqual(self.result(store.read(ids)), [None, None])

    def test_due_changed(self):
        """A record whose moment somebody changed does not open."""
        self.run_once(1)
        with lmdb.open(str(self.path), max_dbs=8, map_size=MAP) as environment:
            database = environment.open_db(b"pool-index/2")
            with environment.begin(write=True) as txn:
                [(key, value)] = txn.cursor(db=database)
                txn.put(key, value[:68] + (99).to_bytes(8) + value[76:], db=database)
        store = self.open(published=self.published)
        [entry] = self.result(store.waiting()).pooled
        self.assertEqual(entry.due_ms, 99)
        self.assertEqual(self.result(store.read([entry.id])), [None])


class ForeignTests(StartCase):
    """What somebody else wrote into the store harms nothing of ours."""

    def test_foreign(self):
        """Keys that are no ids, a sub-database that is none of ours: left where they are, and
        all that is done with a store goes on around them."""
        self.run_once()
        environment = lmdb.open(str(self.path), max_dbs=8, map_size=MAP)
        with environment, environment.begin(write=True) as txn:
            for name in (b"incoming-index/2", b"pool-index/2"):
                database = environment.open_db(name, txn=txn)
                for key in (b"\x01", b"\xff" * 9, bytes(9)):
                    txn.put(key, bytes(200), db=database)
            environment.open_db(b"tags/1/none", txn=txn)
        store = self.open(published=self.published)
        self.assertEqual(store.started.findings, ())
        incoming = self.result(store.take_in(b"packet"))
        waiting = self.result(store.waiting())
        self.assertEqual((waiting.incoming, len(waiting.pooled)), ([incoming], 3))
        self.assertEqual(self.result(store.read_incoming([incoming])), [b"packet"])
        renewed = Deferred.fromCoroutine(store.renew_storage_key(2))
        for _ in range(20):
            self.clock.advance(0)
        self.assertTrue(self.successResultOf(renewed))
        records = self.result(store.read([entry.id for entry in waiting.pooled]))
        self.assertNotIn(None, records)
        self.assertEqual(len([*self.keys.folder.glob("storage-*")]), 1)
