"""From opened payloads to hand-overs: what is accepted, stored, tried again, and deleted."""

from __future__ import annotations

from twisted.internet.defer import Deferred, ensureDeferred, fail, succeed
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mixminion.counters import Counters, Name
from mixminion.crypto.rng import SeededRandom
from mixminion.exits import delivery, record
from mixminion.exits.lane import LONGEST_ATTEMPT, LONGEST_STOP, SWEEP
from mixminion.interfaces import Accepted, IDelivery, IExit, Message, Outcome, OutcomeKind
from mixminion.payload import deflate, frame, message
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.exits import kit

TEMPORARY = Outcome(OutcomeKind.TEMPORARY, "smtp-450")
UNREACHABLE = Outcome(OutcomeKind.UNREACHABLE, "refused")
PERMANENT = Outcome(OutcomeKind.PERMANENT, "smtp-550")
HERE = b"exit:test"


class DeliveryCase(SyncTestCase):
    """A delivery with one exit named ``test``, not started."""

    def setUp(self) -> None:
        self.clock = HeapClock()
        self.store = kit.MemoryStore()
        self.counters = Counters()
        self.random = SeededRandom(b"delivery")
        self.exit = kit.ScriptedExit()
        self.delivery = self.make()

    def make(self) -> delivery.Delivery:
        return delivery.Delivery(
            {"test": self.exit}, self.store, self.clock, self.random, self.counters, "mix.test"
        )

    def body(self, kind: frame.Kind, content: bytes) -> bytes:
        return frame.encode(kind, content, 2000, self.random)

    def payload(self, exit: str = "test", content: bytes = b"hello") -> bytes:
        return self.body(frame.Kind.MESSAGE, message.encode(exit, ["bob@x.test"], content))

    def accepted(self, content: bytes = b"hello") -> Accepted:
        accepted = self.delivery.accept(self.payload(content=content), self.clock.seconds() + 0.7)
        assert isinstance(accepted, Accepted)
        return accepted

    def start(self) -> None:
        self.successResultOf(ensureDeferred(self.delivery.start()))

    def stop(self) -> Deferred[None]:
        return ensureDeferred(self.delivery.stop())

    def offer(self, content: bytes = b"hello") -> int:
        """Store and offer one message, as the mix does."""
        accepted = self.accepted(content)
        record_id = self.store.put(accepted.record)
        self.delivery.offer(record_id, accepted.destination, self.clock.seconds())
        return record_id


class AcceptTests(DeliveryCase):
    def test_accepted(self) -> None:
        """The record holds the message, a Message-ID of our host and the due time in whole
        seconds."""
        verifyObject(IDelivery, self.delivery)
        verifyObject(IExit, self.exit)
        accepted = self.accepted()
        self.assertEqual(accepted.destination, HERE)
        stored = record.decode(accepted.record)
        self.assertRegex(stored.message_id, r"^<[0-9a-f]{32}@mix\.test>$")
        expected = Message(
            "test", ("bob@x.test",), b"hello", None, stored.message_id, int(self.clock.seconds())
        )
        self.assertEqual(stored, expected)

    def test_deflated(self) -> None:
        """A message that was compressed is checked as it is, and stored as it came."""
        octets = message.encode("test", ["bob@x.test"], b"hello " * 90)
        packed = b"".join(deflate.deflate([octets], len(octets)))
        payload = self.body(frame.Kind.DEFLATED, packed)
        checked: list[bytes] = []
        self.exit.checked = checked.append
        accepted = self.delivery.accept(payload, 0.0)
        assert isinstance(accepted, Accepted)
        self.assertEqual(checked, [b"hello " * 90])
        self.assertEqual(record.decode(accepted.record).content, b"hello " * 90)
        self.assertTrue(accepted.record.endswith(packed))

    def test_date_is_the_release(self) -> None:
        """The date is when the message leaves, whenever it arrived."""
        accepted = self.delivery.accept(self.payload(), 1_900_000_000.9)
        assert isinstance(accepted, Accepted)
        self.assertEqual(record.decode(accepted.record).date, 1_900_000_000)

    def test_domain(self) -> None:
        """An exit with a domain has it in its Message-IDs."""
        self.exit.domain = "exit.test"
        stored = record.decode(self.accepted().record)
        self.assertTrue(stored.message_id.endswith("@exit.test>"))

    def test_message_ids_differ(self) -> None:
        """Two equal messages have two Message-IDs."""
        self.assertNotEqual(self.accepted().record, self.accepted().record)

    def test_dropped(self) -> None:
        """Everything else has a reason: cover, other kinds, broken frames, unknown exits."""
        for payload, reason in (
            (self.body(frame.Kind.COVER, b""), "cover"),
            (self.body(frame.Kind.FRAGMENT, b""), "bad-payload"),
            (self.body(frame.Kind.CROSSOVER, b""), "wrong-kind"),
            (self.body(frame.Kind.REPLY, b""), "wrong-kind"),
            (self.body(frame.Kind.MESSAGE, b""), "bad-payload"),
            (self.body(frame.Kind.DEFLATED, b""), "bad-payload"),
            (self.body(frame.Kind.DEFLATED, bytes(5)), "bad-payload"),
            (b"", "bad-payload"),
            (b"\xff" * 2000, "bad-payload"),
            (self.payload(exit="other"), "unknown-exit"),
        ):
            self.assertEqual(self.delivery.accept(payload, 0.0), reason)

    def test_refused(self) -> None:
        """The exit's own word is the reason; an exit that crashes on it refuses."""
        self.exit.refusal = "bad-address"
        self.assertEqual(self.delivery.accept(self.payload(), 0.0), "bad-address")

        def crash(*args: object) -> str:
            raise ValueError("bob@x.test")

        self.patch(self.exit, "check", crash)
        self.assertEqual(self.delivery.accept(self.payload(), 0.0), "exit-fault")

    def test_reply(self) -> None:
        """A reply is stored with its SURB id; an unknown exit drops it."""
        accepted = self.delivery.accept_reply(b"s" * 16, "test", "a@x.test", b"sealed", 7.9)
        assert isinstance(accepted, Accepted)
        stored = record.decode(accepted.record)
        self.assertEqual((stored.surb_id, stored.content, stored.date), (b"s" * 16, b"sealed", 7))
        dropped = self.delivery.accept_reply(b"s" * 16, "other", "a@x.test", b"", 0.0)
        self.assertEqual(dropped, "unknown-exit")


