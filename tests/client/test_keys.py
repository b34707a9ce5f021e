"""When somebody's key is trusted: every rule of doc/use/encryption.rst."""

from __future__ import annotations

from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from mixminion.client.database import Database, InlineExecutor
from mixminion.client.errors import BadAddress
from mixminion.client.key_errors import (
    BadFingerprint,
    BadHeader,
    BadKeyFile,
    FingerprintDiffers,
    KeyChanged,
    KeyNotFound,
    KeyVerified,
    NoKey,
    NoKeyForThat,
    NoSources,
    NoSuchSource,
    NothingCame,
    SourceFailed,
    SourcesDiffer,
    WhoseKey,
)
from mixminion.client.key_sources import KeySource, canonical, name_of
from mixminion.client.keys import FILE, Key, Keys, fingerprint, text_of
from mixminion.client.progress import AskingForKey
from mixminion.crypto import kem
from mixminion.errors import render
from mixminion.payload import public_key
from mixminion.payload.errors import BadKey
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.util.armor import BadArmor

T = TypeVar("T")

ALICE = "alice@example.org"
ONE, TWO, THREE = (kem.generate()[1] for _ in range(3))
HOUR = 3600
START = 1_800_000_000.0


class Lookup:
    """What sources have, by name and address."""

    def __init__(self) -> None:
        self.has: dict[tuple[str, str], bytes] = {}
        self.failing: set[str] = set()
        self.asked: list[tuple[str, str]] = []

    async def ask(self, source: KeySource, address: str) -> bytes | None:
        self.asked.append((source.name, address))
        if source.name in self.failing:
            raise SourceFailed(source=source.name, why="it is away")
        return self.has.get((source.name, address))


class KeysCase(SyncTestCase):
    sources: tuple[KeySource, ...] = (
        KeySource("work", Path("/keys")),
        KeySource("web", "https://k.example/{hash}"),
    )

    def setUp(self) -> None:
        self.clock = HeapClock(START)
        self.folder = Path(self.mktemp()).absolute()
        self.lookup = Lookup()
        self.keys = self.open()

    def open(self) -> Keys:
        database = Database(self.folder / "client.sqlite", InlineExecutor())
        self.addCleanup(lambda: self.do(database.close()))
        return Keys(database, self.clock, self.sources, self.lookup)

    def do(self, work: Coroutine[Any, Any, T] | Deferred[T]) -> T:
        return self.successResultOf(
            Deferred.fromCoroutine(work) if not isinstance(work, Deferred) else work
        )

    def refused(self, error: type[Exception], work: Coroutine[Any, Any, object]) -> Any:
        return self.failureResultOf(Deferred.fromCoroutine(work), error).value

    def add(self, public: bytes, address: str = ALICE) -> Key:
        return self.do(self.keys.add(public_key.encode(public), address))

    def key(self, address: str = ALICE) -> Key:
        return self.do(self.keys.get(address))


class AddTests(KeysCase):
    """From a file."""

    def test_first(self) -> None:
        """The first key is trusted from then on, after a restart too, and the same changes
        nothing."""
        key = self.add(ONE)
        hour = int(START) // HOUR * HOUR
        self.assertEqual(key, Key(ALICE, ONE, FILE, hour, verified=False))
        self.clock.advance(2 * HOUR)
        self.assertEqual(self.add(ONE, "ALICE@Example.ORG"), key)
        self.keys = self.open()
        self.assertEqual(self.do(self.keys.all()), [key])
        self.assertEqual(self.key(), key)

    def test_address_in_the_file(self) -> None:
        """What stands above the key says whose it is, where nobody else does."""
        text = text_of(ONE, "Alice", "Alice@example.org").encode()
        self.assertEqual(self.do(self.keys.add(b"Hi!\n" + text)).address, ALICE)
        self.assertEqual(self.do(self.keys.add(text, "bob@example.org")).address, "bob@example.org")
        self.refused(WhoseKey, self.keys.add(public_key.encode(ONE)))
        self.refused(BadAddress, self.keys.add(public_key.encode(ONE), "alice"))
        self.assertEqual(len(self.do(self.keys.all())), 2)

    def test_wrong_files(self) -> None:
        """None, two, a damaged one, one to which nothing can be encrypted, a long one."""
        one, two = text_of(ONE).encode(), text_of(TWO).encode()
        for octets, error in (
            (b"no key", BadKeyFile),
            (one + two, BadKeyFile),
            (one[:500], BadArmor),
            (public_key.encode(ONE)[:-1], BadKey),
            (public_key.encode(ONE[:-32] + bytes(32)), BadKey),
            (one + bytes(public_key.LONGEST), BadKeyFile),
        ):
            self.refused(error, self.keys.add(octets, ALICE))
        self.assertEqual(self.do(self.keys.all()), [])
        self.assertEqual(self.do(self.keys.add(one + one, ALICE)).public, ONE)

    def test_another(self) -> None:
        """Another key is refused with both fingerprints, and is there to be looked at; the trusted
        one stays."""
        self.add(ONE)
        error = self.refused(KeyChanged, self.keys.add(public_key.encode(TWO), ALICE))
        for part in (ALICE, fingerprint(ONE), fingerprint(TWO), "from a file", "key trust"):
            self.assertIn(part, render(error))
        key = self.key()
        self.assertEqual((key.public, key.origin), (ONE, FILE))
        assert key.offered is not None
        self.assertEqual((key.offered.public, key.offered.origin), (TWO, FILE))
        self.assertEqual(key.offered.fingerprint, fingerprint(TWO))

    def test_the_newest_other(self) -> None:
        """Of several others the newest is kept; it goes when its origin has the trusted one
        again."""
        self.add(ONE)
        for other in (TWO, THREE):
            self.refused(KeyChanged, self.keys.add(public_key.encode(other), ALICE))
        offered = self.key().offered
        assert offered is not None
        self.assertEqual(offered.public, THREE)
        self.add(ONE)
        self.assertIsNone(self.key().offered)

    def test_text(self) -> None:
        """What is shown of a key can be added by somebody else."""
        key = self.add(ONE)
        self.assertEqual(public_key.find(key.text.encode()), [(ONE, ALICE)])
        self.assertRaises(BadHeader, text_of, ONE, "J\xf6rg")
        self.assertEqual(self.add(ONE, "exit:\u00e4").text.count("Address"), 0)


