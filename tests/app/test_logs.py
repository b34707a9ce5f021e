"""The server's log file."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import stat
import tempfile
from pathlib import Path
from unittest.mock import patch

from twisted.logger import Logger
from twisted.python.logfile import BaseLogFile, LogFile

from mixminion.app.logs import Log
from mixminion.testing.cases import SyncTestCase


class LogTests(SyncTestCase):
    def setUp(self) -> None:
        self.file = Path(tempfile.mkdtemp()) / "log" / "server.log"
        self.addCleanup(shutil.rmtree, self.file.parent.parent)

    def log(self, *, level: str = "info", max_size: int = 10**6, keep: int = 3) -> Logger:
        """A logger that writes into the file only."""
        log = Log(self.file, level=level, max_size=max_size, keep=keep, foreground=False)
        return Logger("mixminion.tests", observer=log)

    def test_level(self):
        """Events of the level and above are written, others are not."""
        log = self.log(level="warn")
        log.info("one")
        log.warn("two {n}", n=2)
        log.error("three")
        text = self.file.read_text()
        self.assertNotIn("one", text)
        self.assertIn("two 2", text)
        self.assertIn("three", text)

    def test_bounded(self):
        """At its size the file is set aside; the oldest go; all are 0600 under umask 0."""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        log = self.log(max_size=1000, keep=2)
        for n in range(100):
            log.info("event {n} " + "x" * 100, n=n)
        names = sorted(os.listdir(self.file.parent))
        self.assertEqual(names, ["server.log", "server.log.1", "server.log.2"])
        for name in names:
            found = (self.file.parent / name).stat()
            self.assertEqual(stat.S_IMODE(found.st_mode), 0o600)
            self.assertLess(found.st_size, 1300)
        self.assertIn("event 99 ", self.file.read_text())

    def test_goes_on(self):
        """A second start writes behind what is there."""
        self.log().info("first")
        self.log().info("second")
        lines = self.file.read_text().splitlines()
        self.assertEqual([line.rpartition(" ")[2] for line in lines], ["first", "second"])

    def test_full_disk(self):
        """What cannot be written does no harm and is counted; the log goes on afterwards."""
        log = self.log()
        log.info("first")
        with patch.object(BaseLogFile, "write", side_effect=OSError(errno.ENOSPC, "full")):
            log.info("lost")
            log.info("lost")
        log.info("second")
        log.info("third")
        text = self.file.read_text()
        self.assertNotIn("lost\n", text)
        self.assertEqual(text.count("(2 events could not be written here.)"), 1)
        self.assertIn("second\n", text)

    def test_no_half_lines(self):
        """A disk that has room for half a line gets none of it."""
        log = self.log()
        log.info("first")
        before = self.file.read_bytes()
        ended = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGXFSZ, ended)
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_FSIZE, limit)
        for room in (1, 20, 0):
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + room, limit[1]))
            log.info("lost \N{SNOWMAN}")
            self.assertEqual(self.file.read_bytes(), before)
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        log.info("second")
        lines = self.file.read_text().splitlines()
        self.assertEqual(lines[1], "(3 events could not be written here.)")
        self.assertEqual([line.split()[-1] for line in lines], ["first", "here.)", "second"])

    def test_no_room_for_the_next_file(self):
        """A file that was set aside when there was no room for the next: the log goes on too."""
        log = self.log(max_size=100)
        log.info("x" * 100)
        with patch.object(LogFile, "_openFile", side_effect=OSError(errno.ENOSPC, "full")):
            log.info("lost")
            log.info("lost")
        log.info("lost")
        log.info("later")
        self.assertIn("later\n", self.file.read_text())
