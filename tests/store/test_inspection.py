"""A look at a closed store: each damage is found, nothing is changed, and the start after it finds
and does what was foretold."""

from __future__ import annotations

import errno
import os
import random
import shutil
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb

from mixminion.errors import MixminionError, render
from mixminion.store import Pooled, Started, Step, upgrade
from mixminion.store.findings import Finding, Harmless, Remark, foretold
from mixminion.store.inspection import Inspection, inspect
from mixminion.store.pages import Pages
from mixminion.store.records import DELAY_MAX_MS
from mixminion.store.room import PAGE
from tests.store.cases import MAP, PACKET
from tests.store.test_opening import StartCase, codes
from tests.store.test_upgrade import FirstFormat

NOW_MS = 1_800_000_000_000
EXIT = b"exit:smtp"


def contents(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and folder with its mode, its time, and its octets."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        state = path.lstat()
        octets = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (state.st_mode, state.st_mtime_ns, octets)
    return found


def told(inspection: Inspection) -> list[str]:
    return [finding.code for finding in inspection.found]


class InspectionCase(StartCase):
    """A store that is looked at between its starts."""

    def look(self) -> Inspection:
        """Look; nothing is changed by it, and every finding has a whole sentence."""
        before = contents(self.folder)
        found = inspect(
            self.path,
            map_size=MAP,
            keys=self.keys,
            published=self.published,
            now_ms=NOW_MS,
        )
        self.assertEqual(contents(self.folder), before)
        for finding in found.found:
            self.assertNotIn("{", said(finding))
            if isinstance(finding, Finding):
                self.assertTrue(said(finding).endswith("."), said(finding))
        return found

    def foretold(self, *expected: str) -> Inspection:
        """Look, and start: *expected* is told by both, but for what a start says nothing of."""
        found = self.look()
        self.assertEqual(told(found), list(expected))
        started = self.start()
        self.assertEqual(
            codes(started),
            [each.code for each in found.found if not isinstance(each, Remark)],
        )
        self.assertEqual(
            started.doubtful,
            any(isinstance(each, Finding) and each.doubtful for each in found.found),
        )
        return found

    def fill(self) -> Started:
        """Two accepted packets, three pooled ones for mixes, one message, five tags."""
        store = self.open(published=self.published)
        for _ in range(3):
            self.pooled(store, os.urandom(PACKET), NOW_MS)
        incoming = self.result(store.take_in(b"packet"))
        message = Pooled(EXIT, NOW_MS - 5000, b"message")
        self.result(store.unwrapped([Step(incoming, 1, os.urandom(16), message)]))
        incoming = self.result(store.take_in(b"packet"))
        self.result(store.unwrapped([Step(incoming, 2, os.urandom(16))]))
        for _ in range(2):
            self.result(store.take_in(os.urandom(PACKET)))
        self.result(store.close())
        self.published = store.started.number
        return store.started

    @contextmanager
    def spoiling(self) -> Iterator[tuple[lmdb.Environment, Any]]:
        """A transaction of somebody else's."""
        with (
            lmdb.open(str(self.path), max_dbs=16, map_size=MAP) as environment,
            environment.begin(write=True) as txn,
        ):
            yield environment, txn

    def change(self, name: bytes, at: int) -> None:
        """Change one octet of the first value of a sub-database."""
        with self.spoiling() as (environment, txn):
            cursor = txn.cursor(db=environment.open_db(name, txn=txn))
            cursor.first()
            key, value = cursor.item()
            octets = bytearray(value)
            octets[at] ^= 4
            cursor.put(key, bytes(octets))


def said(finding: MixminionError) -> str:
    return foretold(finding) if isinstance(finding, Finding) else render(finding)


class GoodTests(InspectionCase):
    """Where nothing is wrong nothing is found, and everything is counted."""

    def test_counts(self):
        """Packets, messages, tags, octets, and the first moment."""
        number = self.fill().number
        found = self.look()
        held = found.held
        assert held is not None
        self.assertEqual(found.found, [])
        self.assertEqual((found.format, found.start), (2, number))
        self.assertEqual((held.incoming.good, held.pool.good), (2, 4))
        self.assertEqual((held.mixes, held.exits), (3, 1))
        self.assertEqual(held.oldest_ms, NOW_MS - 5000)
        self.assertEqual(held.tags, {1: 4, 2: 1})
        store = self.open(published=self.published)
        counts = self.result(store.counts())
        self.assertEqual((found.used, sum(held.tags.values())), (counts.used, counts.tags))

    def test_again_and_again(self):
        """New, after each start, after a renewal of storage keys that was interrupted."""
        self.assertEqual(told(self.look()), ["store-new"])
        for _ in range(3):
            self.fill()
            self.assertEqual(self.look().found, [])
        store = self.open(published=self.published)
        store.renew_storage_key(9).close()
        self.result(store._queue(lambda work, period: work.new_storage_key(period), 9))
        self.result(store.take_in(b"under the new key"))
        self.published = store.started.number
        self.result(store.close())
        self.assertEqual(len([*self.keys.folder.glob("storage-*")]), 2)
        self.foretold()

    def test_lagging(self):
        """A power loss may leave the file of commits behind, and a crash the start's number."""
        self.fill()
        commits, number = self.keys.folder / "commits", self.keys.folder / "start"
        old = commits.read_bytes(), number.read_bytes()
        published = self.published
        self.fill()
        commits.write_bytes(old[0])
        number.write_bytes(old[1])
        self.published = published
        self.foretold()

    def test_empty_file(self):
        """A first start that was ended before LMDB wrote."""
        self.path.mkdir(mode=0o700)
        (self.path / "data.mdb").touch(mode=0o600)
        self.foretold("store-new")

    def test_memory(self):
        """What it takes does not grow with the store."""
        peaks = []
        for count in (50, 350):
            store = self.open(published=self.published, map_size=2**26)
            for _ in range(count):
                self.pooled(store, os.urandom(PACKET))
            self.published = store.started.number
            self.result(store.close())
            tracemalloc.start()
            held = self.look_only().held
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert held is not None
        self.assertEqual(held.mixes, 400)
        self.assertLess(peaks[1], max(peaks[0] * 1.5, 1 << 20))

    def look_only(self) -> Inspection:
        return inspect(
            self.path, map_size=MAP, keys=self.keys, published=self.published, now_ms=NOW_MS
        )


class StoreTests(InspectionCase):
    """The store as a whole: gone, older, newer, not all of it."""

    def setUp(self) -> None:
        super().setUp()
        self.fill()

    def test_missing(self):
        """The folder is gone, or the file."""
        for gone in (self.path, self.path / "data.mdb"):
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
            [finding] = self.foretold("store-missing").found
            self.assertIn("the next start begins a new one", said(finding))
            self.published += 1

    def test_everything_gone(self):
        """Neither store nor keys."""
        shutil.rmtree(self.path)
        shutil.rmtree(self.keys.folder)
        self.foretold("keys-missing")

    def test_put_back(self):
        """An older copy of the store."""
        self.copy("store")
        self.fill()
        self.put_back("store")
        self.foretold("store-put-back")

    def test_keys_put_back(self):
        """An older copy of the keys."""
        self.copy("keys")
        self.fill()
        self.fill()
        self.put_back("keys")
        self.foretold("keys-put-back")

    def test_both_put_back(self):
        """An older copy of both, with a descriptor that knows better."""
        self.copy("store", "keys")
        self.fill()
        self.put_back("store", "keys")
        self.foretold("restored")

    def test_cut_short(self):
        """The end of the file is missing."""
        os.truncate(self.path / "data.mdb", 16 * PAGE)
        [finding] = self.foretold("store-set-aside").found
        self.assertIn("(its file has been cut short); the next start moves it aside", said(finding))

    def test_not_a_store(self):
        """Another file in its place."""
        (self.path / "data.mdb").write_bytes(b"not LMDB" * 1000)
        [finding] = self.foretold("store-set-aside").found
        self.assertIn("it is not an LMDB file", said(finding))

    def test_junk_numbers(self):
        """Format or start are no numbers."""
        for key in (b"format", b"start"):
            with self.spoiling() as (environment, txn):
                txn.put(key, b"two", db=environment.open_db(b"meta", txn=txn))
            self.foretold("store-set-aside")
            self.published += 1

    def test_too_new(self):
        """The store of a later version: the start refuses it with the same sentence."""
        with self.spoiling() as (environment, txn):
            txn.put(b"format", b"3", db=environment.open_db(b"meta", txn=txn))
        found = self.look()
        self.assertEqual(told(found), ["store-too-new"])
        with self.assertRaises(MixminionError) as caught:
            self.open()
        self.assertEqual(render(caught.exception), render(found.found[0]))

    def test_unreadable(self):
        """A file that cannot be opened is told with the reason."""
        data = self.path / "data.mdb"
        for make in (lambda: data.symlink_to("/dev/null"), data.mkdir, lambda: os.mkfifo(data)):
            data.rmdir() if data.is_dir() else data.unlink()
            make()
            found = told(self.look())
            self.assertEqual(found[-1], "store-unusable")

    def test_bad_disk(self):
        """A page that the disk does not give back is told; nothing ends with a signal."""
        real = os.pread

        def pread(descriptor: int, length: int, at: int) -> bytes:
            if at > 8 * 4096:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(descriptor, length, at)

        self.patch(os, "pread", pread)
        [finding] = self.look().found
        self.assertIn("Input/output error", said(finding))


class OldTests(InspectionCase):
    """A store of the previous release."""

    def test_old(self):
        """What it holds is counted; the next start upgrades it, and finds as much."""
        FirstFormat(self.path, 6)
        found = self.look()
        self.assertEqual(told(found), ["store-old"])
        self.assertIn("upgrades it to format 2", said(found.found[0]))
        held = found.held
        assert held is not None
        self.assertEqual((held.incoming.good, held.mixes, held.exits), (6, 3, 3))
        self.assertEqual(held.tags, {2800: 6, 2801: 6})
        self.assertEqual(held.oldest_ms, 1000)
        self.assertEqual(self.start().findings, ())
        after = self.look().held
        assert after is not None
        self.assertEqual((after.mixes, after.exits, after.tags), (3, 3, held.tags))

    def test_interrupted(self):
        """What an interrupted upgrade left is told of."""
        FirstFormat(self.path, 2)
        shutil.copytree(self.path, upgrade.beside_of(self.path))
        self.foretold("upgrade-interrupted", "store-old")
        self.assertFalse(upgrade.beside_of(self.path).exists())


class RecordTests(InspectionCase):
    """Single records."""

    def setUp(self) -> None:
        super().setUp()
        self.fill()

    def damaged(self, incoming: int, pooled: int) -> None:
        found = self.foretold("records-damaged")
        [finding] = found.found
        self.assertIn(f"{incoming} accepted packets and {pooled} packets", said(finding))
        held = found.held
        assert held is not None
        self.assertEqual((held.incoming.good, held.pool.good), (2 - incoming, 4 - pooled))

    def test_flipped_in_a_record(self):
        """One octet of a sealed record, found in the file itself."""
        with self.spoiling() as (environment, txn):
            cursor = txn.cursor(db=environment.open_db(b"pool/2", txn=txn))
            [sealed] = [value for _, value in cursor if len(value) > PACKET][:1]
        data = self.path / "data.mdb"
        octets = data.read_bytes()
        self.assertEqual(octets.count(sealed[5000:5032]), 1)
        data.write_bytes(octets.replace(sealed[5000:5032], bytes(32)))
        self.damaged(0, 1)

    def test_flipped_in_an_index(self):
        """One octet of a wrapped key, or of what a record is bound to."""
        self.change(b"incoming-index/2", 40)
        self.damaged(1, 0)

    def test_flipped_destination(self):
        """One octet of what a record is bound to."""
        self.change(b"pool-index/2", -1)
        self.damaged(0, 1)

    def test_missing_record(self):
        """The index has what the records have not."""
        with self.spoiling() as (environment, txn):
            for name in (b"incoming/2", b"pool/2"):
                cursor = txn.cursor(db=environment.open_db(name, txn=txn))
                cursor.last()
                cursor.delete()
        self.damaged(1, 1)

    def test_missing_records(self):
        """All of them, with their sub-database."""
        with self.spoiling() as (environment, txn):
            txn.drop(environment.open_db(b"pool/2", txn=txn))
        self.damaged(0, 4)

    def test_exchanged(self):
        """Two records that changed places."""
        with self.spoiling() as (environment, txn):
            database = environment.open_db(b"incoming/2", txn=txn)
            (first, one), (second, two) = txn.cursor(db=database)
            txn.put(first, two, db=database)
            txn.put(second, one, db=database)
        self.damaged(2, 0)

    def test_due(self):
        """A moment that somebody changed is no moment of ours."""
        with self.spoiling() as (environment, txn):
            cursor = txn.cursor(db=environment.open_db(b"pool-index/2", txn=txn))
            cursor.first()
            key, value = cursor.item()
            cursor.put(key, value[:68] + (99).to_bytes(8) + value[76:])
        self.damaged(0, 1)

    def test_foreign(self):
        """Records in no index, keys that are no ids, sub-databases of others."""
        with self.spoiling() as (environment, txn):
            for name in (b"incoming/2", b"pool/2"):
                txn.put(bytes(8), b"x" * 9000, db=environment.open_db(name, txn=txn))
            txn.put(b"short", b"x", db=environment.open_db(b"pool-index/2", txn=txn))
            txn.put(b"key", b"x" * 9000, db=environment.open_db(b"other", txn=txn))
        found = self.foretold("records-foreign")
        self.assertIn("(4 of them)", said(found.found[0]))
        held = found.held
        assert held is not None
        self.assertEqual((held.incoming.good, held.pool.good), (2, 4))

    def test_odd_destination(self):
        """Sealed by ours and of no form that ours writes."""
        store = self.open(published=self.published)
        for destination in (b"nowhere", b""):
            incoming = self.result(store.take_in(b"packet"))
            pooled = Pooled(destination, 5, b"record")
            self.result(store.unwrapped([Step(incoming, 1, os.urandom(16), pooled)]))
        self.published = store.started.number
        self.result(store.close())
        self.foretold("records-foreign")

    def test_late(self):
        """A moment beyond any delay is worth a note, and the count goes on."""
        store = self.open(published=self.published)
        for due_ms in (NOW_MS + DELAY_MAX_MS, NOW_MS + DELAY_MAX_MS + 1, 2**64 - 1):
            self.pooled(store, b"record", due_ms)
        self.published = store.started.number
        self.result(store.close())
        [finding] = self.foretold("records-late").found
        self.assertIn("(2 of them)", said(finding))
        self.assertIsInstance(finding, Harmless)

    def test_tags(self):
        """Tags that are none: of another length, or with something beside them."""
        with self.spoiling() as (environment, txn):
            database = environment.open_db(b"tags/1/" + b"%016x" % 1, txn=txn)
            txn.put(b"x" * 15, b"", db=database)
            txn.put(b"x" * 16, b"y", db=database)
        [finding] = self.foretold("tags-damaged").found
        self.assertTrue(said(finding).startswith("Tags of packets seen are damaged (2 of them)"))

    def test_pages(self):
        """A page of tags that is not what it should be."""
        with self.spoiling() as (environment, txn):
            database = environment.open_db(b"tags/1/" + b"%016x" % 1, txn=txn)
            tag = next(iter(txn.cursor(db=database)))[0]
        data = self.path / "data.mdb"
        octets = bytearray(data.read_bytes())
        at = octets.rindex(tag) & ~4095
        octets[at + 10] ^= 0xFF
        for page in range(0, len(octets), 4096):  # older copies, too
            if tag in octets[page : page + 4096]:
                octets[page + 10] = 0x44
        data.write_bytes(octets)
        found = self.look()
        self.assertEqual(told(found), ["store-pages-damaged"])
        held = found.held
        assert held is not None
        self.assertEqual((held.incoming.good, held.pool.good), (2, 4))

    def test_any_octet(self):
        """Whatever octet is changed behind the first pages: it is found, or nothing that a server
        reads but tags and numbers has changed."""
        self.published = 1
        shutil.rmtree(self.path)
        shutil.rmtree(self.keys.folder)
        store = self.open(map_size=MAP)
        for _ in range(3):
            self.pooled(store)
            self.result(store.take_in(b"packet"))
        self.result(store.close())
        self.published = store.started.number
        data = self.path / "data.mdb"
        with open(data, "r+b") as file:
            file.truncate(Pages(file.fileno()).count * PAGE)  # without what is set aside
        good, content = data.read_bytes(), self.content()
        filled = [at for at, octet in enumerate(good) if octet]
        dice, found = random.Random(3), 0
        for turn in range(1000):
            octets = bytearray(good)
            at = dice.randrange(len(good)) if turn % 4 == 0 else dice.choice(filled)
            octets[at] ^= 1 << dice.randrange(8)
            data.write_bytes(octets)
            if told(self.look()):
                found += 1
            elif octets[: 2 * 4096] == good[: 2 * 4096]:
                self.assertEqual(self.content(), content)
        self.assertGreater(found, 50)

    def content(self) -> dict[bytes, list[tuple[bytes, bytes]]]:
        names = (b"incoming/2", b"incoming-index/2", b"pool/2", b"pool-index/2")
        with self.spoiling() as (environment, txn):
            return {name: list(txn.cursor(db=environment.open_db(name, txn=txn))) for name in names}


class KeyTests(InspectionCase):
    """Storage keys, and the files beside them."""

    def setUp(self) -> None:
        super().setUp()
        self.fill()
        self.key = self.keys.folder / "storage-1.key"

    def test_storage_key_gone(self):
        """Its records are lost, and the next start removes them."""
        self.key.unlink()
        [finding] = self.foretold("records-lost").found
        self.assertIn("of 2 accepted packets and 4 packets", said(finding))
        self.assertIn("the next start removes them", said(finding))

    def test_all_keys_gone(self):
        """The key store lost its power."""
        shutil.rmtree(self.keys.folder)
        self.foretold("keys-missing", "records-lost")

    def test_storage_key_damaged(self):
        """Told by its name, as the start does that it ends; what is under it is not judged."""
        self.key.write_bytes(b"junk")
        found = self.look()
        self.assertEqual(told(found), ["storage-key-damaged", "records-unchecked"])
        self.assertIn(str(self.key), said(found.found[0]))
        with self.assertRaises(MixminionError) as caught:
            self.open()
        self.assertEqual(render(caught.exception), said(found.found[0]))

    def test_modes(self):
        """What others could read is told with what mends it, each once."""
        keys = self.keys.folder
        store = (self.path, self.path / "data.mdb", self.path / "lock.mdb")
        for path in (*store, keys, self.key, keys / "start", keys / "commits"):
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() else 0o644)
            found = self.look()
            self.assertEqual(told(found)[0], "private-file", path)
            self.assertIn("chmod", said(found.found[0]))
            self.assertIn(str(path), said(found.found[0]))
            with self.assertRaises(MixminionError) as caught:
                self.open()
            self.assertEqual(render(caught.exception), said(found.found[0]))
            path.chmod(mode)
            self.assertEqual(told(self.look()), [])

    def test_unfinished(self):
        """Half of a key is told of, and gone after the next start."""
        for name in (".storage-2.key.x7", ".storage-1.key.erasing"):
            (self.keys.folder / name).write_bytes(b"half")
        [finding] = self.foretold("keys-unfinished").found
        self.assertIn("(2 of them)", said(finding))
        self.assertEqual(told(self.look()), [])