class TrustTests(KeysCase):
    """Somebody decides."""

    def setUp(self) -> None:
        super().setUp()
        self.add(ONE)

    def another(self) -> None:
        self.refused(KeyChanged, self.keys.add(public_key.encode(TWO), ALICE))

    def test_trust(self) -> None:
        """The other key takes the place of the old one, which is forgotten."""
        self.refused(NothingCame, self.keys.trust(ALICE))
        self.another()
        self.clock.advance(HOUR)
        key = self.do(self.keys.trust(ALICE))
        hour = int(START) // HOUR * HOUR
        self.assertEqual(key, Key(ALICE, TWO, FILE, hour, verified=False))
        self.refused(KeyChanged, self.keys.add(public_key.encode(ONE), ALICE))
        self.assertEqual(self.key().public, TWO)

    def test_verify(self) -> None:
        """A fingerprint that is the same, in whatever spelling, verifies; another one does not."""
        shown = fingerprint(ONE)
        for told in ("", shown[:-1], "yes"):
            self.refused(BadFingerprint, self.keys.verify(ALICE, told))
        error = self.refused(FingerprintDiffers, self.keys.verify(ALICE, fingerprint(TWO)))
        self.assertIn(shown, render(error))
        self.assertIn(fingerprint(TWO), render(error))
        self.assertFalse(self.key().verified)
        self.assertTrue(self.do(self.keys.verify(ALICE, shown.upper().replace(" ", ""))).verified)
        self.assertTrue(self.key().verified)
        self.refused(NoKey, self.keys.verify("bob@example.org", shown))

    def test_verified(self) -> None:
        """A verified key is replaced only by whoever has the fingerprint of the new one, which is
        verified by it."""
        self.do(self.keys.verify(ALICE, fingerprint(ONE)))
        self.another()
        self.refused(KeyVerified, self.keys.trust(ALICE))
        for wrong in (ONE, THREE):
            self.refused(FingerprintDiffers, self.keys.trust(ALICE, fingerprint(wrong)))
        key = self.key()
        self.assertEqual((key.public, key.verified), (ONE, True))
        key = self.do(self.keys.trust(ALICE, fingerprint(TWO)))
        self.assertEqual((key.public, key.verified, key.offered), (TWO, True, None))

    def test_verifying_leaves_the_other(self) -> None:
        """Which came meanwhile, and is not trusted for it."""
        self.another()
        self.refused(FingerprintDiffers, self.keys.verify(ALICE, fingerprint(TWO)))
        key = self.do(self.keys.verify(ALICE, fingerprint(ONE)))
        self.assertIsNotNone(key.offered)

    def test_delete(self) -> None:
        """A key that was forgotten is unknown, and the next is the first again."""
        self.do(self.keys.verify(ALICE, fingerprint(ONE)))
        self.do(self.keys.delete(ALICE))
        self.refused(NoKey, self.keys.get(ALICE))
        self.refused(NoKey, self.keys.delete(ALICE))
        self.refused(NoKey, self.keys.trust(ALICE))
        self.assertEqual(self.add(TWO).public, TWO)


