"""Packet keys on disk."""

import json
import os
import stat
from pathlib import Path
from typing import Any

from mixminion.disk.errors import PrivateFileError
from mixminion.mix.batches import Wanted
from mixminion.mix.keys import DamagedKey, PacketKeys
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx import suites
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.unwrap import Deliver
from mixminion.testing.cases import SyncTestCase
from tests.mix.kit import GEOMETRY, NODE, Maker

XWING = Geometry(suites.XWING, hops=2, commands=82, packet=16384)
LONGER = Geometry(suites.X25519, hops=3, commands=80, packet=1024)


class Kit(SyncTestCase):
    """A folder of packet keys, seen by one worker and by another."""

    def setUp(self) -> None:
        self.maker = Maker(Path(self.mktemp()))
        self.keys = self.maker.keys
        self.other = PacketKeys(self.maker.folder, NODE)

    def fields(self, period: int = 7) -> Any:
        """What the file of a period's key says."""
        return json.loads(self.keys.path(period).read_bytes())


class KeysTests(Kit):
    """Made, found, erased, refused."""

    def test_a_pair_is_made_once(self) -> None:
        """Also seen by another worker; the file is private and says what it is."""
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        made = self.maker.make(7)
        self.assertEqual((made.period, made.suite), (7, "x25519"))
        self.assertEqual((self.maker.make(7), self.other.make(self.maker.wanted(7))), (made, made))
        self.assertEqual(stat.S_IMODE(self.keys.path(7).stat().st_mode), 0o600)
        fields = self.fields()
        secret = bytes.fromhex(fields.pop("private"))
        sizes = {"suite": "x25519", "hops": 2, "commands": 80, "packet": 1024}
        self.assertEqual(fields, {"version": 2, "period": 7} | sizes)
        self.assertEqual(GEOMETRY.suite.public(secret), made.key)

    def test_a_key_that_another_made_is_found(self) -> None:
        """Though it was looked for before."""
        self.assertIsNone(self.other.unwrapper(7))
        self.maker.make(7)
        opener = self.other.unwrapper(7)
        assert opener is not None
        self.assertIs(self.other.unwrapper(7), opener)

    def test_what_is_not_kept_is_erased(self) -> None:
        """On disk and in the memory of whoever is told; other files stay."""
        for period in (7, 8):
            self.maker.make(period)
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
        self.maker.make(7)
        path = self.keys.path(7)
        fields = self.fields()
        wrong = [
            *({**fields, "version": version} for version in (0, 3, "2", None)),
            *({**fields, "suite": suite} for suite in ("xwing", "hqc", 5)),
            *({**fields, "packet": packet} for packet in (100, 2**32, "1024")),
            fields | {"hops": 0},
            fields | {"hops": 2.5},
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
            fresh = PacketKeys(self.maker.folder, NODE)
            self.assertRaises(DamagedKey, fresh.make, self.maker.wanted(7))
            self.assertRaises(DamagedKey, fresh.unwrapper, 7)
            self.assertEqual(path.read_bytes(), octets)

    def test_a_key_that_others_can_read_is_refused(self) -> None:
        """Until it is mended."""
        self.maker.make(7)
        self.keys.path(7).chmod(0o644)
        self.assertRaises(PrivateFileError, self.other.unwrapper, 7)
        self.keys.path(7).chmod(0o600)
        self.assertIsNotNone(self.other.unwrapper(7))


class GeometryTests(Kit):
    """Every period has a geometry of its own, which its key's file knows."""

    def opened(self, packet: bytes, period: int) -> str | None:
        """What another worker finds in a packet of that period."""
        opener = PacketKeys(self.maker.folder, NODE).unwrapper(period)
        assert opener is not None
        answer = opener.unwrap(packet)
        assert isinstance(answer, Deliver)
        return answer.body.rstrip(b".").decode()

    def test_keys_of_both_suites_open_their_packets(self) -> None:
        """Whoever reads the files needs to be told nothing else."""
        xwing = Maker(self.maker.folder, XWING)
        for maker, period in ((self.maker, 7), (xwing, 8)):
            self.assertEqual(self.opened(maker.deliver(b"text", period), period), "text")

    def test_a_key_is_never_used_in_two_suites(self) -> None:
        """A period ahead gets another suite: another key takes the place of the first."""
        before = self.maker.make(7)
        secret = self.fields()["private"]
        after = self.keys.make(Wanted(7, XWING))
        self.assertEqual((before.suite, after.suite), ("x25519", "xwing"))
        self.assertNotEqual(self.fields()["private"], secret)
        self.assertEqual(self.other.make(Wanted(7, XWING)), after)

    def test_other_sizes_do_not_change_a_key(self) -> None:
        """Only what is opened with it."""
        before = self.maker.make(7)
        self.keys.unwrapper(7)
        self.assertEqual(self.keys.make(Wanted(7, LONGER)), before)
        self.assertEqual(self.fields()["hops"], 3)
        packet = Maker(self.maker.folder, LONGER).deliver(b"text", 7)
        opener = self.keys.unwrapper(7)
        assert opener is not None
        self.assertEqual(opener.unwrap(packet).delay_ms, 0)

    def test_a_key_of_a_period_that_has_begun_stays(self) -> None:
        """Packets were made for it."""
        before, octets = self.maker.make(7), self.keys.path(7).read_bytes()
        for geometry in (XWING, LONGER):
            self.assertEqual(self.keys.make(Wanted(7, geometry, begun=True)), before)
        self.assertEqual(self.keys.path(7).read_bytes(), octets)

    def test_a_file_of_the_previous_version(self) -> None:
        """It has the suite alone: the sizes are the usual ones."""
        usual = Maker(self.maker.folder, geometries.default("x25519"))
        packet = usual.deliver(b"text", 7)
        fields = {name: self.fields()[name] for name in ("period", "private", "suite")}
        self.keys.path(7).write_text(json.dumps(fields | {"version": 1}))
        self.assertEqual(self.opened(packet, 7), "text")
        made = self.other.make(usual.wanted(7))
        self.assertEqual(made.key, suites.X25519.public(bytes.fromhex(fields["private"])))
