"""Receipts: what became of a message is told to who asked, once for each time he asks, and
whatever happens to a receipt, nothing happens to the message."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail
from twisted.logger import globalLogPublisher
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mixminion.counters import Name
from mixminion.crypto.kdf import sha256
from mixminion.exits.parts import DONE, PART, Done
from mixminion.exits.record import BadRecord
from mixminion.interfaces import Departure, IReceiptSender, Outcome, OutcomeKind
from mixminion.payload import deflate, fragments, message, receipt
from mixminion.payload.fragments import Coding, Fragment, Whole
from mixminion.payload.receipt import Outcome as Word
from mixminion.payload.receipt import Receipt
from mixminion.store import Pooled
from mixminion.store.errors import StoreError
from mixminion.testing.cases import SyncTestCase
from tests.exits import kit
from tests.exits.test_assembly import PIECE, AssemblyCase, split, text

ID = b"0123456789abcdef"
NODE = b"n" * 32


@implementer(IReceiptSender)
class Sender:
    """Keeps what it is to send."""

    def __init__(self) -> None:
        self.made: list[tuple[tuple[bytes, ...], Receipt]] = []
        self.left: list[int] = []
        self.error: Exception | None = None
        self.empty = False

    def make(self, blocks: Sequence[bytes], content: bytes) -> Departure | None:
        if self.error is not None:
            raise self.error
        self.made.append((tuple(blocks), Receipt.parse(content)))
        return None if self.empty else Departure(NODE, content, 4e9)

    def depart(self, record_id: int, departure: Departure) -> None:
        self.left.append(record_id)


def asking(
    content: bytes, attempt: int = 0, *, coding: Coding = Coding.RECEIPT, copies: int = 0
) -> list[bytes]:
    """The fragments of one attempt, with a reply block of its own."""
    octets = message.encode("test", ["bob@x.test"], content)
    if coding.deflated:
        octets = b"".join(deflate.deflate([octets], len(octets)))
    coded = receipt.asking([b"block %d" % attempt]) + octets
    whole = Whole(ID, coding, len(coded), PIECE, attempt)
    return [
        part.encode()
        for block in range(whole.blocks)
        for part in fragments.pieces(
            whole,
            block,
            coded[whole.start(block) :][: whole.length(block)],
            fragments.numbers(whole.data(block), copies),
        )
    ]


class ReceiptCase(AssemblyCase):
    def setUp(self) -> None:
        self.sender = Sender()
        super().setUp()

    def prepare(self) -> None:
        self.delivery.answer_by(self.sender)

    @property
    def told(self) -> list[tuple[tuple[bytes, ...], Word, str]]:
        return [(blocks, each.outcome, each.reason) for blocks, each in self.sender.made]


class ReceiptTests(ReceiptCase):
    def test_interface(self) -> None:
        """The stand-in is one."""
        verifyObject(IReceiptSender, self.sender)

    def test_accepted(self) -> None:
        """Handed over, and said so; the mark and the packet are stored together."""
        self.send(asking(b"hello"))
        self.assertEqual([each.content for each in self.exit.seen], [b"hello"])
        self.assertEqual(self.told, [((b"block 0",), Word.ACCEPTED, "smtp-250")])
        self.assertEqual(self.sender.made[0][1].id, ID)
        self.assertEqual(sorted(self.stored()), [DONE, NODE])
        self.assertEqual((len(self.sender.left), self.counters[Name.RECEIPTS]), (1, 1))

    def test_deflated(self) -> None:
        """The reply blocks stand before what is deflated."""
        content = b"".join(b"%d bottles\r\n" % n for n in range(400))
        self.send(asking(content, coding=Coding.DEFLATED_RECEIPT))
        self.assertEqual([each.content for each in self.exit.seen], [content])
        self.assertEqual(self.told, [((b"block 0",), Word.ACCEPTED, "smtp-250")])

    def test_refused(self) -> None:
        """By the far side."""
        self.exit.act = lambda message: Outcome(OutcomeKind.PERMANENT, "smtp-550")
        self.send(asking(b"hello"))
        self.assertEqual(self.told, [((b"block 0",), Word.REFUSED, "smtp-550")])

    def test_refused_before(self) -> None:
        """By the exit, before an attempt."""
        self.exit.refusal = "blocked"
        self.send(asking(b"hello"))
        self.assertEqual(self.told, [((b"block 0",), Word.REFUSED, "blocked")])
        self.assertEqual(self.exit.seen, [])

    def test_no_message_inside(self) -> None:
        """Reply blocks, and behind them nothing that an exit can read."""
        coded = receipt.asking([b"block"]) + b"\0"
        whole = Whole(ID, Coding.RECEIPT, len(coded), PIECE)
        self.send([Fragment(whole, 0, 0, coded.ljust(PIECE, b"\0")).encode()])
        self.assertEqual(self.told, [((b"block",), Word.REFUSED, "bad-payload")])

    def test_no_blocks_inside(self) -> None:
        """Where reply blocks should be is something else: no receipt, no message, a mark."""
        whole = Whole(ID, Coding.RECEIPT, 200, PIECE)
        self.send([Fragment(whole, 0, 0, bytes(PIECE)).encode()])
        self.assertEqual((self.told, self.stored()), ([], [DONE]))
        self.assertEqual(self.counters[Name.RECEIPTS_UNSENT], 1)

    def test_message_id(self) -> None:
        """It follows from the id, so that a double that another exit hands over is recognised; and
        without a receipt from nothing."""
        self.send(asking(b"hello"))
        made = sha256(b"mixminion2 message-id" + ID)[:16].hex()
        self.assertEqual(self.exit.seen[0].message_id, f"<{made}@mix.test>")
        self.send(split(b"hello", id=b"x" * 16)[:1])
        other = sha256(b"mixminion2 message-id" + b"x" * 16)[:16].hex()
        self.assertNotIn(other, self.exit.seen[1].message_id)

    def test_an_address_in_a_reason(self) -> None:
        """What is no word of ours is not said."""
        self.exit.act = lambda message: Outcome(OutcomeKind.PERMANENT, "550 <bob@x.test> unknown")
        self.send(asking(b"hello"))
        self.assertEqual(self.told, [((b"block 0",), Word.REFUSED, "unspoken")])

    def test_temporary_then_accepted(self) -> None:
        """Nothing is said before it is decided."""
        self.exit.act = lambda message: Outcome(OutcomeKind.TEMPORARY, "smtp-450")
        self.send(asking(b"hello"))
        self.assertEqual(self.told, [])
        self.exit.act = lambda message: kit.DELIVERED
        self.clock.advance(20)
        self.assertEqual(self.told, [((b"block 0",), Word.ACCEPTED, "smtp-250")])

    def test_expired(self) -> None:
        """Given up after days."""
        self.exit.act = lambda message: Outcome(OutcomeKind.TEMPORARY, "smtp-450")
        self.send(asking(b"hello"))
        self.clock.advance(kit.POLICY.expiry + 100)
        self.assertEqual(self.told, [((b"block 0",), Word.EXPIRED, "expired")])

    def test_without(self) -> None:
        """Who does not ask is told nothing."""
        octets = message.encode("test", [], b"hello")
        whole = Whole(ID, Coding.PLAIN, len(octets), PIECE)
        self.send([Fragment(whole, 0, 0, octets.ljust(PIECE, b"\0")).encode()])
        self.assertEqual((len(self.exit.seen), self.told, self.stored()), (1, [], [DONE]))


class AgainTests(ReceiptCase):
    def test_answered_from_the_mark(self) -> None:
        """The receipt was lost: another attempt is answered the same and not handed over, also
        after a restart; each attempt once."""
        self.send(asking(b"hello"))
        self.assertEqual(self.send(asking(b"hello")), ["fragment-late"])
        self.send(asking(b"hello", 1))
        self.restart()
        self.send(asking(b"hello", 2))
        self.assertEqual(self.send(asking(b"hello", 1)), ["fragment-late"])
        self.assertEqual(len(self.exit.seen), 1)
        self.assertEqual(
            self.told, [((b"block %d" % n,), Word.ACCEPTED, "smtp-250") for n in range(3)]
        )
        self.assertEqual(sorted(self.stored()), [DONE, NODE, NODE, NODE])
        self.assertEqual(self.delivery._assembly._octets, 0)

    def test_several_pieces(self) -> None:
        """Pieces of two attempts are never joined, though all say the same id."""
        content = text(3000)
        one, two = asking(content, 0, copies=1), asking(content, 1, copies=1)
        mixed = one[:4] + two[:5] + one[4:8] + two[5:]
        self.send(mixed)
        self.assertEqual([each.content for each in self.exit.seen], [content])
        self.assertEqual(self.told, [((b"block 1",), Word.ACCEPTED, "smtp-250")])
        self.send(one[8:])
        self.assertEqual(self.told[1:], [((b"block 0",), Word.ACCEPTED, "smtp-250")])
        self.assertEqual(len(self.exit.seen), 1)

    def test_two_at_once(self) -> None:
        """Two attempts that are complete in one moment: one hand-over, two receipts."""
        parts = [self.put(asking(b"hello", n)[0]) for n in range(2)]
        for record_id in parts:
            assert isinstance(record_id, int)
            self.delivery.offer(record_id, PART, self.clock.seconds())
        self.clock.advance(5)
        self.assertEqual((len(self.exit.seen), len(self.told)), (1, 2))

    def test_while_it_waits(self) -> None:
        """Another attempt while the far side says later: kept, over restarts too, and answered
        when it is decided."""
        self.exit.act = lambda message: Outcome(OutcomeKind.TEMPORARY, "smtp-450")
        self.send(asking(b"hello"))
        self.send(asking(b"hello", 1))
        self.assertEqual(self.send(asking(b"hello")), ["fragment-late"])
        self.restart()
        self.assertEqual(self.told, [])
        self.exit.act = lambda message: kit.DELIVERED
        self.clock.advance(200)
        self.assertEqual(
            sorted(self.told), [((b"block %d" % n,), Word.ACCEPTED, "smtp-250") for n in range(2)]
        )
        self.assertEqual(sorted(self.stored()), [DONE, NODE, NODE])

    def test_an_older_mark(self) -> None:
        """A mark of a version without outcomes: nothing is handed over and nothing said."""
        now_ms = int(self.clock.seconds() * 1000)
        self.wait(self.store.exchange([Pooled(DONE, now_ms, b"\x01" + ID)], []))
        self.restart()
        self.send(asking(b"hello"))
        self.assertEqual((self.exit.seen, self.told, self.stored()), ([], [], [DONE]))


class FailingTests(ReceiptCase):
    def test_no_way(self) -> None:
        """No block can be used, or too many were sent lately: counted."""
        self.sender.empty = True
        self.send(asking(b"hello"))
        self.assertEqual((len(self.exit.seen), self.stored()), (1, [DONE]))
        self.assertEqual(self.counters[Name.RECEIPTS_UNSENT], 1)

    def test_it_raises(self) -> None:
        """A defect of ours is logged without its text, and the message is done with."""
        self.sender.error = ValueError("bob@x.test")
        events = kit.Events()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        self.send(asking(b"hello"))
        self.assertEqual((len(self.exit.seen), self.stored()), (1, [DONE]))
        self.assertNotIn("bob", repr(events.seen))
        self.assertIn("A receipt could not be made", repr(events.seen))

    def test_no_room_for_it(self) -> None:
        """The store takes the mark and not the packet."""
        exchange = self.store.exchange

        def full(added: Sequence[object], removed: Sequence[int]) -> Deferred[list[int]]:
            if len(added) > 1:
                return fail(StoreError(problem="x"))
            return exchange(added, removed)  # type: ignore[arg-type]

        self.patch(self.store, "exchange", full)
        self.send(asking(b"hello"))
        self.assertEqual((len(self.exit.seen), self.stored()), (1, [DONE]))

    def test_killed_before_it_is_written(self) -> None:
        """Killed between the hand-over and the mark: the message comes once more, with the same
        Message-ID, as ever, and one receipt is sent."""
        exchange = self.store.exchange
        calls = []

        def dying(added: Sequence[object], removed: Sequence[int]) -> Deferred[list[int]]:
            calls.append(added)
            return exchange(added, removed) if len(calls) == 1 else Deferred()  # type: ignore[arg-type]

        self.patch(self.store, "exchange", dying)
        self.send(asking(b"hello"))
        self.assertEqual((len(self.exit.seen), self.sender.left), (1, []))
        self.restart()
        self.assertEqual(len({each.message_id for each in self.exit.seen}), 1)
        self.assertEqual(len(self.sender.left), 1)
        self.assertEqual(sorted(self.stored()), [DONE, NODE])
        self.restart()
        self.assertEqual(len(self.sender.left), 1)


class MarkTests(SyncTestCase):
    def test_forms(self) -> None:
        """A mark is read as it was written; one of the first version has no outcome."""
        done = Done(ID, Word.REFUSED, 1_800_000_000, "blocked", 1 << 63 | 1)
        self.assertEqual(Done.decode(done.encode()), done)
        self.assertEqual(Done.decode(b"\x01" + ID), Done(ID))
        self.assertEqual(Done.decode(Done(ID).encode()), Done(ID))
        for wrong in (b"", b"\x01", b"\x03" + done.encode()[1:], done.encode()[:20]):
            self.assertRaises(BadRecord, Done.decode, wrong)
        self.assertRaises(BadRecord, Done.decode, done.encode()[:17] + b"\x09" + bytes(16))
