"""When intake ends."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

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

    def test_measured_again(self):
        """However much room there is, it is measured again after a stride."""
        self.assertEqual(Room(self.path, 1000 * MIB, 0).left(0), STRIDE)

    def test_footprint(self):
        """A packet of 32 KiB takes nine pages: eight do not hold it and its page header."""
        self.assertEqual(footprint(bytes(32768)), 9 * 4096)
        self.assertEqual(footprint(bytes(32752)), 8 * 4096)
