"""When intake ends."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from mixminion.store.room import FULL, PAGE, RESERVE, STRIDE, Room, footprint
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
        self.assertEqual(room.map_limit, 850 * MIB)
        self.assertGreater(room.left(MIB), 0)
        self.assertLessEqual(room.left(5 * MIB), 0)

    def test_small(self):
        """Where the reserve would be most of it, a quarter may be used; of nothing, nothing."""
        for size, limit in ((5 * MIB, 5 * MIB // 4), (6 * MIB, 2 * MIB), (MIB, MIB // 4), (0, 0)):
            self.path.write_bytes(bytes(size))
            self.assertEqual(Room(self.path, 1000 * MIB, 2 * self.free).limit(), limit)

    def test_small_file_system(self):
        """An eighth of a small file system is left to others, of a large one 128 MiB."""
        for blocks, others in ((256, 32), (256 * 1024, 32 * 1024), (2**30, 32 * 1024)):
            disk = SimpleNamespace(f_frsize=4096, f_blocks=blocks, f_bavail=blocks)
            with patch.object(os, "statvfs", return_value=disk):
                limit = Room(self.path, 2**50).limit()
            capacity = 8 * MIB + 4096 * (blocks - others)
            self.assertEqual(limit, min(int(capacity * FULL), capacity - RESERVE))

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

    def test_allocated_to_the_limit(self):
        """With every limit the file is made large enough to be used that far, and not larger than
        what the limit was counted from."""
        for size in (MIB // 8, MIB, 5 * MIB, 6 * MIB, 30 * MIB, 40 * MIB):
            os.truncate(self.path, 0)
            room = Room(self.path, size, 0)
            self.assertEqual(room.left(0), min(STRIDE, room.map_limit))
            made = self.path.stat().st_size
            self.assertLessEqual(made, size)
            self.assertGreaterEqual(Room(self.path, made, 0).map_limit, min(STRIDE, room.map_limit))

    def test_holes(self):
        """Holes are the disk's to give, and it may have nothing."""
        os.truncate(self.path, 0)
        os.truncate(self.path, 8 * MIB)
        self.assertEqual(Room(self.path, 1000 * MIB, 2 * self.free).limit(), 0)

    def test_disk_gives_nothing(self):
        """When the file system has less than it said, what the file has counts, in the limit that
        is told, too; until it gives again."""
        room = Room(self.path, 100 * MIB, 0)
        with patch.object(os, "posix_fallocate", side_effect=OSError(errno.ENOSPC, "full")):
            self.assertEqual(room.left(MIB), 3 * MIB)
            self.assertLessEqual(room.left(5 * MIB), 0)
            self.assertEqual(room.limit(), 8 * MIB - RESERVE)
        self.assertEqual(room.left(MIB), STRIDE)
        self.assertEqual(room.limit(), 85 * MIB)

    def test_disk_gives_less(self):
        """Under a quota it gives less than it says that it has: that much is taken."""
        fallocate = os.posix_fallocate

        def quota(descriptor: int, start: int, size: int) -> None:
            if size > 15 * MIB:
                raise OSError(errno.EDQUOT, "quota")
            fallocate(descriptor, start, size)

        room = Room(self.path, 1000 * MIB, 0)
        with patch.object(os, "posix_fallocate", quota):
            self.assertEqual(room.left(MIB), STRIDE // 2 + PAGE)
        self.assertEqual(room.limit(), self.path.stat().st_size - RESERVE)

    def test_measured_again(self):
        """However much room there is, it is measured again after a stride."""
        self.assertEqual(Room(self.path, 1000 * MIB, 0).left(0), STRIDE)

    def test_footprint(self):
        """A packet of 32 KiB takes nine pages: eight do not hold it and its page header."""
        self.assertEqual(footprint(32768), 9 * 4096)
        self.assertEqual(footprint(32752), 8 * 4096)
