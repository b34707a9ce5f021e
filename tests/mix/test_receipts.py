"""Receipts as packets of a mix: over real mixes, once, and not as many as somebody likes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zope.interface.verify import verifyObject

from mixminion.counters import Name
from mixminion.exits.delivery import Delivery
from mixminion.interfaces import IReceiptSender, Message, Outcome, OutcomeKind
from mixminion.mix.receipts import MOST, RATE, Receipts
from mixminion.mixing.delays import truncated_exponential
from mixminion.payload import frame, message, receipt, reply
from mixminion.payload.fragments import Coding, Fragment, Whole
from mixminion.payload.receipt import Outcome as Word
from mixminion.payload.receipt import Receipt
from mixminion.sphinx import build, suites, surb
from mixminion.sphinx.build import Hop
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.surb import SurbKey
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.collector import EXIT
from mixminion.testing.virtual import VirtualNetwork
from mixminion.testing.virtualmix import VirtualMix

SMALL = Geometry(suites.X25519, hops=4, commands=80, packet=8192)
ID = b"0123456789abcdef"


class ReceiptsTests(SyncTestCase):
    """Six mixes; the last one is the exit, the first one where receipts come to."""

    def setUp(self) -> None:
        self.network = VirtualNetwork(Path(self.mktemp()), 6, geometry=SMALL)
        self.clock = self.network.clock
        self.addCleanup(self.network.stop)
        self.network.start()
        self.home, self.exit = self.network.mixes[0], self.network.mixes[-1]
        self.keys: dict[bytes, SurbKey] = {}

    def hops(self, path: Sequence[VirtualMix]) -> list[Hop]:
        view = self.network.view
        period = view.current_period(self.clock.seconds())
        random = self.network.random
        return [
            Hop(
                mix.node_id,
                view.packet_key(mix.identity, period),
                truncated_exponential(random, 500, 5000),
            )
            for mix in path
        ]

    def block(self) -> bytes:
        """A reply block that ends at home."""
        now = int(self.clock.seconds())
        hops = self.hops([self.network.mixes[n] for n in (1, 2, 3, 0)])
        made, key = surb.make(SMALL, hops, EXIT, "us", now - 10, now + 86_400, self.network.random)
        self.keys[key.surb_id] = key
        return made.encode()

    def packet(self, blocks: Sequence[bytes], attempt: int = 0, text: bytes = b"hello") -> bytes:
        coded = receipt.asking(blocks) + message.encode(EXIT, ["bob"], text)
        room = SMALL.body - frame.HEAD - 24
        whole = Whole(ID, Coding.RECEIPT, len(coded), room, attempt)
        content = Fragment(whole, 0, 0, coded.ljust(room, b"\0")).encode()
        body = frame.encode(frame.Kind.FRAGMENT, content, SMALL.body, self.network.random)
        hops = self.hops([self.network.mixes[n] for n in (1, 2, 3, 5)])
        return build.forward(SMALL, hops, body, self.network.random)

    def send(self, packet: bytes) -> None:
        self.network.send(self.network.mixes[1], [packet])

    @property
    def came(self) -> list[Receipt]:
        """The receipts that came home, opened."""
        found = []
        for each in self.home.exit.messages:
            assert each.surb_id is not None
            found.append(
                Receipt.parse(reply.open(SMALL, self.keys[each.surb_id], each.content) or b"")
            )
        return found

    @property
    def sender(self) -> Receipts:
        """What the exit's mix gives its exits."""
        assert self.exit.server is not None
        delivery = self.exit.server.delivery
        assert isinstance(delivery, Delivery)
        found = delivery._assembly.answering.sender
        assert isinstance(found, Receipts)
        return found

    def test_interface(self) -> None:
        """The mix gives its exits what sends receipts."""
        sender = self.sender
        verifyObject(IReceiptSender, sender)

    def test_accepted(self) -> None:
        """The message arrives, and the receipt says so to whoever has the reply block's key."""
        self.send(self.packet([self.block()]))
        self.clock.run_until(lambda: bool(self.came))
        self.assertEqual([each.content for each in self.exit.exit.messages], [b"hello"])
        [found] = self.came
        self.assertEqual((found.id, found.outcome, found.reason), (ID, Word.ACCEPTED, "collected"))
        self.assertEqual(found.date % 3600, 0)
        self.assertEqual(self.exit.counters[Name.RECEIPTS], 1)
        self.clock.advance(600)
        self.assertEqual(len(self.came), 1)

    def test_refused(self) -> None:
        """The next system does not want it."""
        self.exit.exit.outcome = Outcome(OutcomeKind.PERMANENT, "smtp-550")
        self.send(self.packet([self.block()]))
        self.clock.run_until(lambda: bool(self.came))
        self.assertEqual(
            [(each.outcome, each.reason) for each in self.came], [(Word.REFUSED, "smtp-550")]
        )

    def test_another_block_is_taken(self) -> None:
        """Of several reply blocks the first that can be used is; without one there is no
        receipt."""
        broken = self.block()
        over = broken[:10] + bytes(16) + broken[26:]
        self.send(self.packet([over, b"nonsense", self.block()]))
        self.clock.run_until(lambda: bool(self.came))
        for attempt, block in enumerate((over, b"nonsense"), 1):
            self.send(self.packet([block], attempt))
        self.clock.advance(120)
        self.assertEqual((len(self.came), self.exit.counters[Name.RECEIPTS_UNSENT]), (1, 2))

    def test_killed_after_it_is_written(self) -> None:
        """Killed between the mark and the packet's leaving: it leaves after the start, once."""
        exit = self.exit
        self.send(self.packet([self.block()]))
        self.clock.run_until(lambda: bool(exit.exit.messages))
        self.clock.run_until(lambda: bool(exit.counters[Name.RECEIPTS]))
        exit.kill()
        exit.start()
        self.clock.run_until(lambda: bool(self.came))
        self.clock.advance(600)
        self.assertEqual(len(self.came), 1)
        self.assertEqual(len(exit.exit.messages), 1)

    def test_killed_before_it_is_written(self) -> None:
        """Killed between hand-over and mark: handed over once more with its Message-ID, as ever,
        and one receipt."""
        exit = self.exit
        collect = exit.exit.deliver

        def die(given: Message) -> object:
            outcome = collect(given)
            if len(exit.exit.messages) == 1:
                exit.kill()
            return outcome

        self.patch(exit.exit, "deliver", die)
        self.send(self.packet([self.block()]))
        self.clock.run_until(lambda: bool(exit.exit.messages))
        exit.start()
        self.clock.run_until(lambda: bool(self.came))
        self.clock.advance(600)
        self.assertEqual(len(self.came), 1)
        self.assertEqual(len({each.message_id for each in exit.exit.messages}), 1)

    def test_limit(self) -> None:
        """No more than so many at once, and then as many as time passes."""
        sender = self.sender
        self.patch(sender, "_left", 2.0)
        block, content = self.block(), Receipt(ID, Word.ACCEPTED, 0, "").encode()
        made = [sender.make([block], content) is not None for _ in range(4)]
        self.assertEqual(made, [True, True, False, False])
        self.clock.advance(1 / RATE)
        self.assertIsNotNone(sender.make([block], content))
        self.assertIsNone(sender.make([block], content))
        self.clock.advance(10 * MOST / RATE)
        sender.make([block], content)
        self.assertLessEqual(sender._left, MOST)

    def test_path(self) -> None:
        """It begins at another server, has full length, and goes on from its last one to the
        first of the reply block."""
        sender = self.sender
        view = self.network.view
        first = view.by_node(self.network.mixes[1].node_id)
        assert first is not None
        for _ in range(50):
            choice = sender._choice(view, first, self.clock.seconds())
            assert choice is not None
            nodes = [server.node_id for server in choice.path]
            self.assertEqual(len(nodes), view.parameters.hops)
            self.assertNotIn(self.exit.node_id, nodes)
            self.assertNotEqual(nodes[-1], first.node_id)
