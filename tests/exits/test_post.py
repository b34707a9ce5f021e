"""Mail to an exit's own domain: who is blocked by it, who is answered, and who never is."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import ensureDeferred

from mixminion.counters import Counters, Name
from mixminion.disk.database import InlineExecutor
from mixminion.exits import post, templates
from mixminion.exits.blocking import DAY, FORGOTTEN, Blocking, Origin
from mixminion.exits.post import BLOCKED_FOR, SHOWN_FROM, Post
from mixminion.exits.tokens import LONGEST_BOUNCE, Tokens
from mixminion.interfaces import Outcome, OutcomeKind
from mixminion.mail.compose import Mail
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from tests.exits import kit
from tests.exits.test_letters import report

OPT_OUT = "opt-out@mix.test"
AWAY = Outcome(OutcomeKind.UNREACHABLE, "refused")


def asking(author: str = "Bob <bob@x.test>", *more: str, subject: str = "no more") -> bytes:
    lines = [f"From: {author}", f"Subject: {subject}", *more, "", "Please.", ""]
    return "\r\n".join(lines).encode()


class PostCase(SyncTestCase):
    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(mode=0o700)
        self.clock = HeapClock(1_800_000_000.0)
        self.path = folder / "list"
        self.blocking = Blocking(self.path, bytes(32), [], self.clock)
        self.blocking.open(InlineExecutor())
        self.tokens = Tokens(bytes(range(32)))
        self.counters = Counters()
        self.sent: list[tuple[str, str, Mail]] = []
        self.outcome = kit.DELIVERED
        self.post = self.make()

    def make(self) -> Post:
        return Post(
            domains={"mix.test", "other.test"},
            contact="me@home.test",
            told="operator <me@home.test>",
            blocking=self.blocking,
            tokens=self.tokens,
            templates=lambda: templates.read(None),
            send=self.send,
            counters=self.counters,
            clock=self.clock,
        )

    async def send(self, domain: str, recipient: str, mail: Mail) -> Outcome:
        self.sent.append((domain, recipient, mail))
        return self.outcome

    def take(self, recipient: str, octets: bytes, sender: str = "bob@x.test") -> int:
        return self.successResultOf(ensureDeferred(self.post.take(sender, recipient, octets)))

    def field(self, mail: Mail, name: str) -> str:
        return next(field.value for field in mail.fields if field.name == name)

    def returning(self, name: str = "bob@x.test") -> str:
        """Where a mail to *name* comes back to."""
        token = self.tokens.bounce(self.blocking.hashed(name), self.clock.seconds())
        return f"bounce+{token}@mix.test"


class KnownTests(PostCase):
    def test_known(self) -> None:
        """Our offices and what comes back; nobody else, and no other domain."""
        for name in (OPT_OUT, "Abuse@MIX.test", "postmaster@other.test", self.returning().upper()):
            self.assertTrue(self.post.knows(name), name)
        old = self.returning()
        self.clock.advance((LONGEST_BOUNCE + 1) * DAY)
        for name in (
            *("bob@mix.test", "abuse@x.test", "bounce@mix.test", "bounce+x@mix.test", "abuse", ""),
            *(old, "opt-out+" + old.partition("+")[2]),
        ):
            self.assertFalse(self.post.knows(name), name)
        self.assertEqual(self.take(old, report("failed", "5.1.1")), 550)


class BounceTests(PostCase):
    def bounce(self, status: str = "5.1.1", name: str = "bob@x.test") -> None:
        text = report("failed", status, f"rfc822; {name}")
        self.assertEqual(self.take(self.returning(name), text, sender=""), 250)

    def test_blocked_for_some_time(self) -> None:
        """After bounces on three days; many on one day are one; a restart forgets none."""
        for day in range(3):
            self.assertFalse(self.blocking.refuse("bob@x.test"), day)
            self.bounce()
            self.bounce()
            self.successResultOf(ensureDeferred(self.blocking.close()))
            self.blocking = Blocking(self.path, bytes(32), [], self.clock)
            self.blocking.open(InlineExecutor())
            self.post = self.make()
            self.clock.advance(DAY)
        self.assertTrue(self.blocking.refuse("bob@x.test"))
        [entry] = self.blocking.entries.values()
        self.assertIs(entry.origin, Origin.BOUNCE)
        self.clock.advance(BLOCKED_FOR)
        self.assertFalse(self.blocking.refuse("bob@x.test"))
        self.assertEqual(self.counters[Name.BOUNCED], 6)
        self.assertEqual(self.sent, [])

    def test_not_blocked(self) -> None:
        """By mail that is refused for what it is, that is late, or whose bounces are far apart."""
        for status in ("5.7.1", "4.4.1", "5.1.1"):
            for _ in range(4):
                self.bounce(status)
                self.clock.advance(DAY if status != "5.1.1" else FORGOTTEN + DAY)
        self.assertEqual(self.blocking.entries, {})
        self.assertEqual(self.counters[Name.BOUNCED], 8)

    def test_domains(self) -> None:
        """A domain is named when enough of its recipients bounce; a forged bounce names nobody."""
        for n in range(SHOWN_FROM):
            self.assertEqual(self.post.bouncing, {})
            self.bounce("5.7.1", f"user{n}@x.test")
            self.take(self.returning(f"user{n}@y.test"), report("failed", "5.7.1"), sender="")
        self.assertEqual(self.post.bouncing, {"x.test": SHOWN_FROM})


class OptOutTests(PostCase):
    def test_confirmed(self) -> None:
        """Who asks is asked once; his answer blocks him."""
        self.assertEqual(self.take(OPT_OUT, asking()), 250)
        [(domain, recipient, mail)] = self.sent
        self.assertEqual((domain, recipient), ("mix.test", "bob@x.test"))
        self.assertFalse(self.blocking.refuse("bob@x.test"))
        self.assertEqual(self.field(mail, "Auto-Submitted"), "auto-replied")
        text = mail.octets()
        self.assertIn(b"bob@x.test", text)
        answer = asking("anybody@z.test", subject="Re: " + self.field(mail, "Subject"))
        self.assertEqual(self.take(OPT_OUT, answer), 250)
        self.assertTrue(self.blocking.refuse("bob@x.test"))
        self.assertFalse(self.blocking.refuse("anybody@z.test"))
        self.assertEqual(len(self.sent), 1)
        self.assertEqual(self.counters[Name.OPTED_OUT], 1)
        self.clock.advance(2 * DAY)
        self.take(OPT_OUT, asking())
        self.assertEqual(len(self.sent), 1)

    def test_by_the_token_of_a_mail(self) -> None:
        """As mail programs do for whom the field is a button."""
        token = self.tokens.link(self.blocking.hashed("bob@x.test"), "<1@mix.test>")
        self.assertEqual(self.take(OPT_OUT, asking(subject=token), sender=""), 250)
        self.assertTrue(self.blocking.refuse("bob@x.test"))
        self.assertEqual(self.sent, [])

    def test_never_answered(self) -> None:
        """No bounce, no program, no list, nobody twice a day, none of our own, none without an
        address."""
        self.take(OPT_OUT, asking(), sender="")
        self.take(OPT_OUT, asking("a@x.test", "Auto-Submitted: auto-replied"))
        self.take(OPT_OUT, asking("a@x.test", "List-Id: <l.x.test>"))
        self.take(OPT_OUT, asking("opt-out@other.test"))
        self.take(OPT_OUT, asking("a@x.test, b@x.test"))
        self.take(OPT_OUT, b"no header")
        self.assertEqual(self.sent, [])
        for _ in range(3):
            self.take(OPT_OUT, asking("Bob+x@X.test"))
            self.clock.advance(DAY / 4)
        self.assertEqual(len(self.sent), 1)
        self.clock.advance(DAY)
        self.take(OPT_OUT, asking())
        self.assertEqual(len(self.sent), 2)

    def test_many(self) -> None:
        """So many answers an hour; the mail server keeps the rest for the next."""
        self.patch(post, "ANSWERS_AN_HOUR", 2)
        self.post = self.make()
        codes = [self.take(OPT_OUT, asking(f"u{n}@x.test")) for n in range(3)]
        self.assertEqual((codes, len(self.sent)), ([250, 250, 451], 2))
        self.clock.advance(3600)
        self.assertEqual(self.take(OPT_OUT, asking("u3@x.test")), 250)

    def test_away(self) -> None:
        """An answer that cannot leave is tried again, one that is refused is not."""
        self.outcome = AWAY
        self.assertEqual(self.take(OPT_OUT, asking()), 451)
        self.outcome = Outcome(OutcomeKind.PERMANENT, "smtp-550")
        self.assertEqual(self.take(OPT_OUT, asking()), 250)
        self.assertEqual(len(self.sent), 2)


class OfficeTests(PostCase):
    def test_passed_on(self) -> None:
        """Complaints go to the operator, as they are."""
        self.assertEqual(self.take("Abuse@mix.test", asking()), 250)
        [(domain, recipient, mail)] = self.sent
        self.assertEqual((domain, recipient), ("mix.test", "me@home.test"))
        self.assertEqual(self.field(mail, "Content-Type"), "message/rfc822")
        self.assertEqual(mail.body, asking())

    def test_odd(self) -> None:
        """What cannot be enclosed as a message is a file."""
        long = b"x: y\r\n\r\n" + b"z" * 2000
        for body in (b"Subject: \xff\r\n\r\nx\r\n", long, b"a\0b"):
            self.take("postmaster@mix.test", body)
            mail = self.sent[-1][2]
            self.assertEqual(self.field(mail, "Content-Transfer-Encoding"), "base64")
            self.assertTrue(mail.octets().isascii())

    def test_later(self) -> None:
        """What cannot be passed on stays with the mail server; so many an hour."""
        for self.outcome in (AWAY, Outcome(OutcomeKind.PERMANENT, "smtp-550")):
            self.assertEqual(self.take("abuse@mix.test", asking()), 451)
        self.patch(post, "PASSED_ON_AN_HOUR", 1)
        self.post, self.outcome = self.make(), kit.DELIVERED
        codes = [self.take("abuse@mix.test", asking()) for _ in range(2)]
        self.assertEqual(codes, [250, 451])
