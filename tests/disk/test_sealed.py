"""Private files that a passphrase may protect."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path
from shutil import rmtree

from mixminion.crypto.passphrase import Passphrase
from mixminion.crypto.rng import SeededRandom
from mixminion.disk import sealed
from mixminion.disk.errors import PrivateFileError
from mixminion.disk.sealed import NoPassphrase, UnknownSeal, WrongPassphrase
from mixminion.testing.cases import SyncTestCase

KIND = b"test"


class SealedTests(SyncTestCase):
    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, folder)
        self.path = folder / "key"
        self.old, self.new = (Passphrase(each, SeededRandom(each)) for each in (b"old", b"new"))

    def test_files(self):
        """0600, protected or not; what is protected needs its passphrase."""
        for lock in (None, self.old):
            sealed.write(self.path, b"secret", KIND, lock)
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
            self.assertEqual(sealed.is_protected(self.path), lock is not None)
            self.assertEqual(b"secret" in self.path.read_bytes(), lock is None)
            self.assertEqual(sealed.read(self.path, KIND, self.old), b"secret")
        error = self.assertRaises(NoPassphrase, sealed.read, self.path, KIND, None)
        self.assertEqual(error.fields["path"], self.path)
        self.assertRaises(WrongPassphrase, sealed.read, self.path, KIND, self.new)

    def test_damaged(self):
        """A file that a later version made, or half of one; one that others can read."""
        sealed.write(self.path, b"secret", KIND, self.old)
        self.path.write_bytes(self.path.read_bytes()[:20])
        self.assertRaises(UnknownSeal, sealed.read, self.path, KIND, self.old)
        self.path.chmod(0o644)
        self.assertRaises(PrivateFileError, sealed.read, self.path, KIND, self.old)

    def test_either(self):
        """In the middle of a change: protected by the old one, by the new one, by none."""
        for lock in (None, self.old, self.new):
            sealed.write(self.path, b"secret", KIND, lock)
            octets = sealed.read_either(self.path, KIND, self.old, self.new)
            self.assertEqual(octets, b"secret")
        self.assertRaises(NoPassphrase, sealed.read_either, self.path, KIND, None, None)
        self.assertRaises(WrongPassphrase, sealed.read_either, self.path, KIND, self.old, self.old)