class HandOverTests(DeliveryCase):
    def test_delivered(self) -> None:
        """What the far side took is deleted and counted, only then."""
        ends: Deferred[Outcome] = Deferred()
        self.exit.act = lambda message: ends
        self.start()
        record_id = self.offer()
        self.assertEqual(self.delivery.waiting(), {"test": 1})
        self.assertIn(record_id, self.store.records)
        ends.callback(kit.DELIVERED)
        self.assertEqual(self.store.records, {})
        self.assertEqual(self.counters[Name.DELIVERED], 1)
        self.assertEqual(self.delivery.waiting(), {"test": 0})

    def test_permanent(self) -> None:
        """What failed for good is deleted, counted, and not tried again."""
        self.exit.act = lambda message: PERMANENT
        self.start()
        self.offer()
        self.clock.advance(2000)
        self.assertEqual((len(self.exit.seen), self.store.records), (1, {}))
        self.assertEqual(self.counters[Name.FAILED], 1)

    def test_temporary(self) -> None:
        """A temporary failure backs off alone, others pass it; every attempt shows the same
        Message-ID and Date."""
        self.exit.act = lambda m: TEMPORARY if m.content == b"slow" else kit.DELIVERED
        self.start()
        self.offer(b"slow")
        self.offer(b"fast")
        self.assertEqual([m.content for m in self.exit.seen], [b"slow", b"fast"])
        self.clock.advance(120)
        slow = [m for m in self.exit.seen if m.content == b"slow"]
        self.assertGreater(len(slow), 3)
        self.assertEqual(len(set(slow)), 1)
        self.assertEqual(self.counters[Name.RETRIED], len(slow))
        self.exit.act = lambda message: kit.DELIVERED
        self.clock.advance(120)
        self.assertEqual(self.store.records, {})

    def test_unreachable(self) -> None:
        """When the far side is away everything waits, then goes in its order."""
        self.exit.act = lambda message: UNREACHABLE
        self.start()
        for content in (b"1", b"2", b"3"):
            self.offer(content)
        self.assertEqual(len(self.exit.seen), 1)
        self.clock.advance(4.9)
        self.assertEqual(len(self.exit.seen), 1)
        self.exit.act = lambda message: kit.DELIVERED
        self.exit.seen.clear()
        self.clock.advance(10)
        self.assertEqual([m.content for m in self.exit.seen], [b"1", b"2", b"3"])

    def test_attempts_side_by_side_hold_once(self) -> None:
        """Two attempts that find the far side away at once are one failure of it."""
        ends: list[Deferred[Outcome]] = []

        def act(message: Message) -> Deferred[Outcome]:
            ends.append(Deferred())
            return ends[-1]

        self.exit.act = act
        self.start()
        self.offer(), self.offer()
        for each in ends[:]:
            each.callback(UNREACHABLE)
        self.clock.advance(kit.POLICY.retry_first)
        self.assertEqual(len(self.exit.seen), 4)

    def test_concurrency(self) -> None:
        """As many at once as the policy says, and the next when one ends."""
        ends: list[Deferred[Outcome]] = []

        def act(message: Message) -> Deferred[Outcome]:
            ends.append(Deferred())
            return ends[-1]

        self.exit.act = act
        self.start()
        for _ in range(5):
            self.offer()
        self.assertEqual(len(ends), 2)
        ends[0].callback(kit.DELIVERED)
        self.assertEqual(len(ends), 3)

    def test_many_at_once(self) -> None:
        """Thousands that end at once, in their order, without a deeper and deeper stack."""
        for n in range(3000):
            self.offer(b"%d" % n)
        self.start()
        self.assertEqual([m.content for m in self.exit.seen], [b"%d" % n for n in range(3000)])
        self.assertEqual(self.store.records, {})

    def test_expiry(self) -> None:
        """What could not be handed over in time is deleted and counted."""
        self.exit.act = lambda message: TEMPORARY
        self.start()
        self.offer()
        self.clock.advance(kit.POLICY.expiry + 2 * SWEEP)
        self.assertEqual(self.store.records, {})
        self.assertEqual(self.counters[Name.EXPIRED], 1)

    def test_crash(self) -> None:
        """An exit that raises, or fails later, is a temporary failure; the log names the kind of
        the error and the place, never what it says."""
        events = kit.Events()
        globalLogPublisher.addObserver(events)
        self.addCleanup(globalLogPublisher.removeObserver, events)
        for crash in (
            lambda m: fail(ValueError("to bob@x.test: hello")),
            lambda m: {"": ""}["bob@x.test"],
        ):
            self.exit.act = crash
            self.exit.seen.clear()
            self.start()
            self.offer()
            self.assertEqual(len(self.exit.seen), 1)
            self.exit.act = lambda message: kit.DELIVERED
            self.clock.advance(10)
        self.assertEqual(self.store.records, {})
        texts = [str(event) for event in events.seen]
        self.assertTrue(any("ValueError" in text for text in texts))
        self.assertTrue(any("KeyError" in text and "test_delivery.py:" in text for text in texts))
        for secret in ("bob", "hello", "@mix.test"):
            self.assertFalse([text for text in texts if secret in text])

    def test_defect(self) -> None:
        """One of ours, in the queue: it is logged, and the exit goes on at the next sweep."""
        for place in ("take", "next_ready", "done", "up"):
            self.setUp()
            self.start()
            (lane,) = self.delivery._lanes.values()
            patch = self.patch(lane._queue, place, self.broken)
            self.offer(b"one")
            if place == "next_ready":
                self.exit.act = lambda message: TEMPORARY
            self.offer(b"two")
            self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
            patch.restore()
            self.exit.act = lambda message: kit.DELIVERED
            self.clock.advance(SWEEP)
            self.assertEqual({each.content for each in self.exit.seen}, {b"one", b"two"})
            self.assertEqual((len(lane), self.store.records), (0, {}))

    def test_defect_while_sweeping(self) -> None:
        """It keeps nothing else from being tried."""
        self.exit.act = lambda message: UNREACHABLE
        self.start()
        self.offer()
        (lane,) = self.delivery._lanes.values()
        self.patch(lane._queue, "expire", self.broken)
        for _ in range(3):
            self.clock.advance(SWEEP)
        self.assertTrue(self.flushLoggedErrors(ZeroDivisionError))
        self.assertGreater(len(self.exit.seen), 3)

    @staticmethod
    def broken(*what: object) -> None:
        raise ZeroDivisionError

    def test_hanging(self) -> None:
        """An attempt that never ends is given up."""
        self.exit.act = lambda message: Deferred()
        self.start()
        self.offer()
        self.clock.advance(LONGEST_ATTEMPT)
        self.assertEqual(self.counters[Name.RETRIED], 1)

    def test_gone_record(self) -> None:
        """A record that is not there any more is forgotten."""
        self.start()
        self.delivery.offer(99, HERE, self.clock.seconds())
        self.assertEqual((self.exit.seen, self.delivery.waiting()), ([], {"test": 0}))

    def test_bad_record(self) -> None:
        """A record that cannot be read stops nobody else; it ends with its expiry."""
        self.start()
        self.delivery.offer(self.store.put(b"nonsense"), HERE, self.clock.seconds())
        self.offer()
        self.assertEqual(len(self.exit.seen), 1)
        self.clock.advance(kit.POLICY.expiry + 2 * SWEEP)
        self.assertEqual(self.store.records, {})

    def test_not_deletable(self) -> None:
        """A message that was delivered is not delivered again because it cannot be deleted."""
        self.start()
        self.patch(self.store, "delete", lambda ids: fail(OSError()))
        self.offer()
        self.clock.advance(500)
        self.assertEqual(len(self.exit.seen), 1)

    def test_orphans(self) -> None:
        """A message for an exit that is gone stays stored for some days."""
        record_id = self.store.put(self.accepted().record)
        now = self.clock.seconds()
        self.delivery.offer(record_id, b"exit:gone", now)
        self.assertIn(record_id, self.store.records)
        self.delivery.offer(record_id, b"exit:gone", now - delivery.ORPHAN_EXPIRY)
        self.assertEqual(self.store.records, {})
        self.assertEqual(self.counters[Name.EXPIRED], 1)


