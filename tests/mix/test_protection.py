"""What a worker tells of its protection, and what its operator is told to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mixminion.mix.batches import BrokenAnswer
from mixminion.mix.protection import Protection
from mixminion.testing.cases import SyncTestCase

WELL = Protection(
    locked=40_000,
    size=40_100,
    needed=56_000,
    limit=262_144,
    unlocked=None,
    dumpable=False,
    core=0,
)
UNKNOWN = Protection(None, None, None, None, "this system cannot lock memory", None, None)


class ProtectionTests(SyncTestCase):
    def told(self, **changes: Any) -> list[str]:
        return list(replace(WELL, **changes).complaints())

    def test_octets(self):
        """It arrives as it was sent; anything else is no answer of a worker."""
        for each in (WELL, UNKNOWN):
            self.assertEqual(Protection.decode(each.encode()), each)
        for octets in (b"", b"{}", b"[]", b"\xff", b"7"):
            self.assertRaises(BrokenAnswer, Protection.decode, octets)

    def test_well(self):
        """Nothing to do; what the system does not tell is no complaint."""
        self.assertEqual(self.told(), [])
        self.assertEqual(self.told(limit=None, locked=None, dumpable=None, core=None), [])

    def test_limit(self):
        """The lines that mend a limit that is too low, for systemd and for a shell."""
        (sentence,) = self.told(unlocked="Cannot allocate memory", limit=8192)
        for part in ("Cannot allocate memory", "may lock 8192 kB", "LimitMEMLOCK=64M"):
            self.assertIn(part, sentence)
        self.assertIn("`ulimit -l 65536`", sentence)

    def test_no_locks(self):
        """A system without locks: no limit is to blame, swap is to go."""
        (sentence,) = UNKNOWN.complaints()
        self.assertIn("this system cannot lock memory", sentence)
        self.assertIn("swapoff", sentence)
        self.assertEqual(self.told(unlocked="Operation not permitted")[0].count("Limit"), 0)

    def test_open(self):
        """What could be read or dumped."""
        readable, dumped = self.told(dumpable=True, core=4096)
        self.assertIn("as that user", readable)
        self.assertIn("LimitCORE=0", dumped)
        self.assertEqual(self.told(dumpable=True, core=None), [readable])
