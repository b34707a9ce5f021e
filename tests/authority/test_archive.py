"""What an authority keeps."""

from __future__ import annotations

from pathlib import Path

from mixminion.authority.archive import DAY, LIFE, Archive
from mixminion.authority.folder import PrivateFolder
from mixminion.authority.signatures import Collection
from mixminion.crypto import kdf
from mixminion.testing.cases import SyncTestCase
from tests.authority.votes import INSTANT, authorities, authority, signed, signer, vote
from tests.directory import network
from tests.directory.network import NOW, server


class ArchiveTests(SyncTestCase):
    """One in a folder on the disk."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).resolve() / "archive"
        self.archive = Archive(PrivateFolder(self.path))

    def test_votes(self) -> None:
        """Votes by author, apart from those that had no effect."""
        self.assertEqual(self.archive.votes(INSTANT), [])
        one, other = signed(vote(1), 1), signed(vote(2), 2, 1)
        self.archive.keep_vote(one)
        self.archive.keep_vote(other)
        self.archive.keep_stray(signed(vote(1, "stray"), 1))
        again = Archive(PrivateFolder(self.path))
        self.assertEqual({*again.votes(INSTANT)}, {one.octets, other.octets})
        self.assertEqual(again.votes(INSTANT + 1), [])
        self.assertEqual(len(again.votes(INSTANT, "stray")), 1)
        self.assertEqual(again.vote(INSTANT, authority(2)), other.octets)
        self.assertTrue(again.has(INSTANT, "vote", authority(1)))
        self.assertFalse(again.has(INSTANT, "vote", authority(0)))
        for path in self.path.iterdir():
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_unreadable(self) -> None:
        """A file that others could have written is not used, and is there all the same."""
        self.archive.keep_vote(signed(vote(1), 1))
        (path,) = self.path.iterdir()
        path.chmod(0o666)
        self.assertEqual(self.archive.votes(INSTANT), [])
        self.assertTrue(self.archive.has(INSTANT, "vote", authority(1)))

    def test_foreign_files(self) -> None:
        """What is not ours is left alone, and what a crash left half written."""
        self.archive.keep_vote(signed(vote(1), 1))
        for name in ("README", ".1-vote.x", "1-vote-", "x-vote", "12-report"):
            (self.path / name).write_text("?")
        self.archive.prune(NOW + 1000 * DAY)
        left = {path.name for path in self.path.iterdir()}
        self.assertEqual(left, {"README", ".1-vote.x", "1-vote-", "x-vote"})

    def test_consensus(self) -> None:
        """A consensus, its key documents by digest, whole or not at all."""
        made = network.consensus([server("alice")])
        collection = Collection.made(made, authorities(3))
        for number in range(2):
            collection.sign(signer(number))
        consensus = collection.signed()
        assert consensus is not None
        document = b"keys"
        digest = kdf.sha256(document)
        self.archive.keep_consensus(consensus, {digest: document})
        self.assertEqual(self.archive.consensus(NOW), consensus.octets)
        self.assertEqual(self.archive.instants(), [NOW])
        self.assertEqual(self.archive.keys(digest), document)
        (self.path / f"keys-{digest.hex()}").write_bytes(b"key")
        self.assertIsNone(self.archive.keys(digest))
        self.archive.prune_keys([])
        self.assertEqual([path.name for path in self.path.iterdir()], [f"{NOW}-consensus"])

    def test_pruned(self) -> None:
        """Each kind as long as it is kept; the newest consensuses for ever."""
        for name in ("vote-" + "0" * 64, "report", "consensus", "evidence-" + "0" * 64):
            for at in range(5):
                PrivateFolder(self.path).write(f"{NOW + at}-{name}", b"?")
        self.archive.prune(NOW + LIFE["consensus"] + 10)
        kept = [path.name.split("-")[1] for path in self.path.iterdir()]
        self.assertEqual(kept.count("vote"), 0)
        self.assertEqual(kept.count("report"), 5)
        self.assertEqual(kept.count("evidence"), 5)
        self.assertEqual(self.archive.instants(), [NOW + 4, NOW + 3, NOW + 2])

    def test_report(self) -> None:
        """A report that is damaged is none."""
        self.archive.keep_report(INSTANT, {"a": 1})
        self.assertEqual(self.archive.report(INSTANT), {"a": 1})
        (self.path / f"{INSTANT}-report").write_bytes(b"{")
        self.assertIsNone(self.archive.report(INSTANT))
        self.assertIsNone(self.archive.report(INSTANT + 1))
