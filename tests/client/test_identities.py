"""Identities: names, keys, passphrases."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mixminion.client.database import Database, InlineExecutor
from mixminion.client.errors import BadAddress
from mixminion.client.identities import Identities
from mixminion.client.identity_errors import (
    BadIdentityName,
    IdentityDamaged,
    IdentityExists,
    NoSuchIdentity,
    PassphraseNeeded,
    WrongIdentityPassphrase,
)
from mixminion.crypto import hpke, kem
from mixminion.crypto.rng import SystemRandom
from mixminion.testing.cases import SyncTestCase


class IdentitiesCase(SyncTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "client.sqlite"
        self.database = Database(self.path, InlineExecutor())
        self.identities = Identities(self.database, InlineExecutor(), SystemRandom())
        self.addCleanup(lambda: self.ask(self.database.close()))

    def ask(self, work: Any) -> Any:
        """The result of a coroutine or Deferred."""
        return self.successResultOf(
            work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
        )

    def fails(self, error: type[Exception], work: Any) -> None:
        self.failureResultOf(Deferred.fromCoroutine(work), error)

    def secrets(self) -> list[bytes]:
        """What the file has of private keys."""
        with sqlite3.connect(self.path) as connection:
            rows = connection.execute("SELECT secret FROM identities ORDER BY id").fetchall()
        connection.close()
        return [row[0] for row in rows]


class NameTests(IdentitiesCase):
    def test_default(self) -> None:
        """The default one is made when it is needed, and is the same from then on."""
        self.assertEqual(self.ask(self.identities.all()), [])
        made = self.ask(self.identities.get())
        self.assertEqual((made.name, made.protected, made.address), ("default", False, None))
        self.assertEqual(self.ask(self.identities.get(None)), made)
        self.assertEqual(self.ask(self.identities.get("default")), made)
        self.assertEqual(self.ask(self.identities.all()), [made])

    def test_names(self) -> None:
        """A name is taken once, in whatever case; others get another key."""
        alice = self.ask(self.identities.create("Alice"))
        bob = self.ask(self.identities.create("bob_2.x-y"))
        self.assertNotEqual(alice.public, bob.public)
        self.assertNotEqual(alice.fingerprint, bob.fingerprint)
        self.assertEqual(self.ask(self.identities.get("ALICE")), alice)
        self.assertEqual(self.ask(self.identities.by_id(bob.id)), bob)
        self.fails(IdentityExists, self.identities.create("alice"))
        self.fails(NoSuchIdentity, self.identities.get("carol"))
        for name in ("", "-a", "a b", "ä", "a" * 41, "a/b"):
            self.fails(BadIdentityName, self.identities.create(name))
        self.ask(self.identities.delete("alice"))
        self.fails(NoSuchIdentity, self.identities.unlock(alice))
        self.fails(NoSuchIdentity, self.identities.delete("alice"))
        self.assertIsNone(self.ask(self.identities.by_id(alice.id)))
        self.assertEqual(self.ask(self.identities.all()), [bob])

    def test_address(self) -> None:
        """Where answers go; only what is an address is taken."""
        made = self.ask(self.identities.create("a", address="a@example.org"))
        self.assertEqual(made.address, "a@example.org")
        self.fails(BadAddress, self.identities.create("b", address="nowhere"))
        self.fails(BadAddress, self.identities.set_address("a", "nowhere"))
        changed = self.ask(self.identities.set_address("a", None))
        self.assertIsNone(changed.address)
        self.assertEqual(self.ask(self.identities.get("a")), changed)

    def test_nothing_shown(self) -> None:
        """No key stands in what an object says of itself."""
        made = self.ask(self.identities.get())
        unlocked = self.ask(self.identities.unlock(made))
        self.assertNotIn("\\x", repr(unlocked))


class PassphraseTests(IdentitiesCase):
    def test_open(self) -> None:
        """Without a passphrase the key is at hand."""
        made = self.ask(self.identities.create("a"))
        unlocked = self.ask(self.identities.unlock(made))
        self.assertEqual(kem.public_from_seed(unlocked.seed), made.public)
        sealed = hpke.seal(made.public, b"text", b"info")
        self.assertEqual(unlocked.open(sealed, b"info"), b"text")
        self.assertIsNone(unlocked.open(sealed, b"other"))
        self.assertEqual(self.ask(self.identities.unlock(made, b"needless")), unlocked)

    def test_protected(self) -> None:
        """With one it takes just that one, and the file does not have the key."""
        made = self.ask(self.identities.create("a", passphrase=b"right"))
        self.assertTrue(made.protected)
        self.fails(PassphraseNeeded, self.identities.unlock(made))
        self.fails(WrongIdentityPassphrase, self.identities.unlock(made, b"wrong"))
        unlocked = self.ask(self.identities.unlock(made, b"right"))
        self.assertNotIn(unlocked.seed, b"".join(self.secrets()))
        self.assertTrue(self.ask(self.identities.get("a")).protected)

    def test_change(self) -> None:
        """Another passphrase, and none; a wrong one changes nothing."""
        made = self.ask(self.identities.create("a", passphrase=b"one"))
        seed = self.ask(self.identities.unlock(made, b"one")).seed
        self.fails(
            WrongIdentityPassphrase, self.identities.change_passphrase("a", b"two", b"three")
        )
        self.ask(self.identities.change_passphrase("a", b"one", b"two"))
        self.fails(WrongIdentityPassphrase, self.identities.unlock(made, b"one"))
        self.assertEqual(self.ask(self.identities.unlock(made, b"two")).seed, seed)
        self.assertFalse(self.ask(self.identities.change_passphrase("a", b"two", None)).protected)
        self.assertEqual(self.secrets(), [seed])

    def test_swapped(self) -> None:
        """What was sealed for one identity does not open as another's."""
        for name in ("a", "b"):
            self.ask(self.identities.create(name, passphrase=b"same"))
        first, second = self.secrets()
        self.put(second)
        made = self.ask(self.identities.get("a"))
        self.fails(WrongIdentityPassphrase, self.identities.unlock(made, b"same"))
        self.put(first)
        self.ask(self.identities.unlock(made, b"same"))

    def test_damaged(self) -> None:
        """A key that no passphrase opens is not called a wrong passphrase."""
        made = self.ask(self.identities.create("a", passphrase=b"one"))
        for secret in (self.secrets()[0][:20], b"short"):
            self.put(secret)
            self.fails(IdentityDamaged, self.identities.unlock(made, b"one"))

    def put(self, secret: bytes) -> None:
        self.ask(
            self.database.run(
                lambda c: c.execute("UPDATE identities SET secret = ? WHERE name = 'a'", (secret,))
            )
        )
