"""Documents kept."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred

from mixminion.directory.errors import (
    DirectoryExpired,
    DirectoryOlder,
    TwoDirectories,
    WrongDigest,
)
from mixminion.dirhttp.cache import DocumentCache, Documents
from mixminion.dirhttp.errors import NoDirectory
from mixminion.disk.errors import WriteFailed
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from tests.directory.network import NOW, WEEK
from tests.dirhttp.kit import PRIVATE, PUBLIC, directory, documents


class CacheTests(SyncTestCase):
    """A cache in a folder."""

    def setUp(self):
        self.folder = Path(self.mktemp()).resolve() / "directory"
        self.cache = DocumentCache(PUBLIC, self.folder)
        self.first = documents(directory("alice", "bob"))
        self.second = documents(directory("alice", "bob", "carol", at=NOW + 60), NOW + 60)

    def accept(self, offered: Documents) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.cache.accept(offered)))

    def refuse(self, offered: Documents, error: type[Exception]) -> None:
        self.failureResultOf(Deferred.fromCoroutine(self.cache.accept(offered)), error)

    def files(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()}

    def test_empty(self):
        """Nothing held: a sentence that says what to run."""
        self.assertFalse(self.cache.load(NOW))
        self.assertIsNone(self.cache.signed)
        self.assertIsNone(self.cache.keys(bytes(32)))
        self.assertIn(
            "mixminion update", render(self.assertRaises(NoDirectory, self.cache.view, NOW))
        )

    def test_kept(self):
        """What was accepted is there at the next start."""
        self.accept(self.first)
        again = DocumentCache(PUBLIC, self.folder)
        self.assertTrue(again.load(NOW))
        self.assertEqual({each.nickname for each in again.view(NOW).servers}, {"alice", "bob"})
        for digest, octets in self.first.keys.items():
            self.assertEqual(again.keys(digest), octets)

    def test_replaced(self):
        """Newer documents replace older ones, and their key documents go."""
        self.accept(self.first)
        before = self.files()
        self.accept(self.second)
        self.assertEqual(len(self.cache.view(NOW + 60).servers), 3)
        self.assertEqual(self.files() & before, {"consensus"})
        self.assertEqual(len(self.files()), 1 + len(self.second.keys))

    def test_never_back(self):
        """Older ones, or others of the same time, are refused and what is held stays."""
        self.accept(self.second)
        self.refuse(self.first, DirectoryOlder)
        self.refuse(documents(directory("alice", at=NOW + 60), NOW + 60), TwoDirectories)
        self.assertEqual(len(self.cache.view(NOW + 60).servers), 3)
        self.accept(self.second)

    def test_expired(self):
        """Held documents that expired are told as such."""
        self.accept(self.first)
        error = self.assertRaises(DirectoryExpired, self.cache.view, NOW + 2 * WEEK)
        self.assertIn("7 days ago", render(error))
        latest = self.cache.latest  # a server that is cut off goes on with it
        assert latest is not None
        self.assertEqual(len(latest.servers), 2)
        self.assertTrue(DocumentCache(PUBLIC, self.folder).load(NOW + 2 * WEEK))

    def test_incomplete(self):
        """A consensus without all of its key documents, or with others, is refused."""
        signed, keys = self.first.signed, dict(self.first.keys)
        digest = next(iter(keys))
        self.refuse(Documents(signed, {**keys, digest: b"{}"}), WrongDigest)
        del keys[digest]
        self.refuse(Documents(signed, keys), WrongDigest)
        self.assertIsNone(self.cache.signed)
        self.assertFalse(self.folder.exists())

    def test_damaged(self):
        """Every kept file, damaged or gone, makes the load fail quietly and the next one work."""
        self.accept(self.first)
        for name in self.files():
            path = self.folder / name
            good = path.read_bytes()
            for octets in (b"", good[:-1], b"\xff" + good[1:]):
                path.write_bytes(octets)
                self.assertFalse(DocumentCache(PUBLIC, self.folder).load(NOW))
            path.unlink()
            self.assertFalse(DocumentCache(PUBLIC, self.folder).load(NOW))
            path.write_bytes(good)
            path.chmod(0o600)
        self.assertTrue(DocumentCache(PUBLIC, self.folder).load(NOW))

    def test_mended(self):
        """Accepting again writes over a damaged file."""
        self.accept(self.first)
        damaged = next(path for path in self.folder.iterdir() if path.name.startswith("keys-"))
        damaged.write_bytes(b"")
        again = DocumentCache(PUBLIC, self.folder)
        self.assertFalse(again.load(NOW))
        self.cache = again
        self.accept(self.first)
        self.assertTrue(DocumentCache(PUBLIC, self.folder).load(NOW))

    def test_other_authorities(self):
        """Documents of authorities that are trusted no longer are not loaded."""
        self.accept(self.first)
        self.assertFalse(DocumentCache([bytes(32)], self.folder).load(NOW))
        self.assertTrue(DocumentCache(PUBLIC[:1], self.folder).load(NOW))
        self.assertEqual(len(PRIVATE), 3)

    def test_on_disk_first(self):
        """Nothing is served or used before it is on disk."""
        waiting: list[Deferred[None]] = []

        def in_thread(work):
            work()
            waiting.append(Deferred())
            return waiting[-1]

        cache = DocumentCache(PUBLIC, self.folder, in_thread)
        accepting = Deferred.fromCoroutine(cache.accept(self.first))
        self.assertNoResult(accepting)
        self.assertIsNone(cache.signed)
        waiting[0].callback(None)
        self.successResultOf(accepting)
        self.assertIsNotNone(cache.signed)

    def test_cannot_write(self):
        """A disk that refuses leaves what was held."""
        self.accept(self.first)

        def in_thread(work):
            raise WriteFailed(path="x", why="full")

        self.cache._in_thread = in_thread
        self.refuse(self.second, WriteFailed)
        self.assertEqual(len(self.cache.view(NOW).servers), 2)
