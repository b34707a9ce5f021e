from pathlib import Path

from twisted.internet.defer import Deferred

from mixminion.client.database import Database, InlineExecutor
from mixminion.client.outbox import Outbox, Packet, Recipe, Waiting
from mixminion.testing.cases import SyncTestCase

ENTRY = b"e" * 32


def packet(octets=b"packet", period=7):
    return Packet(ENTRY, period, octets, "*4", b"the message")


class OutboxTests(SyncTestCase):
    """A packet is new, handed, gone."""

    def setUp(self):
        self.path = Path(self.mktemp()) / "client.sqlite"
        self.outbox = Outbox(Database(self.path, InlineExecutor()))

    def ask(self, deferred):
        return self.successResultOf(deferred)

    def test_life(self):
        """What each step leaves behind."""
        first = self.ask(self.outbox.add(packet(b"one"), 7300.5))
        second = self.ask(self.outbox.add(packet(b"two", 8), 7300.5))
        self.assertEqual(self.ask(self.outbox.recipe(first)), Recipe("*4", b"the message"))
        self.assertEqual(self.ask(self.outbox.hand([second, 99, first])), [b"two", None, b"one"])
        self.assertIsNone(self.ask(self.outbox.recipe(first)))
        self.assertEqual(self.ask(self.outbox.delete([first, 99])), 1)
        self.assertEqual(
            self.ask(self.outbox.waiting()), [Waiting(second, ENTRY, 8, 7200, handed=True)]
        )

    def test_handed_is_resent_as_it_is(self):
        """Only a packet that was never handed over may be built again."""
        id = self.ask(self.outbox.add(packet(), 0))
        self.assertTrue(self.ask(self.outbox.replace(id, packet(b"again", 8))))
        self.assertEqual(self.ask(self.outbox.hand([id])), [b"again"])
        self.assertFalse(self.ask(self.outbox.replace(id, packet(b"third", 9))))
        self.assertEqual(self.ask(self.outbox.hand([id])), [b"again"])

    def test_message_is_forgotten(self):
        """After hand-over and deletion no trace of the message is left in the file."""
        id = self.ask(self.outbox.add(packet(), 0))
        self.assertIn(b"the message", self.octets())
        self.ask(self.outbox.hand([id]))
        self.ask(Deferred.fromCoroutine(self.outbox._database.close()))
        self.assertNotIn(b"the message", self.octets())

    def octets(self):
        files = self.path.parent.glob("client.sqlite*")
        return b"".join(file.read_bytes() for file in files)
