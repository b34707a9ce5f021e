"""Who is blocked gets nothing: not what arrives for them, and not what was queued before."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import ensureDeferred
from zope.interface.verify import verifyObject

from mixminion.counters import Counters, Name
from mixminion.disk.database import InlineExecutor
from mixminion.exits import templates
from mixminion.exits.blocking import Blocking, Origin
from mixminion.exits.guard import Guard
from mixminion.exits.marks import Marks
from mixminion.exits.tokens import Tokens
from mixminion.interfaces import IExit, Message, Outcome, OutcomeKind
from mixminion.mail import address
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.exits import kit

TEMPORARY = Outcome(OutcomeKind.TEMPORARY, "smtp-450")
REFUSED = Outcome(OutcomeKind.PERMANENT, "smtp-550")
BLOCKED = Outcome(OutcomeKind.PERMANENT, "blocked")


class GuardCase(SyncTestCase):
    """A guarded exit with a mind of its own."""

    url: str | None = None
    mail = False

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(mode=0o700)
        clock = HeapClock(1_800_000_000.0)
        self.blocking = Blocking(folder / "list", bytes(32), [], clock)
        self.blocking.open(InlineExecutor())
        self.addCleanup(lambda: ensureDeferred(self.blocking.close()))
        self.exit = kit.ScriptedExit()
        self.counters = Counters()
        tokens = Tokens(bytes(32))
        self.marks = Marks(
            tokens, lambda: templates.read(None), clock, "me@x.test", self.url, self.mail
        )
        self.guard = Guard(self.exit, self.blocking, self.marks, self.counters)

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


class MarkTests(GuardCase):
    url = "https://mix.test/no-more"
    mail = True

    def setUp(self) -> None:
        super().setUp()
        self.exit.domain = "mix.test"
        self.guard = Guard(self.exit, self.blocking, self.marks, self.counters)

    def test_fields(self) -> None:
        """Each of several recipients gets a mail of his own, with his own link; the same when it is
        handed over again."""
        self.deliver("bob@x.test", "eve@x.test")
        self.deliver("bob@x.test")
        self.assertEqual(self.reached, ["bob@x.test", "eve@x.test", "bob@x.test"])
        first, second, again = self.exit.seen
        self.assertEqual(first, again)
        tokens = self.marks.tokens
        for message in (first, second):
            fields = dict(message.fields)
            self.assertEqual(list(fields), ["List-Unsubscribe", "List-Unsubscribe-Post"])
            self.assertEqual(fields["List-Unsubscribe-Post"], "List-Unsubscribe=One-Click")
            link, mail = fields["List-Unsubscribe"].split(", ")
            token = link.removeprefix(f"<{self.url}/").removesuffix(">")
            self.assertEqual(mail, f"<mailto:opt-out@mix.test?subject={token}>")
            entry = self.blocking.hashed(message.recipients[0])
            self.assertEqual(tokens.from_link(token), entry)
            self.assertIn(f"{self.url}/{token}", message.footer.splitlines())
            local_part = str(address.parse(message.return_path or "").local_part)
            now = self.marks.clock.seconds()
            self.assertEqual(tokens.from_bounce(local_part.partition("+")[2], now), entry)
        self.assertNotEqual(first.fields, second.fields)

    def test_several(self) -> None:
        """Who is done with is not tried again; one outcome stands for all."""
        ends = {"a@x.test": kit.DELIVERED, "b@x.test": TEMPORARY, "c@x.test": REFUSED}
        self.exit.act = lambda message: ends[message.recipients[0]]
        self.block("d@x.test")
        names = (*ends, "d@x.test")
        self.assertEqual(self.deliver(*names), TEMPORARY)
        ends["b@x.test"] = kit.DELIVERED
        self.assertEqual(self.deliver(*names), Outcome(OutcomeKind.DELIVERED, "in-part"))
        self.assertEqual(self.reached, ["a@x.test", "b@x.test", "c@x.test", "b@x.test"])

    def test_away(self) -> None:
        """A far side that is away is not asked once for each."""
        away = Outcome(OutcomeKind.UNREACHABLE, "refused")
        self.exit.act = lambda message: away
        self.assertEqual(self.deliver("a@x.test", "b@x.test"), away)
        self.assertEqual(self.reached, ["a@x.test"])

    def test_no_addresses(self) -> None:
        """A local name has no link."""
        for name in ("bob", "bob.smith"):
            self.deliver(name)
            message = self.exit.seen.pop()
            self.assertEqual((message.fields, message.footer, message.return_path), ((), "", None))

    def test_newsgroups(self) -> None:
        """The newsgroups of one article stay together: it is one article, under one Message-ID."""
        self.deliver("misc.test", "comp.test")
        [message] = self.exit.seen
        self.assertEqual(message.recipients, ("misc.test", "comp.test"))
        self.assertEqual(message.fields, ())
