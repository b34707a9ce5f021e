"""Modules that crash, hang or leak: what they do wrong stays theirs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, fail, succeed
from twisted.logger import globalLogPublisher

from mixminion.counters import Counters, Name
from mixminion.crypto.rng import SeededRandom
from mixminion.exits import registry
from mixminion.exits.delivery import Delivery
from mixminion.exits.lane import LONGEST_ATTEMPT, LONGEST_STOP, SWEEP
from mixminion.exits.tally import MOST
from mixminion.interfaces import Accepted, Message, Outcome, OutcomeKind
from mixminion.payload import frame, message
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.exits import kit

EMPTY: dict[str, Any] = {}


class Deaf:
    """An attempt that goes on whatever it is told."""

    def __init__(self) -> None:
        self.asked: list[Deferred[None]] = []

    async def __call__(self) -> Outcome:
        while True:
            self.asked.append(Deferred())
            with contextlib.suppress(CancelledError):
                await self.asked[-1]


class MisbehavingCase(SyncTestCase):
    """A server with the exits ``bad`` and ``good``."""

    expiry = kit.POLICY.expiry

    def setUp(self) -> None:
        self.clock, self.random = HeapClock(), SeededRandom(b"misbehaving")
        self.store, self.counters = kit.MemoryStore(), Counters()
        self.bad, self.good = kit.ScriptedExit(name="bad"), kit.ScriptedExit(name="good")
        self.bad.policy = replace(kit.POLICY, expiry=self.expiry)
        exits = {"bad": self.bad, "good": self.good}
        self.delivery = Delivery(
            exits, self.store, self.clock, self.random, self.counters, "mix.test"
        )
        self.logged = kit.Events()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)

    def start(self) -> None:
        self.successResultOf(ensureDeferred(self.delivery.start()))

    def accept(self, exit: str) -> Accepted | str:
        octets = message.encode(exit, ["bob@x.test"], b"\r\nhello")
        body = frame.encode(frame.Kind.MESSAGE, octets, 500, self.random)
        return self.delivery.accept(body, self.clock.seconds())

    def offer(self, exit: str) -> None:
        accepted = self.accept(exit)
        assert isinstance(accepted, Accepted)
        record_id = self.store.put(accepted.record)
        self.delivery.offer(record_id, accepted.destination, self.clock.seconds())

    def good_goes_on(self) -> None:
        """A message for the other exit is handed over at once."""
        before = len(self.good.seen)
        self.offer("good")
        self.assertEqual(len(self.good.seen), before + 1)
        self.assertEqual(self.delivery.waiting()["good"], 0)

    def nothing_told(self) -> None:
        """Nothing of a message is in the log."""
        for event in self.logged.seen:
            for secret in ("bob", "hello", "@mix.test"):
                self.assertNotIn(secret, str(event))


class CrashTests(MisbehavingCase):
    def test_deliver(self) -> None:
        """Whatever an attempt raises or returns that is no outcome, the message is kept and tried
        again, nothing of it is told, and others go on."""
        outcomes: Sequence[Callable[[Message], Any]] = (
            lambda m: fail(ValueError("to bob@x.test: hello")),
            lambda m: EMPTY["bob@x.test"],
            lambda m: exec("raise SystemExit('bob@x.test')"),
            lambda m: exec("raise KeyboardInterrupt"),
            lambda m: None,
            lambda m: "delivered",
            lambda m: Outcome("delivered", "bob@x.test"),  # type: ignore[arg-type]
            lambda m: fail(CancelledError()),
        )
        self.start()
        for act in outcomes:
            self.bad.act = act
            self.offer("bad")
            self.assertEqual(self.delivery.waiting()["bad"], 1)
            self.good_goes_on()
            self.bad.act = lambda m: kit.DELIVERED
            self.clock.advance(kit.POLICY.retry_longest)
            self.assertEqual((self.delivery.waiting()["bad"], self.store.records), (0, {}))
        self.nothing_told()

    def test_reasons(self) -> None:
        """A reason that is no word is not told; many different ones fill no memory."""
        reasons = iter(["to bob@x.test", "x" * 50, *(f"word-{n}" for n in range(1000))])
        self.bad.act = lambda m: Outcome(OutcomeKind.PERMANENT, next(reasons))
        self.start()
        for _ in range(1002):
            self.offer("bad")
        counts = self.delivery.tallies()["bad"]
        self.assertLessEqual(len(counts), MOST + len(OutcomeKind))
        self.assertEqual(sum(counts.values()), 1002)
        self.assertEqual(counts["permanent-unspoken"], 2)
        self.assertEqual(self.delivery.tallies()["good"], {})
        self.nothing_told()

    def test_check(self) -> None:
        """What checking raises refuses that message alone."""
        self.patch(self.bad, "check", lambda *a: EMPTY["bob@x.test"])
        self.start()
        self.assertEqual(self.accept("bad"), "exit-fault")
        self.patch(self.bad, "check", lambda *a: ["bob@x.test"])
        self.assertEqual(self.accept("bad"), "unspoken")
        self.good_goes_on()
        self.nothing_told()

    def test_start_and_stop(self) -> None:
        """What starting raises is tried again, what stopping raises is left; nobody waits."""
        starts = [fail(ValueError("bob@x.test")), fail(CancelledError()), succeed(None)]
        self.patch(self.bad, "start", lambda: starts.pop(0))
        self.patch(self.bad, "stop", lambda: EMPTY["bob@x.test"])
        self.start()
        self.offer("bad")
        self.good_goes_on()
        self.clock.advance(3 * SWEEP)
        self.assertEqual(len(self.bad.seen), 1)
        self.successResultOf(ensureDeferred(self.delivery.stop()))
        self.assertEqual(self.good.stopped, 1)
        self.nothing_told()


class HangTests(MisbehavingCase):
    expiry = 10 * LONGEST_ATTEMPT

    def test_deliver(self) -> None:
        """An attempt that never ends, even when it is told to, is given up in time; the exit's
        other messages get their turn, and others never wait."""
        deaf = Deaf()
        self.bad.act = lambda m: ensureDeferred(deaf())
        self.start()
        for _ in range(3):
            self.offer("bad")
        self.assertEqual(len(self.bad.seen), kit.POLICY.concurrency)
        self.good_goes_on()
        self.clock.advance(LONGEST_ATTEMPT + 1)
        self.assertGreater(len(self.bad.seen), kit.POLICY.concurrency)
        self.good_goes_on()

    def test_start(self) -> None:
        """A start that hangs keeps no other exit from starting."""
        self.patch(self.bad, "start", Deferred)
        started = ensureDeferred(self.delivery.start())
        self.assertNoResult(started)
        self.good_goes_on()
        self.clock.advance(2 * LONGEST_STOP)
        self.successResultOf(started)

    def test_stop(self) -> None:
        """A stop ends, though a module neither stops nor gives up its attempts."""
        deaf = Deaf()
        self.bad.act = lambda m: ensureDeferred(deaf())
        self.patch(self.bad, "stop", lambda: ensureDeferred(deaf()))
        self.start()
        self.offer("bad")
        stopped = ensureDeferred(self.delivery.stop())
        self.assertEqual(self.good.stopped, 1)
        self.clock.advance(2 * LONGEST_STOP)
        self.successResultOf(stopped)
        self.assertEqual(len(self.store.records), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LeakTests(MisbehavingCase):
    def test_attempts(self) -> None:
        """A module that keeps every message it was given keeps messages, and nothing of ours: no
        attempt, timer or record is left behind."""
        kept: list[Message] = []

        def keep(message: Message) -> Outcome:
            kept.append(message)
            return kit.DELIVERED

        self.bad.act = keep
        self.start()
        for _ in range(500):
            self.offer("bad")
        [lane, _] = self.delivery._lanes.values()
        self.assertEqual((len(kept), len(lane), lane._attempts), (500, 0, set()))
        self.assertEqual(self.store.records, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_store(self) -> None:
        """One whose messages all wait takes no other exit's turn, and is rid of them in the end."""
        self.bad.act = lambda m: Outcome(OutcomeKind.TEMPORARY, "later")
        self.start()
        for _ in range(200):
            self.offer("bad")
        self.good_goes_on()
        self.clock.advance(self.bad.policy.expiry + 2 * SWEEP)
        self.assertEqual((self.delivery.waiting()["bad"], self.store.records), (0, {}))
        self.assertEqual(self.counters[Name.EXPIRED], 200)


