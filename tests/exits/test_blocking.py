"""The list of who gets no mail: who is on it, what a restart finds, what its file tells."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred, ensureDeferred

from mixminion.config import ConfigErrors
from mixminion.crypto.rng import SeededRandom
from mixminion.disk import database
from mixminion.disk.database import InlineExecutor
from mixminion.disk.errors import PrivateFileError
from mixminion.disk.migrations import NewerState
from mixminion.exits import blocking
from mixminion.exits.blocking import (
    DAY,
    Blocking,
    ListFull,
    ListUnusable,
    NobodyThere,
    Origin,
    SecretDamaged,
)
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock

KEY = bytes(range(32))


class BlockingCase(SyncTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(mode=0o700)
        self.path = self.folder / "blocked.sqlite"
        self.rules = self.folder / "rules"
        self.rules.write_text("deny domain example.net\n")
        self.rules.chmod(0o600)
        self.clock = HeapClock(1_800_000_000.0)
        self.blocking = self.open()

    def open(self, key: bytes = KEY) -> Blocking:
        made = Blocking(self.path, key, [self.rules], self.clock)
        made.open(InlineExecutor())
        return made

    def run_(self, call: object) -> object:
        return self.successResultOf(ensureDeferred(call))  # type: ignore[arg-type]

    def block(self, name: str, seconds: float | None = None) -> bool:
        entry = self.blocking.hashed(name)
        done: Deferred[bool] = ensureDeferred(self.blocking.add(entry, Origin.LINK, seconds))
        return self.successResultOf(done)

    def restart(self) -> None:
        self.run_(self.blocking.close())
        self.blocking = self.open()


class ListTests(BlockingCase):
    def test_an_address(self) -> None:
        """In each of its forms, and nobody else; a restart changes nothing."""
        self.assertTrue(self.block("Bob+list@Example.org"))
        self.assertFalse(self.block("bob@example.org"))
        for _ in range(2):
            for name in ("bob@example.org", "BOB@EXAMPLE.ORG", "bob+x@example.org"):
                self.assertTrue(self.blocking.refuse(name), name)
            for name in ("bobb@example.org", "bob@a.example.org", "b.ob@example.org"):
                self.assertFalse(self.blocking.refuse(name), name)
            self.restart()

    def test_a_domain(self) -> None:
        """With all below it."""
        self.block("@example.org")
        for name in ("a@example.org", "a@b.c.example.org"):
            self.assertTrue(self.blocking.refuse(name), name)
        self.assertFalse(self.blocking.refuse("a@xexample.org"))

    def test_for_a_time(self) -> None:
        """A block for some time ends; one for good is not shortened by another."""
        self.block("bob@example.org", 3 * DAY)
        self.block("eve@example.org")
        self.assertFalse(self.block("eve@example.org", DAY))
        self.restart()
        self.assertTrue(self.blocking.refuse("bob@example.org"))
        self.clock.advance(3 * DAY)
        self.assertFalse(self.blocking.refuse("bob@example.org"))
        self.assertTrue(self.blocking.refuse("eve@example.org"))
        self.assertEqual(len(self.blocking.entries), 1)

    def test_removed(self) -> None:
        """What was taken off is off, after a restart too."""
        self.block("bob@example.org")
        self.assertTrue(self.run_(self.blocking.remove("bob@example.org")))
        self.assertFalse(self.run_(self.blocking.remove("bob@example.org")))
        self.restart()
        self.assertFalse(self.blocking.refuse("bob@example.org"))

    def test_full(self) -> None:
        """What has ended makes room; then there is none."""
        self.patch(blocking, "MOST", 2)
        self.block("a@example.org", DAY)
        self.block("b@example.org")
        with self.subTest("full"):
            entry = self.blocking.hashed("c@example.org")
            failed = self.failureResultOf(ensureDeferred(self.blocking.add(entry, Origin.LINK)))
            self.assertTrue(failed.check(ListFull))
        self.clock.advance(DAY)
        self.assertTrue(self.block("c@example.org"))

    def test_no_address(self) -> None:
        """What is none is not refused, and cannot be named."""
        self.assertFalse(self.blocking.refuse("alt.anonymous.messages"))
        for name in ("bob", "example.org", "@", "@org", "a b@example.org", "@-.org"):
            self.assertRaises(NobodyThere, self.blocking.hashed, name)

    def test_the_file_names_nobody(self) -> None:
        """Nor can somebody else's secret find an address in it; times tell the day alone."""
        self.block("bob@example.org")
        self.run_(self.blocking.close())
        octets = b"".join(path.read_bytes() for path in self.folder.glob("blocked*"))
        for part in (b"bob", b"example"):
            self.assertNotIn(part, octets)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        other = self.open(bytes(32))
        self.assertFalse(other.refuse("bob@example.org"))
        [entry] = other.entries.values()
        self.assertEqual(entry.since % DAY, 0)
        self.run_(other.close())

    def test_paused(self) -> None:
        """Exits that were paused are after a restart."""
        self.run_(self.blocking.pause("smtp", True))
        self.run_(self.blocking.pause("drop", True))
        self.run_(self.blocking.pause("drop", False))
        self.restart()
        self.assertEqual(list(self.blocking.paused), ["smtp"])


class RuleTests(BlockingCase):
    def test_reloaded(self) -> None:
        """Rules are read again; with an error in them what held before holds."""
        self.assertTrue(self.blocking.refuse("a@example.net"))
        self.rules.write_text("deny domian example.com\n")
        self.assertRaises(ConfigErrors, self.blocking.reload)
        self.assertTrue(self.blocking.refuse("a@example.net"))
        self.rules.write_text("deny domain example.com\n")
        self.blocking.reload()
        self.assertFalse(self.blocking.refuse("a@example.net"))
        self.assertTrue(self.blocking.refuse("a@example.com"))

    def test_opting_out_beats_allowing(self) -> None:
        """An operator's allow line brings nobody mail who wants none."""
        self.rules.write_text("allow address bob@example.org\n")
        self.blocking.reload()
        self.block("bob@example.org")
        self.assertTrue(self.blocking.refuse("bob@example.org"))


class FileTests(BlockingCase):
    def test_a_newer_file(self) -> None:
        """A later version's list is not read wrongly, and no list at all is made to be read."""
        self.block("bob@example.org")
        self.run_(self.blocking.close())
        connection = database.open_file(self.path, blocking.PACKAGE)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        self.assertRaises(NewerState, self.open)
        self.path.write_bytes(b"no list at all, but a text that is long enough to be looked at")
        self.assertRaises(ListUnusable, self.open)

    def test_others_may_not_read_it(self) -> None:
        """Its mode is checked."""
        self.block("bob@example.org")
        self.path.chmod(0o644)
        self.assertRaises(PrivateFileError, self.open)

    def test_secret(self) -> None:
        """Made once, private, refused when it is damaged."""
        path, random = self.folder / "blocked.key", SeededRandom(b"secret")
        made = blocking.secret(path, random)
        self.assertEqual((len(made), path.stat().st_mode & 0o777), (32, 0o600))
        self.assertEqual(blocking.secret(path, random), made)
        path.write_text("abcd\n")
        self.assertRaises(SecretDamaged, blocking.secret, path, random)
