"""Documents kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mixminion.directory.checks import SignedConsensus
from mixminion.directory.errors import (
    DirectoryExpired,
    DirectoryOlder,
    NotEnoughSignatures,
    TwoDirectories,
    WrongDigest,
)
from mixminion.dirhttp import evidence
from mixminion.dirhttp.cache import DocumentCache, Documents
from mixminion.dirhttp.errors import NoDirectory
from mixminion.disk import private
from mixminion.disk.errors import WriteFailed
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.directory import sign_directory
from tests.directory.network import NOW, WEEK, authorities, published
from tests.dirhttp.kit import PRIVATE, PUBLIC, directory, documents


class CacheCase(SyncTestCase):
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

    def later(self, number: int, *names: str) -> Documents:
        """The documents of so many minutes later."""
        at = NOW + 60 * number
        return documents(directory("alice", *names, at=at), at)


class CacheTests(CacheCase):
    """What is held, and what goes."""

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

    def octets(self, found: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(found))

    def test_three(self):
        """The three newest consensuses are held with their key documents, those before them go."""
        offered = [self.first, self.second, self.later(2, "dave"), self.later(3, "erin")]
        for each in offered:
            self.accept(each)
        self.assertEqual(len(self.cache.view(NOW + 180).servers), 2)
        again = DocumentCache(PUBLIC, self.folder)
        self.assertTrue(again.load(NOW + 180))
        self.assertEqual(again.known, self.cache.known)
        for cache in (self.cache, again):
            held = [known.digest for known in cache.known]
            self.assertEqual(held, [each.signed.digest for each in reversed(offered[1:])])
            for each in offered:
                kept = each is not self.first
                found = self.octets(cache.consensus(each.signed.digest))
                self.assertEqual(found, each.signed.octets if kept else None)
                for digest, octets in each.keys.items():
                    self.assertEqual(
                        self.octets(cache.key_document(digest)), octets if kept else None
                    )
                    newest = octets if each is offered[-1] else None
                    self.assertEqual(cache.keys(digest), newest)
        self.assertEqual(len(self.files()), 3 + 3 * len(self.first.keys))

    def test_signatures_added(self):
        """The same consensus with more signatures replaces itself and is held once."""
        few = directory("alice", signers=PRIVATE[:2])
        many = directory("alice")
        for signed in (few, many, few):
            self.accept(documents(signed))
        self.assertEqual(len(self.cache.known), 1)
        assert self.cache.signed is not None
        self.assertEqual(self.cache.signed.octets, many.consensus)
        self.assertEqual(len(self.files()), 1 + len(many.keys))
        self.assertEqual(self.cache.evidence, ())

    def test_in_memory(self):
        """Without a folder the same, until the process ends."""
        self.cache = DocumentCache(PUBLIC)
        for each in (self.first, self.second):
            self.accept(each)
        self.refuse(self.later(1), TwoDirectories)
        self.assertEqual(len(self.cache.evidence), 1)
        digest = self.first.signed.digest
        self.assertEqual(self.octets(self.cache.consensus(digest)), self.first.signed.octets)
        for digest, octets in self.first.keys.items():
            self.assertEqual(self.octets(self.cache.key_document(digest)), octets)
        self.assertFalse(DocumentCache(PUBLIC).load(NOW))

    def test_past_damaged(self):
        """What was damaged or lost of earlier ones is held no longer, and nothing else is lost."""
        for each in (self.first, self.second, self.later(2)):
            self.accept(each)
        digest = self.first.signed.digest
        path = self.folder / f"consensus-{digest.hex()}"
        path.write_bytes(path.read_bytes()[:-9])
        self.assertIsNone(self.octets(self.cache.consensus(digest)))
        lost = next(iter(set(self.second.keys) - set(self.later(2).keys)))
        (self.folder / f"keys-{lost.hex()}").unlink()
        self.assertIsNone(self.octets(self.cache.key_document(lost)))
        again = DocumentCache(PUBLIC, self.folder)
        self.assertTrue(again.load(NOW + 120))
        self.assertEqual(len(again.known), 1)
        self.cache = again
        self.accept(self.later(3))
        self.assertEqual(len(self.cache.known), 2)
        self.assertFalse(path.exists())

    def test_another_process(self):
        """What another process has kept meanwhile is not replaced by something older."""
        self.accept(self.first)
        other = DocumentCache(PUBLIC, self.folder)
        self.assertTrue(other.load(NOW))
        self.accept(self.later(2))
        accepting = Deferred.fromCoroutine(other.accept(self.second))
        self.failureResultOf(accepting, DirectoryOlder)
        self.assertTrue(other.load(NOW + 120))
        self.assertEqual(other.known[0], self.cache.known[0])

    def test_another_network(self):
        """A newer directory of other authorities is no obstacle."""
        self.accept(self.later(2))
        strangers, theirs = authorities(5)
        other = sign_directory([published("zoe")], strangers[3:], now=NOW)
        self.cache = DocumentCache(theirs[3:], self.folder)
        self.assertFalse(self.cache.load(NOW))
        signed = SignedConsensus.verify(other.consensus, theirs[3:], NOW)
        self.accept(Documents(signed, other.keys))
        self.assertEqual(len(self.files()), 1 + len(other.keys))

    def test_never_back(self):
        """Older ones, or others of the same time, are refused and what is held stays."""
        self.accept(self.second)
        self.refuse(self.first, DirectoryOlder)
        self.refuse(self.later(1), TwoDirectories)
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
        while waiting:
            self.assertNoResult(accepting)
            self.assertIsNone(cache.signed)
            waiting.pop().callback(None)
        self.successResultOf(accepting)
        self.assertIsNotNone(cache.signed)

    def test_cannot_write(self):
        """A disk that refuses leaves what was held."""
        self.accept(self.first)

        def in_thread(work):
            raise WriteFailed(path="x", why="full")

        self.cache.in_thread = in_thread
        self.refuse(self.second, WriteFailed)
        self.assertEqual(len(self.cache.view(NOW).servers), 2)


class EvidenceTests(CacheCase):
    """Two consensuses for one time."""

    def fork(self, number: int) -> Documents:
        return self.later(number, "mallory")

    def judge(self, offered: Documents) -> Deferred[SignedConsensus]:
        now = offered.signed.consensus.valid_after
        return Deferred.fromCoroutine(self.cache.judge(offered.signed.octets, now))

    def test_kept(self):
        """Both are kept, and told of, at the next start too; the first one stays in use."""
        self.accept(self.later(1))
        self.assertEqual(self.cache.evidence, ())
        self.failureResultOf(self.judge(self.fork(1)), TwoDirectories)
        self.refuse(self.fork(1), TwoDirectories)
        again = DocumentCache(PUBLIC, self.folder)
        self.assertTrue(again.load(NOW + 60))
        both = [self.later(1).signed, self.fork(1).signed]
        for cache in (self.cache, again):
            (found,) = cache.evidence
            self.assertEqual(found.valid_after, NOW + 60)
            self.assertEqual(set(found.digests), {each.digest for each in both})
            witnesses = self.successResultOf(Deferred.fromCoroutine(cache.witnesses(found)))
            self.assertEqual(set(witnesses), {each.octets for each in both})
            self.assertEqual(len(cache.view(NOW + 60).servers), 1)

    def test_of_an_earlier_time(self):
        """Also when a newer one is held already; one that is only older proves nothing."""
        for number in (1, 2, 3, 4):
            self.accept(self.later(number))
        self.failureResultOf(self.judge(self.fork(1)), DirectoryOlder)
        self.assertEqual(self.cache.evidence, ())
        self.failureResultOf(self.judge(self.fork(2)), TwoDirectories)
        self.assertEqual([each.valid_after for each in self.cache.evidence], [NOW + 120])

    def test_bounded(self):
        """The first ones stay, however many there are."""
        for number in range(1, evidence.MOST + 4):
            self.accept(self.later(number))
            self.failureResultOf(self.judge(self.fork(number)), TwoDirectories)
            third = self.later(number, "third")
            self.failureResultOf(self.judge(third), TwoDirectories)
        self.assertEqual(len(self.cache.evidence), evidence.MOST)
        self.assertEqual(self.cache.evidence[0].valid_after, NOW + 60)
        files = list((self.folder / "evidence").iterdir())
        self.assertEqual(len(files), 2 * evidence.MOST)
        for path in files:
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_not_signed(self):
        """What strangers signed, or the same with other signatures, is no evidence."""
        self.accept(documents(directory("alice")))
        unsigned = directory("alice", "mallory", signers=PRIVATE[:1])
        judging = Deferred.fromCoroutine(self.cache.judge(unsigned.consensus, NOW))
        self.failureResultOf(judging, NotEnoughSignatures)
        few = documents(directory("alice", signers=PRIVATE[1:]))
        self.successResultOf(self.judge(few))
        self.assertEqual(self.cache.evidence, ())

    def test_taken_away(self):
        """Files that somebody took away, or added, do not matter."""
        self.accept(self.later(1))
        self.failureResultOf(self.judge(self.fork(1)), TwoDirectories)
        (found,) = self.cache.evidence
        for path in (self.folder / "evidence").iterdir():
            path.unlink()
        witnesses = self.successResultOf(Deferred.fromCoroutine(self.cache.witnesses(found)))
        self.assertEqual(witnesses, [])
        private.write(self.folder / "evidence" / "12-notes", b"")
        again = DocumentCache(PUBLIC, self.folder)
        self.assertTrue(again.load(NOW + 60))
        self.assertEqual(again.evidence, ())
