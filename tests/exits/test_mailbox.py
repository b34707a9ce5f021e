"""The exit that holds: what it takes, how long, and what is left of it after a restart."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, fail, succeed
from zope.interface.verify import verifyObject

from mixminion.config import ConfigErrors
from mixminion.counters import Counters, Name
from mixminion.crypto.rng import SeededRandom
from mixminion.exits import delivery, mailbox, mailboxes, record, registry
from mixminion.interfaces import (
    Accepted,
    IDelivery,
    IHoldingExit,
    IMailboxes,
    Message,
    Outcome,
    OutcomeKind,
)
from mixminion.payload import capability, frame, message
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.exits import kit
from tests.exits.test_assembly import AssemblyCase, split

MODULES = {"mailbox": registry.LazyModule("mailbox", "mixminion.exits.mailbox")}
ALICE, BOB = b"a" * 32, b"b" * 32
SMALL = "[Exit box]\nmodule = mailbox\nmailbox-messages = 2\nmax-message = 2 KiB\nexpiry = 1 hour\n"
DAY = 86_400


def make(text: str = SMALL) -> mailbox.MailboxExit:
    exit = registry.load(kit.config(text, MODULES), kit.Environment(None), MODULES)["box"]
    assert isinstance(exit, mailbox.MailboxExit)
    return exit


class ExitTests(SyncTestCase):
    """By itself."""

    def test_check(self) -> None:
        """One recipient that is a capability, and a size; forward messages and replies alike."""
        exit = make()
        verifyObject(IHoldingExit, exit)
        to = capability.to_text(ALICE)
        for recipients, size, expected in (
            ([to], 2048, None),
            ([to], 2049, "too-large"),
            ([], 1, "no-recipient"),
            ([to, to], 1, "too-many-recipients"),
            (["bob@x.test"], 1, "bad-capability"),
            ([to + "="], 1, "bad-capability"),
        ):
            for reply in (False, True):
                self.assertEqual(exit.check(recipients, bytes(size), reply), expected)

    def test_described(self) -> None:
        """What a sender and an owner have to know."""
        self.assertEqual(
            make().describe(),
            {
                "module": "mailbox",
                "max-message": 2048,
                "max-recipients": 1,
                "mailbox-messages": 2,
                "mailbox-limit": 16 * 2**20,
                "expiry": 3600,
            },
        )

    def test_section(self) -> None:
        """Limits that contradict each other are told."""
        for keys, wrong in (
            ("mailbox-limit = 64 KiB\nmax-message = 64 KiB", "mailbox-limit"),
            ("total-limit = 1 MiB", "total-limit"),
            ("retry-first = 5 hours", "retry-longest"),
        ):
            error = self.assertRaises(ConfigErrors, make, f"[Exit box]\nmodule = mailbox\n{keys}\n")
            self.assertIn(wrong, str(error.problems))

    def test_nobody(self) -> None:
        """What is for no capability fails for good; nothing is held before somebody keeps it."""
        for recipients in ((), ("bob@x.test",), (capability.to_text(ALICE),) * 2):
            message = Message("box", recipients, b"", None, "<a@b>", 0)
            outcome = self.successResultOf(ensureDeferred(make().deliver(message)))
            self.assertEqual(outcome, Outcome(OutcomeKind.PERMANENT, "bad-capability"))
        message = Message("box", (capability.to_text(ALICE),), b"", None, "<a@b>", 0)
        self.failureResultOf(ensureDeferred(make().deliver(message)), mailbox.NobodyKeepsError)


class HeldCase(SyncTestCase):
    """A delivery with a mailbox exit, and what it is stored in."""

    held: mailboxes.Mailboxes

    def setUp(self) -> None:
        self.clock = HeapClock()
        self.store = kit.MemoryStore()
        self.random = SeededRandom(b"mailbox")
        self.begin()

    def begin(self, text: str = SMALL) -> None:
        self.counters = Counters()
        self.exit = make(text)
        self.delivery = delivery.Delivery(
            {"box": self.exit}, self.store, self.clock, self.random, self.counters, "mix.test"
        )
        found = self.delivery.mailboxes
        assert isinstance(found, mailboxes.Mailboxes)
        self.held = found

    def start(self) -> None:
        self.successResultOf(ensureDeferred(self.delivery.start()))
        self.addCleanup(self.stop)

    def stop(self) -> None:
        self.successResultOf(ensureDeferred(self.delivery.stop()))

    def accept(self, whose: bytes, content: bytes) -> Accepted | str:
        encoded = message.encode("box", [capability.to_text(whose)], content)
        payload = frame.encode(frame.Kind.MESSAGE, encoded, 4000, self.random)
        return self.delivery.accept(payload, self.clock.seconds())

    def offer(self, accepted: Accepted | str) -> int:
        """Store a message and offer it, as the mix does; its record."""
        assert isinstance(accepted, Accepted)
        queued = self.store.put(accepted.record)
        self.delivery.offer(queued, accepted.destination, self.clock.seconds())
        return queued

    def send(self, whose: bytes, content: bytes) -> int:
        """Have one held; its item."""
        before = set(self.store.records)
        self.offer(self.accept(whose, content))
        [item] = set(self.store.records) - before
        return item

    def again(self, text: str = SMALL) -> None:
        """Begin again with what is stored, as a server does when it starts."""
        entries = [
            (id, where.destination, where.due_ms / 1000)
            for id, where in self.store.places.items()
            if id in self.store.records
        ]
        self.begin(text)
        self.recall(entries)

    def recall(self, entries: list[tuple[int, bytes, float]]) -> None:
        recalled = self.successResultOf(ensureDeferred(self.delivery.recall(entries)))
        self.assertEqual(recalled, {id for id, _, _ in entries})

    def read(self, whose: bytes, item: int) -> Message | None:
        return self.successResultOf(ensureDeferred(self.held.read(whose, item)))

    def contents(self, whose: bytes) -> list[bytes | None]:
        found = [self.read(whose, item) for item in self.held.waiting(whose)]
        return [None if each is None else each.content for each in found]


class HoldingTests(HeldCase):
    def test_held(self) -> None:
        """What came stays, in the order in which it left the pool, until its owner has it."""
        verifyObject(IMailboxes, self.held)
        verifyObject(IDelivery, self.delivery)
        self.start()
        first = self.send(ALICE, b"one")
        self.clock.advance(2)
        second = self.send(ALICE, b"two")
        places = [self.store.places[item] for item in (first, second)]
        self.assertEqual([place.destination for place in places], [b"exit:@box"] * 2)
        self.assertEqual(places[1].due_ms, places[0].due_ms + 2000)
        self.assertEqual(self.contents(ALICE), [b"one", b"two"])
        self.assertEqual(set(self.store.records), {first, second})
        self.assertEqual(self.delivery.waiting(), {"box": 0})
        self.held.taken(ALICE, first)
        self.assertEqual(set(self.store.records), {second})
        self.assertEqual(self.contents(ALICE), [b"two"])
        self.assertEqual((len(self.held), self.counters[Name.FETCHED]), (1, 1))
        self.assertEqual(self.counters[Name.DELIVERED], 2)

    def test_reply(self) -> None:
        """A reply keeps the handle of its block."""
        self.start()
        to = capability.to_text(ALICE)
        self.offer(self.delivery.accept_reply(b"h" * 16, "box", to, b"sealed", 7.0))
        [item] = self.held.waiting(ALICE)
        found = self.read(ALICE, item)
        assert found is not None
        self.assertEqual((found.surb_id, found.content, found.date), (b"h" * 16, b"sealed", 7))

    def test_others(self) -> None:
        """Nobody reads or deletes what is another's, and asking costs the store as much."""
        self.start()
        item = self.send(ALICE, b"one")
        asked: list[list[int]] = []
        read = self.store.read

        def noted(ids: list[int]) -> Deferred[list[bytes | None]]:
            asked.append(ids)
            return read(ids)

        self.patch(self.store, "read", noted)
        self.assertEqual(self.held.waiting(BOB), [])
        self.assertIsNone(self.read(BOB, item))
        self.assertIsNone(self.read(ALICE, item + 1))
        self.assertEqual(asked, [[0], [0]])
        self.held.taken(BOB, item)
        self.held.taken(ALICE, item + 1)
        self.assertEqual(self.contents(ALICE), [b"one"])

    def test_full(self) -> None:
        """A mailbox that is full takes nothing, neither before the pool nor after it; what is in
        it stays, and other mailboxes go on."""
        self.start()
        late = self.accept(ALICE, b"late")
        for content in (b"one", b"two"):
            self.send(ALICE, content)
        self.assertEqual(self.accept(ALICE, b"three"), "mailbox-full")
        queued = self.offer(late)
        self.assertNotIn(queued, self.store.records)
        self.assertEqual(self.counters[Name.FAILED], 1)
        self.assertEqual(self.contents(ALICE), [b"one", b"two"])
        self.send(BOB, b"one")
        self.assertEqual(self.contents(BOB), [b"one"])

    def test_full_while_writing(self) -> None:
        """Those that are being written count, too."""
        self.start()
        writing: list[Deferred[list[int]]] = []
        exchange = self.store.exchange

        def slow(added: Any, removed: Any) -> Deferred[list[int]]:
            written: Deferred[list[int]] = Deferred()
            writing.append(written.addCallback(lambda _: exchange(added, removed)))
            return writing[-1]

        self.patch(self.store, "exchange", slow)
        for accepted in [self.accept(ALICE, b"%d" % n) for n in range(4)]:
            self.offer(accepted)
        while writing:
            writing.pop(0).callback([])
        self.assertEqual(self.contents(ALICE), [b"0", b"1"])
        self.assertEqual(self.counters[Name.FAILED], 2)

    def test_expiry(self) -> None:
        """What nobody fetched in time is deleted, and counted."""
        self.start()
        item = self.send(ALICE, b"one")
        self.clock.advance(3600 - mailboxes.SWEEP)
        self.assertIn(item, self.store.records)
        self.clock.advance(2 * mailboxes.SWEEP)
        self.assertEqual((self.store.records, self.contents(ALICE)), ({}, []))
        self.assertEqual(self.counters[Name.EXPIRED], 1)

    def test_no_room_on_disk(self) -> None:
        """While the disk is full a message stays in the queue."""
        self.start()
        exchange = self.store.exchange
        self.store.exchange = lambda *_: fail(OSError())  # type: ignore[method-assign]
        queued = self.offer(self.accept(ALICE, b"one"))
        self.assertEqual((set(self.store.records), self.contents(ALICE)), ({queued}, []))
        self.store.exchange = exchange  # type: ignore[method-assign]
        self.clock.advance(1000)
        self.assertEqual(self.contents(ALICE), [b"one"])
        self.assertNotIn(queued, self.store.records)

    def test_gone(self) -> None:
        """A record that cannot be read any more is forgotten."""
        self.start()
        item = self.send(ALICE, b"one")
        del self.store.records[item]
        self.assertEqual(self.contents(ALICE), [None])
        self.assertEqual(self.contents(ALICE), [])