class NamesTests(SyncTestCase):
    def test_two_of_one_module(self) -> None:
        """One module under two names: each with its own limits, policy, pauses and counters."""
        text = (
            "[Exit near]\nmodule = smtp\ndomain = near.test\nmax-message = 2 KiB\nconcurrency = 1\n"
            "[Exit far]\nmodule = smtp\ndomain = far.test\nretry-first = 1 hour\nallow-from = yes\n"
        )
        modules = kit.MODULES
        exits = registry.load(kit.config(text), kit.Environment(HeapClock()), modules)
        near, far = exits["near"], exits["far"]
        self.assertEqual((near.domain, far.domain), ("near.test", "far.test"))
        self.assertEqual((near.policy.concurrency, far.policy.concurrency), (1, 4))
        self.assertEqual((near.policy.retry_first, far.policy.retry_first), (300.0, 3600.0))
        self.assertEqual(near.describe()["max-message"], 2048)
        self.assertTrue(far.describe()["allow-from"])
        content = b"\r\n" + b"x" * 3000
        self.assertEqual(near.check(["bob@x.test"], content, False), "too-large")
        self.assertIsNone(far.check(["bob@x.test"], content, False))

    def test_counted_apart(self) -> None:
        """What becomes of the messages of each is counted under its name."""
        store, counters, random = kit.MemoryStore(), Counters(), SeededRandom(b"names")
        exits = {name: kit.ScriptedExit(name=name) for name in ("near", "far")}
        exits["far"].act = lambda m: Outcome(OutcomeKind.PERMANENT, "smtp-550")
        delivery = Delivery(exits, store, HeapClock(), random, counters, "mix.test")
        self.successResultOf(ensureDeferred(delivery.start()))
        for name in ("near", "far", "far"):
            octets = message.encode(name, [], b"x")
            body = frame.encode(frame.Kind.MESSAGE, octets, 500, random)
            accepted = delivery.accept(body, 0.0)
            assert isinstance(accepted, Accepted)
            delivery.offer(store.put(accepted.record), accepted.destination, 0.0)
        self.assertEqual(
            delivery.tallies(),
            {"near": {"delivered-smtp-250": 1}, "far": {"permanent-smtp-550": 2}},
        )
        self.assertEqual((counters[Name.DELIVERED], counters[Name.FAILED]), (1, 2))
