"""Who is blocked gets nothing: not what arrives for them, and not what was queued before."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import ensureDeferred
from zope.interface.verify import verifyObject

from mixminion.counters import Counters, Name
from mixminion.disk.database import InlineExecutor
from mixminion.exits.blocking import Blocking, Origin
from mixminion.exits.guard import Guard
from mixminion.interfaces import IExit, Message, Outcome, OutcomeKind
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.exits import kit

BLOCKED = Outcome(OutcomeKind.PERMANENT, "blocked")


class GuardCase(SyncTestCase):
    """A guarded exit with a mind of its own."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(mode=0o700)
        self.blocking = Blocking(folder / "list", bytes(32), [], HeapClock(1_800_000_000.0))
        self.blocking.open(InlineExecutor())
        self.addCleanup(lambda: ensureDeferred(self.blocking.close()))
        self.exit = kit.ScriptedExit()
        self.counters = Counters()
        self.guard = Guard(self.exit, self.blocking, self.counters)

    def block(self, name: str) -> None:
        entry = self.blocking.hashed(name)
        self.successResultOf(ensureDeferred(self.blocking.add(entry, Origin.LINK)))

    def deliver(self, *names: str) -> Outcome:
        message = Message("test", names, b"text", None, "<1@mix.test>", 1_800_000_000)
        return self.successResultOf(ensureDeferred(self.guard.deliver(message)))

    @property
    def reached(self) -> list[str]:
        """Who got something."""
        return [name for message in self.exit.seen for name in message.recipients]


class GuardTests(GuardCase):
    def test_like_any_exit(self) -> None:
        """It is one, and passes on what its exit says and is asked."""
        verifyObject(IExit, self.guard)
        self.assertEqual((self.guard.name, self.guard.policy), ("test", kit.POLICY))
        self.assertEqual(self.guard.describe(), self.exit.describe())
        self.exit.refusal = "too-large"
        self.assertEqual(self.guard.check(["a@x.test"], b"", False), "too-large")
        for call in (self.guard.start, self.guard.stop):
            self.successResultOf(ensureDeferred(call()))
        self.assertEqual((self.exit.started, self.exit.stopped), (1, 1))

    def test_before_the_queue(self) -> None:
        """A message for nobody but the blocked is refused, and counted."""
        self.block("bob@x.test")
        self.assertEqual(self.guard.check(["Bob@x.test"], b"", False), "blocked")
        self.assertIsNone(self.guard.check(["bob@x.test", "eve@x.test"], b"", False))
        self.assertIsNone(self.guard.check(["eve@x.test"], b"", True))
        self.assertEqual(self.counters[Name.BLOCKED], 1)

    def test_from_the_queue(self) -> None:
        """Who wants no mail since it was queued gets none; the others do."""
        self.assertEqual(self.deliver("bob@x.test"), kit.DELIVERED)
        self.block("bob@x.test")
        self.assertEqual(self.deliver("bob@x.test"), BLOCKED)
        self.assertEqual(self.deliver("bob@x.test", "eve@x.test"), kit.DELIVERED)
        self.assertEqual(self.reached, ["bob@x.test", "eve@x.test"])
        self.assertEqual(self.counters[Name.BLOCKED], 2)

    def test_no_addresses(self) -> None:
        """Other names than addresses pass."""
        self.assertEqual(self.deliver("alt.test"), kit.DELIVERED)
        self.assertEqual(self.reached, ["alt.test"])
