"""Mail in files, as the standard library's mailbox module reads it."""

from __future__ import annotations

import fcntl
import mailbox
import os
import resource
import threading
from collections.abc import Callable
from email.utils import parsedate
from pathlib import Path
from typing import Any

from mixminion.exits import mailfiles
from mixminion.testing.cases import SyncTestCase

DATE = "Fri Jan 15 08:00:00 2027"
NAME = "1800000000.0a@mix.test"


def mail(n: int = 0, body: bytes = b"Hello\n") -> bytes:
    return b"Subject: %d\nMessage-ID: <%d@mix.test>\n\n" % (n, n) + body


class FileCase(SyncTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def limited(self, octets: int, work: Callable[[], None]) -> OSError:
        """What *work* raises when no file may be longer than *octets*: as on a full disk."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
        try:
            error: OSError = self.assertRaises(OSError, work)
            return error
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def under_any_umask(self, work: Callable[[int], Path]) -> None:
        """A file that *work* makes is its owner's to read and write, and nobody else's."""
        for umask in (0, 0o077, 0o777):
            before = os.umask(umask)
            try:
                made = work(umask)
            finally:
                os.umask(before)
            self.assertEqual(made.stat().st_mode & 0o777, 0o600, oct(umask))

    def traced(self, work: Callable[[], None]) -> list[str]:
        """The names of the calls that make things durable, in their order; of fsync also whether
        it is of a folder."""
        seen: list[str] = []
        for name in ("pwrite", "fsync", "rename", "link"):
            real = getattr(os, name)

            def call(*args: Any, _name: str = name, _real: Any = real) -> Any:
                result = _real(*args)
                of = " folder" if _name == "fsync" and os.path.isdir(f"/dev/fd/{args[0]}") else ""
                seen.append(_name + of)
                return result

            self.patch(os, name, call)
        work()
        return seen


class MaildirTests(FileCase):
    def setUp(self) -> None:
        super().setUp()
        self.box = mailbox.Maildir(self.folder / "box")
        self.path = self.folder / "box"

    def test_read(self) -> None:
        """The mailbox module reads what was put there, octet for octet."""
        octets = mail(body=b"From here\n\xc3\xa4\n.\n")
        mailfiles.maildir(self.path, NAME, octets)
        [key] = self.box.keys()
        self.assertEqual(self.box.get_bytes(key), octets)
        self.assertEqual(list((self.path / "tmp").iterdir()), [])

    def test_once(self) -> None:
        """A second hand-over of the same mail makes no second one, even of one that was read
        meanwhile; another mail does."""
        mailfiles.maildir(self.path, NAME, mail())
        mailfiles.maildir(self.path, NAME, mail())
        self.assertEqual(len(self.box), 1)
        os.rename(self.path / "new" / NAME, self.path / "cur" / f"{NAME}:2,S")
        mailfiles.maildir(self.path, NAME, mail())
        self.assertEqual(len(self.box), 1)
        mailfiles.maildir(self.path, NAME + "x", mail(1))
        self.assertEqual(len(self.box), 2)

    def test_after_a_crash(self) -> None:
        """What a crash left half-written in tmp is written anew."""
        (self.path / "tmp" / NAME).write_bytes(b"Subj" + b"x" * 1000)
        mailfiles.maildir(self.path, NAME, mail())
        [key] = self.box.keys()
        self.assertEqual(self.box.get_bytes(key), mail())

    def test_durable(self) -> None:
        """The file is on the disk before its name is, and its name before it is said."""
        calls = self.traced(lambda: mailfiles.maildir(self.path, NAME, mail()))
        self.assertEqual(calls, ["pwrite", "fsync", "rename", "fsync folder"])

    def test_full(self) -> None:
        """Where there is no room nothing is left."""
        long = mail(body=b"x" * 5000)
        self.limited(100, lambda: mailfiles.maildir(self.path, NAME, long))
        self.assertEqual([path for path in self.path.rglob("*") if path.is_file()], [])

    def test_no_maildir(self) -> None:
        """One that is not there, or lacks a part, is not made."""
        self.assertRaises(FileNotFoundError, mailfiles.maildir, self.folder / "no", NAME, mail())
        (self.path / "new").rmdir()
        self.assertRaises(FileNotFoundError, mailfiles.maildir, self.path, NAME, mail())
        self.assertEqual(list((self.path / "tmp").iterdir()), [])

    def test_mode(self) -> None:
        """Whatever the umask."""

        def make(n: int) -> Path:
            mailfiles.maildir(self.path, f"{n}", mail(n))
            return self.path / "new" / f"{n}"

        self.under_any_umask(make)


class MhTests(FileCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "inbox"
        self.box = mailbox.MH(self.path)

    def test_read(self) -> None:
        """Mails get the numbers behind the last one, and are read octet for octet."""
        self.box.add(b"Subject: theirs\n\nx\n")
        (self.path / "7").write_bytes(b"Subject: theirs\n\ny\n")
        for n in range(3):
            mailfiles.mh(self.path, f"{n}", mail(n))
        self.assertEqual([int(key) for key in self.box.iterkeys()], [1, 7, 8, 9, 10])
        self.assertEqual(
            [self.box.get_bytes(f"{8 + n}") for n in range(3)], list(map(mail, range(3)))
        )
        self.assertEqual([each.name for each in self.path.glob(".[0-9]*")], [])

    def test_once(self) -> None:
        """A second hand-over is found, though others came between; one that was cut off before
        its end leaves no second file."""
        mailfiles.mh(self.path, NAME, mail())
        mailfiles.mh(self.path, "other", mail(1))
        (self.path / f".{NAME}").write_bytes(b"half")
        mailfiles.mh(self.path, NAME, mail())
        self.assertEqual(len(self.box), 2)

    def test_durable(self) -> None:
        """The file is on the disk before its number is."""
        calls = self.traced(lambda: mailfiles.mh(self.path, NAME, mail()))
        self.assertEqual(calls, ["pwrite", "fsync", "link", "fsync folder"])

    def test_fails(self) -> None:
        """Without room, or without a folder, nothing is left."""
        long = mail(body=b"x" * 5000)
        self.limited(100, lambda: mailfiles.mh(self.path, NAME, long))
        self.assertEqual(len(self.box), 0)
        self.assertEqual([each for each in self.path.iterdir() if NAME in each.name], [])
        self.assertRaises(FileNotFoundError, mailfiles.mh, self.folder / "no", NAME, mail())

    def test_mode(self) -> None:
        """Whatever the umask."""

        def make(n: int) -> Path:
            mailfiles.mh(self.path, f"{n}", mail(n))
            return self.path / str(max(map(int, self.box.iterkeys())))

        self.under_any_umask(make)


class MboxTests(FileCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "alice"

    def add(self, octets: bytes) -> None:
        mailfiles.mbox(self.path, DATE, octets)

    def read(self) -> list[mailbox.mboxMessage]:
        box = mailbox.mbox(self.path, create=False)
        try:
            return list(box)
        finally:
            box.close()

    def test_read(self) -> None:
        """The mailbox module finds each mail, whose lines are those that were put there."""
        bodies = [b"Hello\n", b"From me\n>From you\nfrom them\n", b"\n\n\n", b"no end"]
        for n, body in enumerate(bodies):
            self.add(mail(n, body))
        found = self.read()
        self.assertEqual(
            [each["Message-ID"] for each in found], [f"<{n}@mix.test>" for n in range(4)]
        )
        self.assertEqual(found[1].get_payload(), ">From me\n>>From you\nfrom them\n")
        self.assertEqual(parsedate(found[0].get_from().partition(" ")[2]), parsedate(DATE))
        self.assertFalse((self.folder / "alice.lock").exists())

    def test_behind_others(self) -> None:
        """A mail begins behind an empty line, whatever the file ended with; what is there stays."""
        for there in (b"", b"From x y\n\ntheirs", b"From x y\n\ntheirs\n", b"From x y\n\nthe\n\n"):
            self.path.write_bytes(there)
            self.add(mail())
            octets = self.path.read_bytes()
            self.assertTrue(octets.startswith(there))
            self.assertIn(octets[len(there) :].partition(b"From ")[0], (b"", b"\n", b"\n\n"))
            self.assertEqual(len(self.read()), 2 if there else 1)

    def test_once(self) -> None:
        """A second hand-over adds nothing; another mail is added."""
        for n in (0, 0, 1, 1):
            self.add(mail(n))
        self.assertEqual(len(self.read()), 2)

    def test_after_a_crash(self) -> None:
        """What a crash kept from being written whole, wherever it was cut, is taken away first."""
        self.add(mail(0))
        before = self.path.read_bytes()
        self.add(mail(1))
        whole = self.path.read_bytes()
        for cut in range(len(before), len(whole)):
            self.path.write_bytes(whole[:cut])
            self.add(mail(1))
            subjects = [each["Subject"] for each in self.read()]
            self.assertEqual((subjects[0], subjects[-1]), ("0", "1"))
            if cut >= len(before) + len("From "):
                self.assertEqual(self.path.read_bytes(), whole)

    def test_durable(self) -> None:
        """Its name, when it is new, and its octets are on the disk."""
        self.assertEqual(self.traced(lambda: self.add(mail())), ["fsync folder", "pwrite", "fsync"])

    def test_full(self) -> None:
        """Where there is no room the file is as it was."""
        self.add(mail())
        before = self.path.read_bytes()
        self.limited(len(before) + 30, lambda: self.add(mail(1)))
        self.assertEqual(self.path.read_bytes(), before)

    def test_locked(self) -> None:
        """A file that a reader has locked, in either way, is left alone; then it is not."""
        self.add(mail())
        before = self.path.read_bytes()
        box = mailbox.mbox(self.path)
        box.lock()
        self.assertRaises(BlockingIOError, self.add, mail(1))
        box.unlock()
        box.close()
        self.in_another_process()
        self.assertEqual(self.path.read_bytes(), before)
        self.add(mail(1))
        self.assertEqual(len(self.read()), 2)

    def in_another_process(self) -> None:
        """Fail to add while another process has locked the file."""
        ready, held = os.pipe()
        release, end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(end)
                descriptor = os.open(self.path, os.O_RDWR)
                fcntl.lockf(descriptor, fcntl.LOCK_EX)
                os.write(held, b"x")
                os.read(release, 1)
            finally:
                os._exit(0)
        os.read(ready, 1)
        try:
            self.assertRaises(BlockingIOError, self.add, mail(1))
        finally:
            for descriptor in (end, release, ready, held):
                os.close(descriptor)
            os.waitpid(child, 0)

    def test_a_lock_that_a_crash_left(self) -> None:
        """Is broken when it is ours, and not when it is somebody else's."""
        dot = self.folder / "alice.lock"
        dot.write_bytes(mailfiles.OWNER)
        self.add(mail())
        self.assertFalse(dot.exists())
        dot.write_bytes(b"4711\n")
        self.assertRaises(BlockingIOError, self.add, mail(1))
        self.assertEqual(dot.read_bytes(), b"4711\n")

    def test_threads(self) -> None:
        """Two threads never write at once: each mail is whole, or refused for the lock."""
        refused: list[int] = []

        def add(start: int) -> None:
            for n in range(start, start + 40):
                try:
                    self.add(mail(n, b"x" * 20_000 + b"\n"))
                except BlockingIOError:
                    refused.append(n)

        threads = [threading.Thread(target=add, args=(n,)) for n in (0, 100, 200)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        found = self.read()
        self.assertEqual(len(found), 120 - len(refused))
        self.assertEqual({len(each.get_payload()) for each in found}, {20_001})

    def test_link(self) -> None:
        """A symbolic link is not followed: whoever may write to the folder could have put it."""
        os.symlink(self.folder / "elsewhere", self.path)
        self.assertRaises(OSError, self.add, mail())
        self.assertFalse((self.folder / "elsewhere").exists())

    def test_mode(self) -> None:
        """Of a new file, whatever the umask; an old one keeps its own."""

        def make(n: int) -> Path:
            path = self.folder / f"{n}"
            mailfiles.mbox(path, DATE, mail())
            return path

        self.under_any_umask(make)
        self.path.touch(0o660)
        self.path.chmod(0o660)
        self.add(mail())
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o660)
