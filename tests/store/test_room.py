"""When intake ends."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

from mixminion.store.room import RESERVE, STRIDE, Room, footprint
from mixminion.testing.cases import SyncTestCase

MIB = 2**20


class RoomTests(SyncTestCase):
    """On a real file system, with limits above and below what it has."""

    def setUp(self) -> None:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = Path(folder) / "data"
        self.path.write_bytes(bytes(8 * MIB))
        disk = os.statvfs(self.path)
        self.free = disk.f_bavail * disk.f_frsize

    def test_large_map(self):
        """85 % of a large map."""
        self.assertEqual(Room(self.path, 100 * MIB, 0).limit(), 85 * MIB)

    def test_small_map(self):
        """Of a small map all but the reserve."""
        self.assertEqual(Room(self.path, 16 * MIB, 0).limit(), 16 * MIB - RESERVE)

    def test_no_room_on_disk(self):
        """Where the file system has nothing to give, what the file has already counts."""
        room = Room(self.path, 1000 * MIB, 2 * self.free)
        self.assertEqual(room.limit(), 8 * MIB - RESERVE)
        self.assertGreater(room.left(MIB), 0)
        self.assertLessEqual(room.left(5 * MIB), 0)

    def test_allocated(self):
        """What may be taken in has its place, and the reserve: holes of the file are filled."""
        os.truncate(self.path, 0)
        os.truncate(self.path, MIB)
        room = Room(self.path, 64 * MIB, 0)
        self.assertEqual(room.left(MIB), STRIDE)
        found = self.path.stat()
        self.assertGreaterEqual(found.st_blocks * 512, found.st_size)
        self.assertGreaterEqual(found.st_size, MIB + STRIDE + RESERVE)
        self.assertEqual(Room(self.path, 16 * MIB, 0).left(MIB), 11 * MIB)

    def test_disk_gives_nothing(self):
        """When the file system has less than it said, what the file has counts."""
        room = Room(self.path, 1000 * MIB, 0)
        with patch.object(os, "posix_fallocate", side_effect=OSError(errno.ENOSPC, "full")):
            self.assertEqual(room.left(MIB), 3 * MIB)
            self.assertLessEqual(room.left(5 * MIB), 0)

    def test_measured_again(self):
        """However much room there is, it is measured again after a stride."""
        self.assertEqual(Room(self.path, 1000 * MIB, 0).left(0), STRIDE)

    def test_footprint(self):
        """A packet of 32 KiB takes nine pages: eight do not hold it and its page header."""
        self.assertEqual(footprint(bytes(32768)), 9 * 4096)
        self.assertEqual(footprint(bytes(32752)), 8 * 4096)
