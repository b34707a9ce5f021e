"""Private files: modes, owners, folders above, replacement."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import SkipTest
from unittest.mock import patch

from mixminion.disk import private
from mixminion.disk.errors import PrivateFileError, WriteFailed
from mixminion.errors import render
from mixminion.testing.cases import SyncTestCase

CHILD = """
import os, pathlib, sys
os.umask(int(sys.argv[1], 8))
from mixminion.disk import private
from mixminion.disk.lock import HomeLock
home = pathlib.Path(sys.argv[2]) / "a" / "b"
private.make_folder(home)
private.write(home / "key", b"old")
private.write(home / "key", b"new")
HomeLock(home).acquire()
assert private.read(home / "key") == b"new"
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class PrivateTests(SyncTestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def test_any_umask(self):
        """Folders are 0700 and files 0600, whatever the umask."""
        for mask in ("000", "022", "077", "0777"):
            with self.subTest(mask):
                top = self.folder / mask
                private.make_folder(top)
                subprocess.run([sys.executable, "-c", CHILD, mask, str(top)], check=True)
                self.assertEqual(mode(top / "a"), 0o700)
                self.assertEqual(mode(top / "a" / "b"), 0o700)
                for name in ("key", "lock"):
                    self.assertEqual(mode(top / "a" / "b" / name), 0o600)
                self.assertEqual(sorted(os.listdir(top / "a" / "b")), ["key", "lock"])

    def test_replaced_whole(self):
        """A reader that has the old file open keeps it; the new one has its own mode."""
        path = self.folder / "key"
        private.write(path, b"old")
        path.chmod(0o644)
        with path.open("rb") as reader:
            private.write(path, b"new")
            self.assertEqual(reader.read(), b"old")
        self.assertEqual(private.read(path), b"new")

    def test_failed_write(self):
        """A write that cannot be finished leaves the folder as it was and says what failed."""
        (self.folder / "key" / "x").mkdir(parents=True)
        with self.assertRaises(WriteFailed) as caught:
            private.write(self.folder / "key", b"new")
        self.assertIn(str(self.folder / "key"), render(caught.exception))
        self.assertEqual(caught.exception.exit_code, 73)
        self.assertEqual(os.listdir(self.folder), ["key"])
        self.assertRaises(WriteFailed, private.write, self.folder / "no" / "key", b"new")

    def test_folder_over_file(self):
        """A folder is not made where a file is."""
        private.write(self.folder / "x", b"")
        self.assertRaises(WriteFailed, private.make_folder, self.folder / "x" / "y")
        self.assertRaises(WriteFailed, private.make_folder, self.folder / "x")

    def test_missing(self):
        """A file that is not there is FileNotFoundError: its user knows what it would have been."""
        self.assertRaises(FileNotFoundError, private.read, self.folder / "key")
        self.assertRaises(FileNotFoundError, private.check, self.folder / "key")

    def test_wrong_mode(self):
        """A file others may read or write is refused, with the command that mends it."""
        path = self.folder / "my key"
        private.write(path, b"x")
        for wrong in (0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666):
            path.chmod(wrong)
            for use in (private.read, private.check):
                with self.assertRaises(PrivateFileError) as caught:
                    use(path)
                self.assertEqual(caught.exception.exit_code, 77)
            command = render(caught.exception).partition("mend it with: ")[2]
            self.assertEqual(command, f"chmod 600 '{path}'")
            subprocess.run(command, shell=True, check=True)
            self.assertEqual(private.read(path), b"x")

    def test_wrong_folder(self):
        """A folder anywhere above that others may write to is refused, unless it is sticky."""
        path = self.folder / "a" / "b" / "key"
        private.make_folder(path.parent)
        private.write(path, b"x")
        for wrong in (0o770, 0o720, 0o702, 0o777):
            (self.folder / "a").chmod(wrong)
            with self.assertRaises(PrivateFileError) as caught:
                private.read(path)
            command = render(caught.exception).partition("mend it with: ")[2]
            self.assertEqual(command, f"chmod go-w {self.folder / 'a'}")
            subprocess.run(command, shell=True, check=True)
            self.assertEqual(private.read(path), b"x")
        (self.folder / "a").chmod(0o1777)
        self.assertEqual(private.read(path), b"x")

    def test_through_a_link(self):
        """The folders that are really above it count, not only those that are written."""
        path = self.folder / "open" / "b" / "key"
        private.make_folder(path.parent)
        private.write(path, b"x")
        (self.folder / "link").symlink_to(path.parent)
        self.assertEqual(private.read(self.folder / "link" / "key"), b"x")
        (self.folder / "open").chmod(0o777)
        self.assertRaises(PrivateFileError, private.read, self.folder / "link" / "key")

    def test_not_a_file(self):
        """A link, a pipe or a folder in a file's place is refused without being followed or
        waited for."""
        private.write(self.folder / "key", b"x")
        (self.folder / "link").symlink_to(self.folder / "key")
        os.mkfifo(self.folder / "pipe", 0o600)
        for name in ("link", "pipe"):
            self.assertRaises(PrivateFileError, private.read, self.folder / name)
            self.assertRaises(PrivateFileError, private.check, self.folder / name)

    def test_folder_mode(self):
        """A private folder is 0700."""
        private.check(self.folder)
        self.folder.chmod(0o750)
        self.assertRaises(PrivateFileError, private.check, self.folder)

    def test_cannot_enter(self):
        """A folder above that we may not enter is named, in one sentence."""
        path = self.folder / "a" / "key"
        private.make_folder(path.parent)
        private.write(path, b"x")
        self.folder.chmod(0o600)
        self.addCleanup(self.folder.chmod, 0o700)
        if os.geteuid() == 0:
            os.seteuid(65534)
            self.addCleanup(os.seteuid, 0)
        for use in (private.read, private.check, private.check_unchangeable):
            with self.assertRaises(PrivateFileError) as caught:
                use(path)
            self.assertIn(f"{self.folder} cannot be entered", render(caught.exception))

    def test_unchangeable(self):
        """What others may read, nobody else may change; a link to it is followed."""
        path, link = self.folder / "conf", self.folder / "link"
        private.write(path, b"x")
        link.symlink_to(path)
        for mode, good in [(0o644, True), (0o600, True), (0o664, False), (0o646, False)]:
            path.chmod(mode)
            for name in (path, link):
                if good:
                    private.check_unchangeable(name)
                else:
                    self.assertRaises(PrivateFileError, private.check_unchangeable, name)
        path.chmod(0o1666)
        self.assertRaises(PrivateFileError, private.check_unchangeable, path)

    def test_wrong_owner(self):
        """A file or a folder above it that belongs to somebody else is refused."""
        if os.geteuid() != 0:
            raise SkipTest("only root gives files away")
        path = self.folder / "a" / "key"
        private.make_folder(path.parent)
        private.write(path, b"x")
        for given in (path, path.parent):
            os.chown(given, 12345, -1)
            with self.assertRaises(PrivateFileError) as caught:
                private.read(path)
            self.assertIn(f"chown 0 {given}", render(caught.exception))
            os.chown(given, 0, -1)
        self.assertEqual(private.read(path), b"x")


class EraseTests(SyncTestCase):
    """Overwritten, and gone under its name first."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(mode=0o700)
        self.path = self.folder / "a.key"
        private.write(self.path, b"secret")

    def test_gone(self):
        """Nothing of it is in the folder, nor in the file that somebody still has open."""
        with open(self.path, "rb") as held:
            private.erase(self.path)
            self.assertEqual(held.read(), bytes(6))
        self.assertEqual(list(self.folder.iterdir()), [])
        private.erase(self.path)

    def test_interrupted(self):
        """After an end at any step the file is whole, or has no such name and can be erased."""
        for step in ("rename", "fsync", "unlink"):
            with self.subTest(step=step):
                private.write(self.path, b"secret")
                with self.patched(step), self.assertRaises(KeyboardInterrupt):
                    private.erase(self.path)
                if self.path.exists():
                    self.assertEqual(private.read(self.path), b"secret")
                for left in list(self.folder.iterdir()):
                    private.erase(left)
                self.assertEqual(list(self.folder.iterdir()), [])

    @contextmanager
    def patched(self, step: str) -> Iterator[None]:
        def end(*_: object) -> None:
            raise KeyboardInterrupt

        with patch.object(os, step, end):
            yield
