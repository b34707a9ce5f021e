"""Storage keys on disk, and what they seal."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from mixminion.crypto.rng import SeededRandom, SystemRandom
from mixminion.disk.errors import KeyDamaged, PrivateFileError
from mixminion.disk.keystore import KeyStore, Kind
from mixminion.errors import render
from mixminion.store.keyring import DRAWN, WRAPPED, Keyring, Unreadable
from mixminion.testing.cases import SyncTestCase

PLACE = b"pool" + bytes(8)
BOUND = b"due and destination"


class KeyringCase(SyncTestCase):
    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.store = KeyStore(Kind.DISK, Path(folder) / "keys")

    def ring(self, period: int = 1) -> Keyring:
        return Keyring(self.store, SystemRandom(), period)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.store.folder.iterdir())


class FileTests(KeyringCase):
    """Making, reading, erasing."""

    def test_first(self):
        """A new key store gets a key, private, of the period it was asked for."""
        self.assertEqual(self.ring(7).period, 7)
        self.assertEqual(self.files(), ["storage-1.key"])
        mode = (self.store.folder / "storage-1.key").stat().st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        self.assertEqual(self.ring(9).period, 7)

    def test_newest(self):
        """The newest wraps, all that are there unwrap, also when read again."""
        ring = self.ring()
        sealed = [ring.seal(PLACE, BOUND, b"old")]
        for period in range(2, 12):
            ring.make(period)
            sealed.append(ring.seal(PLACE, BOUND, b"new"))
        for each in (ring, self.ring()):
            self.assertEqual(each.period, 11)
            self.assertTrue(each.older)
            self.assertEqual([each.newest(wrapped) for wrapped, _ in sealed].count(True), 1)
            for pair in sealed:
                each.open(PLACE, BOUND, *pair)

    def test_erase_older(self):
        """Only the newest is left, on disk and here, and the next has a new number."""
        ring = self.ring()
        old = ring.seal(PLACE, BOUND, b"old")
        with open(self.store.folder / "storage-1.key", "rb") as held:
            ring.make(2)
            new = ring.seal(PLACE, BOUND, b"new")
            ring.erase_older()
            self.assertEqual(set(held.read()), {0})
        self.assertEqual(self.files(), ["storage-2.key"])
        for each in (ring, self.ring()):
            self.assertFalse(each.older)
            self.assertFalse(each.known(old[0]))
            self.assertRaises(Unreadable, each.open, PLACE, BOUND, *old)
            self.assertEqual(each.open(PLACE, BOUND, *new), b"new")
        ring.make(3)
        self.assertIn("storage-3.key", self.files())

    def test_another_key_of_the_same_number(self):
        """A key store that was lost begins with number one again, and its key is not taken
        for the one that was lost."""
        old = self.ring().seal(PLACE, BOUND, b"record")
        shutil.rmtree(self.store.folder)
        ring = self.ring()
        self.assertFalse(ring.known(old[0]))
        self.assertFalse(ring.newest(old[0]))

    def test_damaged(self):
        """A file that is none of ours is refused with its name."""
        self.ring()
        path = self.store.folder / "storage-1.key"
        good = path.read_bytes()
        for bad in (b"", good[:-1], good + b"x", b"X" + good[1:], good[:11] + b"\x02" + good[12:]):
            with self.subTest(bad=bad):
                path.write_bytes(bad)
                with self.assertRaises(KeyDamaged) as caught:
                    self.ring()
                self.assertIn(str(path), render(caught.exception))

    def test_readable_by_others(self):
        """As for every private file."""
        self.ring()
        (self.store.folder / "storage-1.key").chmod(0o640)
        self.assertRaises(PrivateFileError, self.ring)


class SealTests(KeyringCase):
    """What is sealed opens, and nothing else does."""

    def test_round(self):
        """Any record, any number of them, each under a key of its own."""
        ring = self.ring()
        wraps = set()
        for n in range(3 * DRAWN + 1):
            record = os.urandom(n)
            wrapped, sealed = ring.seal(PLACE, BOUND, record)
            self.assertEqual((len(wrapped), len(sealed)), (WRAPPED, n + 16))
            self.assertEqual(ring.open(PLACE, BOUND, wrapped, sealed), record)
            wraps.add(wrapped)
        self.assertEqual(len(wraps), 3 * DRAWN + 1)

    def test_keys_differ(self):
        """One record sealed twice is two ciphertexts, also from one set of random octets."""
        ring = Keyring(self.store, SeededRandom(b"seed"), 1)
        sealed = {ring.seal(PLACE, BOUND, bytes(100))[1] for _ in range(2 * DRAWN)}
        self.assertEqual(len(sealed), 2 * DRAWN)

    def test_bound(self):
        """Another place or another moment does not open it."""
        ring = self.ring()
        wrapped, sealed = ring.seal(PLACE, BOUND, b"record")
        for place, bound in ((b"pool" + b"\x01" * 8, BOUND), (PLACE, BOUND + b"x"), (PLACE, b"")):
            self.assertRaises(Unreadable, ring.open, place, bound, wrapped, sealed)

    def test_rewrap(self):
        """The same record under another storage key; the sealed octets stay as they are."""
        ring = self.ring()
        wrapped, sealed = ring.seal(PLACE, BOUND, b"record")
        ring.make(2)
        again = ring.rewrap(PLACE, wrapped)
        self.assertTrue(ring.newest(again))
        ring.erase_older()
        self.assertEqual(ring.open(PLACE, BOUND, again, sealed), b"record")
        self.assertRaises(Unreadable, ring.rewrap, PLACE, wrapped)

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def test_any_change(self, data):
        """No changed octet goes unnoticed, in the wrapped key or in the record."""
        ring = _shared_ring()
        pair = ring.seal(PLACE, BOUND, b"a record of some octets")
        which = data.draw(st.integers(0, 1))
        octets = bytearray(pair[which])
        octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
        cut = data.draw(st.sampled_from([len(octets), len(octets) - 1, 20, 0]))
        changed = [*pair]
        changed[which] = bytes(octets[:cut])
        self.assertRaises(Unreadable, ring.open, PLACE, BOUND, *changed)


_rings: list[Keyring] = []


def _shared_ring() -> Keyring:
    if not _rings:
        folder = tempfile.mkdtemp()
        _rings.append(Keyring(KeyStore(Kind.DISK, Path(folder) / "keys"), SystemRandom(), 1))
        shutil.rmtree(folder)
    return _rings[0]
