"""Packets that leave in a file and come in one: from one machine only, and once."""

import os
from types import SimpleNamespace

from twisted.internet.defer import Deferred

from mixminion import api
from mixminion.client.outbox_errors import NothingToCarry, NotPackets, PacketFileThere
from mixminion.disk.errors import WriteFailed
from tests.client.network import DAY, VirtualCase

PATH = "mix1, *2, mix5"


class CarryingTests(VirtualCase):
    def setUp(self):
        super().setUp()
        self.file = self.folder / "packets"

    def keep(self, content=b"x"):
        return self.ask(self.client.send("drop", content, path=PATH, hand_over=False))

    def waiting(self, client=None):
        return self.ask((client or self.client).waiting())

    def other(self):
        """Another machine's client."""
        home = self.folder / "other"
        home.mkdir(0o700)
        config = home / "mixminion.conf"
        config.write_text(self.network.config())
        return api.Client(
            self.clock,
            api.load_config(str(config)),
            executor=api.InlineExecutor(),
            dial=lambda place: self.wire.client(place.host, place.port),
        )

    def test_kept(self):
        """Only kept: no packet leaves, and the flush sends it."""
        sent = self.keep()
        self.assertFalse(sent.handed)
        self.clock.advance(60)
        self.assertEqual(self.network.arrived, [])
        self.assertEqual(self.ask(self.client.flush()).handed, (sent.id,))
        self.assertEqual(len(self.network.arrived), 1)

    def test_carried(self):
        """Out of one machine, into another, and sent from there, once; nothing comes twice."""
        self.keep()
        self.assertEqual(self.ask(self.client.export(self.file)), 1)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.waiting(), [])
        self.assertEqual(self.ask(self.client.flush()).handed, ())
        other, octets = self.other(), self.file.read_bytes()
        (id,) = self.ask(other.bring(octets))
        self.assertEqual(self.ask(other.bring(octets)), [])
        self.assertEqual(self.ask(other.flush()).handed, (id,))
        self.assertEqual(self.ask(other.bring(octets)), [])
        self.assertEqual(self.ask(other.flush()).handed, ())
        (packet,) = self.network.arrived
        self.assertEqual(self.network.open(packet)[2], ("drop", (), b"x"))

    def test_large(self):
        """Of a message in fragments all packets, built now; nothing of it is left here."""
        content = os.urandom(100_000)
        sent = self.keep(content)
        single = self.keep()
        self.assertEqual(self.ask(self.client.unbuilt())[0].id, sent.id)
        self.assertEqual(self.ask(self.client.export(self.file, [sent.id])), 7)
        self.assertEqual(self.ask(self.client.unbuilt()), [])
        self.assertEqual([each.id for each in self.waiting()], [single.id])
        other = self.other()
        self.assertEqual(len(self.ask(other.bring(self.file.read_bytes()))), 7)
        self.ask(other.flush())
        self.assertEqual(len(set(self.network.arrived)), 7)

    def test_missed_period(self):
        """What missed its key period is built again before it leaves."""
        self.keep()
        self.clock.advance(3 * DAY)
        self.network.sign()
        self.ask(self.client.update())
        self.ask(self.client.export(self.file))
        self.ask(self.client.bring(self.file.read_bytes()))
        self.ask(self.client.flush())
        (packet,) = self.network.arrived
        self.assertEqual(self.network.open(packet, period=3000)[2], ("drop", (), b"x"))

    def test_not_written(self):
        """Where the file cannot be written the packets are sent from here; no file is replaced."""
        sent = self.keep()
        with self.assertRaises(WriteFailed):
            self.ask(self.client.export(self.folder / "nowhere" / "packets"))
        self.file.write_bytes(b"other packets")
        with self.assertRaises(PacketFileThere):
            self.ask(self.client.export(self.file))
        self.assertEqual(self.file.read_bytes(), b"other packets")
        self.assertEqual(self.ask(self.client.flush()).handed, (sent.id,))

    def test_cut_off(self):
        """Killed while the file is written: the packet is not sent from here, since the file may
        be there; it is listed, and goes into another file."""
        sent = self.keep()
        stuck = SimpleNamespace(run=lambda *given: Deferred())
        self.client._parts.carrying._executor = stuck
        _ = Deferred.fromCoroutine(self.client.export(self.file))
        self.client = self.make_client()
        (waiting,) = self.waiting()
        self.assertEqual((waiting.id, waiting.carried), (sent.id, True))
        self.assertEqual(self.ask(self.client.flush()).handed, ())
        self.assertEqual(self.network.arrived, [])
        self.assertEqual(self.ask(self.client.export(self.file, [sent.id])), 1)
        self.assertEqual(self.waiting(), [])

    def test_nothing(self):
        """Nothing kept, or nothing of those numbers."""
        with self.assertRaises(NothingToCarry):
            self.ask(self.client.export(self.file))
        self.keep()
        with self.assertRaises(NothingToCarry):
            self.ask(self.client.export(self.file, [99]))
        self.assertFalse(self.file.exists())

    def test_refused(self):
        """No packets, damaged ones, and such as no server takes any more."""
        self.keep()
        self.ask(self.client.export(self.file))
        octets = self.file.read_bytes()
        for wrong in (b"", b"Hello", octets[:-1], octets[:40] + b"?" + octets[41:]):
            with self.assertRaises(NotPackets):
                self.ask(self.client.bring(wrong))
        self.clock.advance(15 * DAY)
        self.network.sign()
        self.ask(self.client.update())
        with self.assertRaises(NotPackets) as caught:
            self.ask(self.client.bring(octets))
        self.assertIn("have gone", caught.exception.fields["why"])


class AgingTests(VirtualCase):
    def events(self, more=""):
        self.config.write_text(self.network.config(more))
        client, told = self.make_client(), list[api.Event]()
        self.ask(client.tend_outbox(progress=told.append))
        return told

    def test_warning(self):
        """After a day it is said that something is kept: packets, and blocks of large messages."""
        self.ask(self.client.send("drop", b"x", path=PATH, hand_over=False))
        self.ask(self.client.send("drop", os.urandom(100_000), path=PATH, hand_over=False))
        since = int(self.clock.seconds() // 3600) * 3600
        self.clock.advance(DAY - 3600)
        self.assertEqual(self.events(), [])
        self.clock.advance(2 * 3600)
        self.assertEqual(self.events(), [api.KeptLong(2, since)])
        self.assertEqual(self.events("[Outbox]\nwarn-after = 3 days\n"), [])

    def test_deleted(self):
        """Where it is configured, what is old goes, and that is said once."""
        more = "[Outbox]\ndelete-after = 2 days\n"
        self.ask(self.client.send("drop", os.urandom(100_000), path=PATH, hand_over=False))
        since = int(self.clock.seconds() // 3600) * 3600
        self.clock.advance(1.5 * DAY)
        self.ask(self.client.send("drop", b"x", path=PATH, hand_over=False))
        self.clock.advance(0.9 * DAY)
        self.assertEqual(self.events()[0].packets, 1)  # nothing goes unless somebody says so
        self.assertEqual(self.events(more), [api.Deleted(1, since)])
        self.assertEqual(self.events(more), [])
        self.assertEqual(self.ask(self.client.unbuilt()), [])
        self.assertEqual(len(self.ask(self.client.waiting())), 1)