class LifeTests(DeliveryCase):
    def test_waits_for_start(self) -> None:
        """What is offered before the start is handed over after it."""
        self.offer()
        self.assertEqual(self.exit.seen, [])
        self.start()
        self.assertEqual((len(self.exit.seen), self.exit.started), (1, 1))

    def test_failing_start(self) -> None:
        """An exit that cannot start is tried again; its messages wait, others do not."""
        starts = [fail(ValueError("x")), succeed(None)]
        self.patch(self.exit, "start", lambda: starts.pop(0))
        self.start()
        self.offer()
        self.assertEqual(self.exit.seen, [])
        self.clock.advance(SWEEP)
        self.assertEqual(len(self.exit.seen), 1)

    def test_stop(self) -> None:
        """Stopping ends the attempt under way; its record stays, nothing is begun any more."""
        ends: Deferred[Outcome] = Deferred()
        self.exit.act = lambda message: ends
        self.start()
        first, second = self.offer(), self.offer()
        self.successResultOf(self.stop())
        self.assertEqual(self.exit.stopped, 1)
        self.assertEqual(sorted(self.store.records), [first, second])
        self.offer()
        self.clock.advance(1000)
        self.assertEqual(len(self.exit.seen), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_that_hangs(self) -> None:
        """An exit that does not stop is left behind after a while."""
        self.patch(self.exit, "stop", lambda: Deferred())
        self.start()
        stopped = self.stop()
        self.assertNoResult(stopped)
        self.clock.advance(LONGEST_STOP)
        self.successResultOf(stopped)

    def test_after_a_restart(self) -> None:
        """The same record, offered by another process, is the same mail."""
        self.exit.act = lambda message: UNREACHABLE
        self.start()
        record_id = self.offer()
        self.successResultOf(self.stop())
        self.exit.act = lambda message: kit.DELIVERED
        self.delivery = self.make()
        self.start()
        self.delivery.offer(record_id, HERE, self.clock.seconds())
        first, second = self.exit.seen
        self.assertEqual(first, second)
        self.assertEqual(self.store.records, {})


class PauseTests(DeliveryCase):
    def test_paused(self) -> None:
        """Nothing more is handed over, though everything is taken; then all of it at once."""
        under_way: Deferred[Outcome] = Deferred()
        self.exit.act = lambda message: under_way
        self.start()
        first = self.offer(b"first")
        self.delivery.pause("test", True)
        self.offer(b"second")
        under_way.callback(kit.DELIVERED)
        self.assertEqual(self.store.deleted, [first])
        self.exit.act = lambda message: kit.DELIVERED
        self.clock.advance(3 * SWEEP)
        self.assertEqual((len(self.exit.seen), self.delivery.waiting()), (1, {"test": 1}))
        self.delivery.pause("test", False)
        self.assertEqual((len(self.exit.seen), self.delivery.waiting()), (2, {"test": 0}))

    def test_before_the_start(self) -> None:
        """An exit that was paused before hands nothing over when it starts."""
        self.delivery.pause("test", True)
        self.start()
        self.offer()
        self.clock.advance(SWEEP)
        self.assertEqual(self.exit.seen, [])

    def test_expired(self) -> None:
        """What waits too long is given up, paused or not."""
        self.start()
        self.delivery.pause("test", True)
        record_id = self.offer()
        self.clock.advance(kit.POLICY.expiry + 2 * SWEEP)
        self.assertEqual(self.store.deleted, [record_id])

    def test_unknown(self) -> None:
        """An exit that there is not is no exit to pause."""
        self.assertRaises(KeyError, self.delivery.pause, "nobody", True)
