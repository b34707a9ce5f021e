"""The register on the disk: what a restart finds, what is let go, what is damaged."""

from __future__ import annotations

import sqlite3

from twisted.internet.defer import Deferred

from mixminion.authority import register
from mixminion.authority.errors import RegisterUnusable
from mixminion.authority.records import Decision, Dialled
from mixminion.crypto import kdf
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.errors import BadDocument
from mixminion.disk.migrations import NewerState
from tests.authority.kit import NOW, AuthorityCase, identity, published

DAY = 86_400


def digest(octets: bytes) -> bytes:
    return kdf.sha256(Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=65_536).payload)


class RestartTests(AuthorityCase):
    def again(self) -> None:
        """Restart."""
        before = dict(self.register.records)
        self.run_(self.register.close())
        self.begin()
        self.assertEqual(dict(self.register.records), before)

    def test_everything(self):
        """Descriptors, decisions, dials, first listings and names outlive the process."""
        self.offer("alice", 1)
        self.offer("bob", 2)
        self.reached("alice")
        self.register.dialled(identity("bob"), "127.2.0.1:48099", Dialled(2, NOW, None, "x"))
        self.register.listed([identity("alice")], NOW)
        self.run_(self.register.decide(identity("bob"), Decision.BANNED, note="why"))
        self.run_(self.register.decide(identity("carol"), Decision.APPROVED, exit=True))
        self.again()
        bob = self.register.by_name("BOB")
        assert bob is not None
        self.assertEqual((bob.note, bob.dials["127.2.0.1:48099"].failures), ("why", 2))
        self.assertEqual(self.register.get(digest(published("alice"))), published("alice"))
        self.assertTrue(self.register.records[identity("carol")].exit)

    def test_first_listing(self):
        """The first consensus counts; strangers are passed over."""
        self.offer("alice")
        self.register.listed([identity("alice"), identity("nobody")], NOW)
        self.register.listed([identity("alice")], NOW + 10)
        self.again()
        self.assertEqual(self.record("alice").first_listed, NOW)

    def test_forgotten(self):
        """A forgotten server leaves its name and nothing else."""
        self.offer("alice")
        self.reached("alice")
        self.run_(self.register.forget([identity("alice"), identity("nobody")]))
        self.again()
        self.assertIsNone(self.register.by_name("alice"))
        self.assertIsNone(self.offer("mallory", 2, nickname="alice"))


class SpareTests(AuthorityCase):
    """Descriptors that votes named."""

    def test_put(self):
        """They are kept for some days, longer when they are named again, over a restart."""
        octets = [published(name) for name in ("alice", "bob")]
        for each in octets:
            self.register.put(each)
        self.clock.advance(2 * DAY)
        self.register.put(octets[0])
        self.run_(self.register.close())
        self.register = self.open()
        self.assertEqual([self.register.get(digest(each)) for each in octets], octets)
        self.clock.advance(2 * DAY)
        self.register.tidy()
        kept = [self.register.get(digest(each)) is not None for each in octets]
        self.assertEqual(kept, [False, False])

    def test_named_again(self):
        """In one life, naming it again keeps it."""
        octets = published("alice")
        self.register.put(octets)
        self.clock.advance(2 * DAY)
        self.register.put(octets)
        self.clock.advance(2 * DAY)
        self.register.tidy()
        self.assertIsNotNone(self.register.get(digest(octets)))

    def test_stood_by(self):
        """One that its server published stays."""
        self.register.put(published("alice"))
        self.offer("alice")
        self.register.put(published("alice"))
        self.clock.advance(9 * DAY)
        self.register.tidy()
        self.assertIsNotNone(self.register.get(digest(published("alice"))))

    def test_room(self):
        """There is room for so many octets; the oldest make room."""
        octets = [published(name) for name in "abcd"]
        self.register._room = 3 * len(octets[0])
        for each in octets:
            self.register.put(each)
        kept = [self.register.get(digest(each)) is not None for each in octets]
        self.assertEqual(kept, [False, True, True, True])

    def test_junk(self):
        """Other octets are refused."""
        self.assertRaises(BadDocument, self.register.put, b"{}")


class DamageTests(AuthorityCase):
    def test_newer(self):
        """A register of a later version, seen before the fork."""
        with sqlite3.connect(self.path) as connection:
            connection.execute("PRAGMA user_version = 99")
        self.assertRaises(NewerState, register.check, self.path)

    def test_no_database(self):
        """A file that is something else."""
        self.run_(self.register.close())
        self.path.write_bytes(b"x" * 5000)
        self.assertRaises(RegisterUnusable, register.check, self.path)

    def test_damaged_descriptor(self):
        """A descriptor that was spoilt on the disk is none; its server may publish again."""
        self.offer("alice")
        self.run_(self.register.close())
        with sqlite3.connect(self.path) as connection:
            connection.execute("UPDATE descriptors SET octets = X'7B'")
        connection.close()
        self.register = self.open()
        self.assertIsNone(self.record("alice").described)

    def test_unwritten(self):
        """A descriptor that cannot be written is not held, and who offered it hears so."""
        with sqlite3.connect(self.path) as connection:
            connection.execute("DROP TABLE descriptors")
        connection.close()
        offered = Deferred.fromCoroutine(self.intake.offer(published("alice")))
        self.failureResultOf(offered, RegisterUnusable)
        self.assertEqual(dict(self.register.records), {})
        self.assertEqual(self.taken, [])