class RestartTests(HeldCase):
    def test_restart(self) -> None:
        """What was held is held again, whatever the limits are now, and in no queue."""
        self.start()
        for whose, content in ((ALICE, b"one"), (BOB, b"two"), (ALICE, b"three")):
            self.send(whose, content)
        self.stop()
        self.again(SMALL.replace("messages = 2", "messages = 1"))
        self.assertEqual(len(self.held), 3)
        self.start()
        self.assertEqual(self.contents(ALICE), [b"one", b"three"])
        self.assertEqual(self.contents(BOB), [b"two"])
        self.assertEqual(self.accept(BOB, b"four"), "mailbox-full")

    def test_crash_between(self) -> None:
        """A message that is held and still queued is held once, whichever is read first."""
        for queued_first in (False, True):
            self.start()
            accepted = self.accept(ALICE, b"one")
            assert isinstance(accepted, Accepted)
            delete = self.store.delete
            self.store.delete = (  # type: ignore[method-assign]
                lambda ids: fail(OSError()) if ids else succeed(None)
            )
            queued = self.offer(accepted)
            self.store.delete = delete  # type: ignore[method-assign]
            self.assertEqual(len(self.store.records), 2)
            self.stop()
            self.again()
            if queued_first:
                self.successResultOf(ensureDeferred(self.exit.start()))
                self.successResultOf(
                    ensureDeferred(self.exit.deliver(record.decode(self.store.records[queued])))
                )
                self.assertEqual(len(self.store.records), 3)
            self.start()
            self.delivery.offer(queued, accepted.destination, self.clock.seconds())
            self.assertEqual(self.contents(ALICE), [b"one"])
            self.assertEqual(len(self.store.records), 1)
            self.stop()
            self.store.records.clear()
            self.begin()

    def test_unreadable_for_now(self) -> None:
        """A store that cannot be read is read again; what no record of ours is, goes."""
        self.start()
        item = self.send(ALICE, b"one")
        self.stop()
        self.begin()
        spoilt = self.store.put(b"\xff")
        self.recall([(each, b"exit:@box", 0.0) for each in (item, spoilt, 12345)])
        read, times = self.store.read, []

        def fails(ids: list[int]) -> Deferred[list[bytes | None]]:
            times.append(self.clock.seconds())
            if len(times) == 1:
                raise OSError
            return read(ids)

        self.patch(self.store, "read", fails)
        self.start()
        self.assertEqual((self.held.waiting(ALICE), len(self.held)), ([], 3))
        self.clock.advance(mailboxes.SWEEP)
        self.assertEqual((self.held.waiting(ALICE), len(self.held)), ([item], 1))
        self.assertNotIn(spoilt, self.store.records)

    def test_many(self) -> None:
        """All are read, a few at a time."""
        text = SMALL.replace("messages = 2", "messages = 1000")
        self.begin(text)
        self.start()
        for n in range(3 * mailboxes.READ + 1):
            self.send(ALICE, b"%d" % n)
        self.stop()
        self.again(text)
        sizes: list[int] = []
        read = self.store.read

        def counted(ids: list[int]) -> Deferred[list[bytes | None]]:
            sizes.append(len(ids))
            return read(ids)

        self.patch(self.store, "read", counted)
        self.start()
        self.assertEqual(sizes, [mailboxes.READ] * 3 + [1])
        self.assertEqual(len(self.held.waiting(ALICE)), 3 * mailboxes.READ + 1)

    def test_exit_gone(self) -> None:
        """What an exit held that is gone waits for it for a month."""
        self.start()
        item = self.send(ALICE, b"one")
        now = self.clock.seconds()
        self.recall([(item, b"exit:@other", now - 29 * DAY)])
        self.assertIn(item, self.store.records)
        self.recall([(item, b"exit:@other", now - 30 * DAY)])
        self.assertNotIn(item, self.store.records)

    def test_stop_while_reading(self) -> None:
        """A stop waits for the read that is under way and begins no other."""
        waiting: list[Deferred[list[bytes | None]]] = []

        def slow(ids: list[int]) -> Deferred[list[bytes | None]]:
            waiting.append(Deferred())
            return waiting[-1]

        self.patch(self.store, "read", slow)
        self.recall([(item, b"exit:@box", 0.0) for item in range(mailboxes.READ + 1)])
        self.successResultOf(ensureDeferred(self.delivery.start()))
        stopping = ensureDeferred(self.delivery.stop())
        self.assertNoResult(stopping)
        nothing: list[bytes | None] = [None] * mailboxes.READ
        waiting[0].callback(nothing)
        self.successResultOf(stopping)
        self.assertEqual(len(waiting), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FragmentTests(AssemblyCase):
    """Over a real store."""

    def setUp(self) -> None:
        super().setUp()
        self.end()
        self.exits = {"box": make(SMALL.replace("2 KiB", "64 KiB"))}
        self.begin()

    def test_fragments(self) -> None:
        """A message that came in fragments is held as a whole."""
        content = bytes(range(256)) * 100
        self.send(split(content, "box", recipient=capability.to_text(ALICE)))
        held = self.delivery.mailboxes
        assert isinstance(held, mailboxes.Mailboxes)
        [item] = held.waiting(ALICE)
        found = self.result(ensureDeferred(held.read(ALICE, item)))
        assert found is not None
        self.assertEqual(found.content, content)
        self.assertEqual(self.stored().count(b"exit:@box"), 1)
        held.taken(ALICE, item)
        self.clock.advance(1)
        self.assertNotIn(b"exit:@box", self.stored())


class OtherExitsTests(SyncTestCase):
    def test_none(self) -> None:
        """A server without such an exit holds nothing."""
        made = delivery.Delivery(
            {"test": kit.ScriptedExit()},
            kit.MemoryStore(),
            HeapClock(),
            SeededRandom(b"none"),
            Counters(),
            "mix.test",
        )
        self.assertIsNone(made.mailboxes)