class FindTests(KeysCase):
    """From sources that the configuration names."""

    def find(self, *args: str) -> Key:
        return self.do(self.keys.find(ALICE, *args))

    def test_first(self) -> None:
        """What one source has, or all that have one, is trusted; everybody is told who is asked."""
        self.lookup.has["web", ALICE] = ONE
        told: list[object] = []
        key = self.do(self.keys.find("Alice@example.org", progress=told.append))
        self.assertEqual((key.public, key.origin, key.verified), (ONE, "web", False))
        self.assertEqual(
            told,
            [
                AskingForKey("work", "/keys", tells=False),
                AskingForKey("web", "https://k.example/{hash}", tells=True),
            ],
        )
        self.assertEqual(self.lookup.asked, [("work", ALICE), ("web", ALICE)])
        self.lookup.has["work", ALICE] = ONE
        self.assertEqual(self.find(), key)

    def test_none(self) -> None:
        """Nobody has one; the key that is trusted stays."""
        error = self.refused(KeyNotFound, self.keys.find(ALICE))
        self.assertIn("work, web", render(error))
        self.add(ONE)
        self.refused(KeyNotFound, self.keys.find(ALICE))
        self.assertEqual(self.key().public, ONE)

    def test_changed(self) -> None:
        """Another key from the source is not taken, neither at the second time."""
        self.lookup.has["web", ALICE] = ONE
        self.find()
        self.lookup.has["web", ALICE] = TWO
        for _ in range(2):
            error = self.refused(KeyChanged, self.keys.find(ALICE))
            self.assertIn("the source web", render(error))
            self.assertEqual(self.key().public, ONE)
        self.assertEqual(self.do(self.keys.trust(ALICE)).public, TWO)
        self.assertEqual(self.find().origin, "web")

    def test_changed_back(self) -> None:
        """What was put right there is right here; what another source had stays to be seen."""
        self.lookup.has["web", ALICE] = ONE
        self.find()
        self.lookup.has["web", ALICE] = TWO
        self.refused(KeyChanged, self.keys.find(ALICE))
        self.lookup.has["web", ALICE] = ONE
        self.assertIsNone(self.find().offered)
        self.refused(KeyChanged, self.keys.add(public_key.encode(TWO), ALICE))
        self.assertIsNotNone(self.find().offered)

    def test_two_that_differ(self) -> None:
        """Nothing is taken, whichever was right; one of them can be named."""
        self.lookup.has["work", ALICE], self.lookup.has["web", ALICE] = ONE, TWO
        error = self.refused(SourcesDiffer, self.keys.find(ALICE))
        for part in (f"work: {fingerprint(ONE)}", f"web: {fingerprint(TWO)}", "--source"):
            self.assertIn(part, render(error))
        self.refused(NoKey, self.keys.get(ALICE))
        self.assertEqual(self.find("web").public, TWO)
        self.refused(SourcesDiffer, self.keys.find(ALICE))
        self.assertEqual((self.key().public, self.key().offered), (TWO, None))

    def test_away(self) -> None:
        """A source that does not answer might have another key."""
        self.lookup.has["web", ALICE] = ONE
        self.lookup.failing.add("work")
        error = self.refused(SourceFailed, self.keys.find(ALICE))
        self.assertEqual(error.exit_code, 69)
        self.refused(NoKey, self.keys.get(ALICE))
        self.assertEqual(self.find("web").public, ONE)

    def test_names(self) -> None:
        """A source that is not named, and no source at all."""
        error = self.refused(NoSuchSource, self.keys.find(ALICE, "home"))
        self.assertIn("work, web", render(error))
        self.sources = ()
        self.keys = self.open()
        self.refused(NoSources, self.keys.find(ALICE))
        self.assertEqual(self.lookup.asked, [])


class AddressTests(SyncTestCase):
    def test_canonical(self) -> None:
        """One form of each address that somebody may have a key for."""
        box = "A" * 42 + "E"
        for text, form in (
            ("Alice+x@Example.ORG", "alice+x@example.org"),
            ("smtp:Alice@example.org", "alice@example.org"),
            (f"mailbox:{box}@Mix4", f"mailbox:{box}@mix4"),
            ("mbox:Bob@MIX1", "mbox:Bob@mix1"),
            ("mbox:bob", "mbox:bob"),
            ("exit:some text", "exit:some text"),
        ):
            self.assertEqual(canonical(text), form)
            self.assertEqual(canonical(form), form)
        for text in ("drop", "news:a.b", "news:a.b,c.d"):
            self.assertRaises(NoKeyForThat, canonical, text)
        self.assertRaises(BadAddress, canonical, "alice")

    def test_names(self) -> None:
        """A file's name is fixed by the specification."""
        self.assertEqual(name_of(ALICE), "wmvx273kbwxyoxf6aabbbskzmsakcp5qvsj6gvy6bi53sahs5fnq")
