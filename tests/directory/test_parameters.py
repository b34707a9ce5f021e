"""Network parameters and packet geometries."""

from __future__ import annotations

import msgspec

from mixminion.directory import canonical
from mixminion.directory.parameters import SUITES, PacketGeometry, Parameters, geometry_digest
from mixminion.sphinx import geometry as sphinx_geometry
from mixminion.sphinx import suites as sphinx_suites
from mixminion.testing.cases import SyncTestCase


class ParametersTests(SyncTestCase):
    """The table of parameters."""

    def test_defaults(self):
        """A real network's."""
        network = Parameters.default()
        self.assertEqual(
            (network.mean_delay, network.delay_cap, network.tick, network.hops),
            (240.0, 2400.0, 0.1, 4),
        )
        self.assertEqual(
            (network.consensus_interval, network.consensus_fresh, network.consensus_valid),
            (3600, 3600, 10_800),
        )
        self.assertEqual((network.key_period, network.peer_queue_expiry), (7 * 86_400, 86_400))
        self.assertEqual((network.mmtp_window, network.fragments), (256, 40))

    def test_loops(self):
        """Each mix adds 20 mu / hops loops a second, mu = 1 / mean delay."""
        network = Parameters.default()
        per_second = 20 / network.mean_delay / network.hops
        self.assertEqual(network.mix_loops_per_hour, round(per_second * 3600))

    def test_local_demo(self):
        """A network on one machine is quick, signed for a week, and has no loops."""
        network = Parameters.local_demo()
        self.assertEqual((network.mean_delay, network.delay_cap, network.tick), (0.5, 5.0, 0.05))
        self.assertEqual(network.consensus_valid, 7 * 86_400)
        self.assertEqual(network.mix_loops_per_hour, 0)
        self.assertEqual(network.key_period, 7 * 86_400)

    def test_key_grace(self):
        """What a packet may spend on its way: queue expiry + 2 x hops x cap."""
        self.assertEqual(Parameters.default().key_grace, 86_400 + 2 * 4 * 2400)

    def test_written_out(self):
        """Every parameter is written, so that a new release's defaults change no network."""
        octets = canonical.encode(msgspec.to_builtins(Parameters.default()))
        self.assertEqual(len(canonical.decode(octets)), len(Parameters.__struct_fields__))
        self.assertEqual(msgspec.json.decode(octets, type=Parameters), Parameters.default())

    def test_missing_and_unknown(self):
        """An older consensus lacks some, a newer one has more."""
        read = msgspec.json.decode(b'{"hops":3,"shoe-size":44}', type=Parameters)
        self.assertEqual(read, Parameters(hops=3))

    def test_longest_delay(self):
        """A delay that no packet can carry is refused."""
        for name in (b"mean-delay-ms", b"delay-cap-ms"):
            good, bad = (b'{"%b":%d}' % (name, n) for n in (2**32 - 1, 2**32))
            msgspec.json.decode(good, type=Parameters)
            with self.assertRaises(msgspec.ValidationError):
                msgspec.json.decode(bad, type=Parameters)


class GeometryTests(SyncTestCase):
    """Packet geometries, which the sphinx room knows by itself."""

    def test_agrees_with_sphinx(self):
        """Suite strings, key lengths and digests are those of the packets themselves."""
        for name, known in SUITES.items():
            suite = sphinx_suites.by_name(name)
            self.assertEqual(suite.string, known.string)
            self.assertEqual(len(suite.generate()[1]), known.key_length)
        ours, theirs = PacketGeometry.make(), sphinx_geometry.default("xwing")
        self.assertEqual(ours.digest, theirs.digest)
        self.assertEqual((ours.hops, ours.packet), (theirs.hops, theirs.packet))

    def test_digest(self):
        """Each size changes the digest."""
        sizes = ("xwing", 4, 82, 32_768)
        changed = [("x25519", 4, 82, 32_768), ("xwing", 5, 82, 32_768)]
        changed += [("xwing", 4, 83, 32_768), ("xwing", 4, 82, 32_769)]
        digests = {geometry_digest(*each) for each in [sizes, *changed]}
        self.assertEqual(len(digests), 5)

    def test_impossible(self):
        """Sizes of which no packet can be made are refused, just those that sphinx refuses."""
        for suite, least in (("xwing", 7212), ("x25519", 556)):
            for commands, packet, possible in (
                (70, least, True),
                (70, least - 1, False),
                (69, least, False),
                (71, least + 3, False),
                (71, least + 4, True),
            ):
                sizes = (2, commands, packet)
                if possible:
                    sphinx_geometry.Geometry(sphinx_suites.by_name(suite), *sizes)
                    PacketGeometry.make(suite, *sizes)
                else:
                    known = sphinx_suites.by_name(suite)
                    self.assertRaises(ValueError, sphinx_geometry.Geometry, known, *sizes)
                    self.assertRaises(ValueError, PacketGeometry.make, suite, *sizes)

    def test_too_long(self):
        """Packets of more than a MiB are refused, by sphinx too, and in any suite."""
        sizes = (4, 82, 2**20)
        sphinx_geometry.Geometry(sphinx_suites.by_name("xwing"), *sizes)
        longest = msgspec.to_builtins(PacketGeometry.make("xwing", *sizes))
        self.assertEqual(sphinx_geometry.LONGEST, 2**20)
        for suite in ("xwing", "hqc"):
            good = longest | {"suite": suite}
            msgspec.convert(good, PacketGeometry)
            with self.assertRaises(msgspec.ValidationError):
                msgspec.convert(good | {"packet": 2**20 + 1}, PacketGeometry)
        for packet in (2**20 + 1, 2**32 - 1):
            with self.assertRaisesRegex(ValueError, "at most 1,048,576 octets"):
                PacketGeometry.make(packet=packet)

    def test_mismatch(self):
        """A geometry with another's digest is refused; of an unknown suite nobody can say."""
        other = PacketGeometry.make(hops=5).digest
        self.assertRaises(
            ValueError,
            PacketGeometry,
            suite="xwing",
            hops=4,
            commands=82,
            packet=32_768,
            digest=other,
        )
        PacketGeometry(suite="hqc", hops=4, commands=82, packet=32_768, digest=other)
