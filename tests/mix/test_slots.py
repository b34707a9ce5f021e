"""Memory that two processes share."""

import os

from mixminion.mix.slots import AREAS, BATCH, ROOM, Slots, anonymous_file, size
from mixminion.testing.cases import SyncTestCase

LENGTH = 100


class SlotsTests(SyncTestCase):
    """Two mappings of one file, as a parent and its worker have them."""

    def setUp(self) -> None:
        descriptor = anonymous_file(LENGTH)
        self.addCleanup(os.close, descriptor)
        self.assertEqual(os.fstat(descriptor).st_size, size(LENGTH))
        self.near, self.far = Slots(descriptor, LENGTH), Slots(descriptor, LENGTH)
        self.addCleanup(self.near.close)
        self.addCleanup(self.far.close)

    def test_one_side_reads_what_the_other_wrote(self) -> None:
        """In every slot of every area, up to its last octet; none touches another."""
        places = [(area, number) for area in range(AREAS) for number in range(BATCH)]
        for area, number in places:
            self.near.put(area, number, bytes([area]), bytes([number]) * (LENGTH + ROOM - 1))
        for area, number in places:
            found = bytes(self.far.get(area, number, LENGTH + ROOM))
            self.assertEqual(found, bytes([area]) + bytes([number]) * (LENGTH + ROOM - 1))

    def test_a_slot_has_no_more_than_its_room(self) -> None:
        """What a broken worker claims is not read from its neighbour."""
        self.assertRaises(ValueError, self.far.get, 0, 0, LENGTH + ROOM + 1)

    def test_it_closes_while_something_was_read(self) -> None:
        """Copies outlive the mapping."""
        descriptor = anonymous_file(LENGTH)
        slots = Slots(descriptor, LENGTH)
        os.close(descriptor)
        slots.put(1, 2, b"kept")
        kept = bytes(slots.get(1, 2, 4))
        slots.close()
        self.assertEqual(kept, b"kept")
