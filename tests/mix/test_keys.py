"""Packet keys on disk."""

import json
import os
import stat
from pathlib import Path

from mixminion.disk.errors import PrivateFileError
from mixminion.mix.keys import DamagedKey, PacketKeys
from mixminion.sphinx import suites
from mixminion.sphinx.geometry import Geometry
from mixminion.testing.cases import SyncTestCase
from tests.mix.kit import GEOMETRY, NODE, Maker


class KeysTests(SyncTestCase):
    """A folder of packet keys, seen by one worker and by another."""

    def setUp(self) -> None:
        self.maker = Maker(Path(self.mktemp()))
        self.keys = self.maker.keys
        self.other = PacketKeys(self.maker.folder, GEOMETRY, NODE)

    def test_a_pair_is_made_once(self) -> None:
        """Also seen by another worker; the file is private and says what it is."""
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        public = self.keys.make(7)
        self.assertEqual((self.keys.make(7), self.other.make(7)), (public, public))
        path = self.maker.folder / "packet-7.key"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        fields = json.loads(path.read_bytes())
        secret = bytes.fromhex(fields.pop("private"))
        self.assertEqual(fields, {"version": 1, "suite": "x25519", "period": 7})
        self.assertEqual(GEOMETRY.suite.public(secret), public)

    def test_a_key_that_another_made_is_found(self) -> None:
        """Though it was looked for before."""
        self.assertIsNone(self.other.unwrapper(7))
        self.keys.make(7)
        opener = self.other.unwrapper(7)
        assert opener is not None
        self.assertIs(self.other.unwrapper(7), opener)

    def test_what_is_not_kept_is_erased(self) -> None:
        """On disk and in the memory of whoever is told; other files stay."""
        for period in (7, 8):
            self.keys.make(period)
            self.other.unwrapper(period)
        for name in ("identity.key", "packet-old.key", ".packet-8.key.x1y2"):
            (self.maker.folder / name).touch()
        self.keys.keep([8])
        left = sorted(path.name for path in self.maker.folder.iterdir())
        self.assertEqual(left, ["identity.key", "packet-8.key", "packet-old.key"])
        self.assertIsNotNone(self.other.unwrapper(7))
        self.other.keep([8])
        self.assertIsNone(self.other.unwrapper(7))
        self.assertIsNotNone(self.other.unwrapper(8))

    def test_a_damaged_file_is_refused(self) -> None:
        """Whatever is wrong with it; it is neither replaced nor mistaken for another's."""
        self.keys.make(7)
        path = self.keys.path(7)
        fields = json.loads(path.read_bytes())
        wrong = [
            fields | {"version": 2},
            fields | {"suite": "xwing"},
            fields | {"period": 8},
            fields | {"private": fields["private"][2:]},
            fields | {"private": "no hex"},
            fields | {"private": 5},
            {},
            [],
            5,
        ]
        for octets in [b"", b"{", b"\xff", *(json.dumps(each).encode() for each in wrong)]:
            path.write_bytes(octets)
            fresh = PacketKeys(self.maker.folder, GEOMETRY, NODE)
            self.assertRaises(DamagedKey, fresh.make, 7)
            self.assertRaises(DamagedKey, fresh.unwrapper, 7)
            self.assertEqual(path.read_bytes(), octets)

    def test_a_key_that_others_can_read_is_refused(self) -> None:
        """Until it is mended."""
        self.keys.make(7)
        self.keys.path(7).chmod(0o644)
        self.assertRaises(PrivateFileError, self.other.unwrapper, 7)
        self.keys.path(7).chmod(0o600)
        self.assertIsNotNone(self.other.unwrapper(7))

    def test_a_key_of_another_suite_is_never_used(self) -> None:
        """A key is not shared between suites."""
        self.keys.make(7)
        xwing = Geometry(suites.XWING, hops=2, commands=82, packet=16384)
        self.assertRaises(DamagedKey, PacketKeys(self.maker.folder, xwing, NODE).make, 7)
