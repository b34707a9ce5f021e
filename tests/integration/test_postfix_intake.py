"""Mail to an exit's own domain, which a real Postfix hands over by LMTP: a bounce, opting out by
mail with a confirmation, a complaint."""

from __future__ import annotations

import email
import email.policy
import smtplib
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher
from typing_extensions import override

from mixminion.config import parse
from mixminion.counters import Counters, Name
from mixminion.crypto.rng import SystemRandom
from mixminion.exits import registry
from mixminion.exits.abuse import AbuseSection
from mixminion.exits.blocking import DAY
from mixminion.exits.desk import Desk
from mixminion.exits.lmtp_intake import LmtpFactory
from mixminion.exits.ports import Port
from mixminion.interfaces import IExit, Message, Outcome, OutcomeKind
from mixminion.testing.cases import AsyncTestCase
from tests.exits import kit
from tests.integration.postfix import Postfix, free_ports

reactor: Any = installed

BOB, ALICE, GONE = "bob@example.test", "alice@example.test", "gone@away.test"
BLOCKED = Outcome(OutcomeKind.PERMANENT, "blocked")


class WithIntake(Postfix):
    """Mail for mix.test goes to an exit by LMTP, for away.test to a server that knows nobody."""

    @override
    def _configure(self) -> None:
        self.intake_port, self.away_port = free_ports(2)
        super()._configure()
        etc = self.base / "etc"
        with (etc / "main.cf").open("a") as file:
            file.write(
                "relay_domains = mix.test, away.test\n"
                "recipient_delimiter = +\n"
                f"transport_maps = texthash:{etc}/transport\n"
                f"relay_recipient_maps = texthash:{etc}/relayed\n"
            )
        with (etc / "master.cf").open("a") as file:
            file.write("lmtp unix - - n - - lmtp\n")
        (etc / "transport").write_text(
            f"mix.test lmtp:inet:127.0.0.1:{self.intake_port}\n"
            f"away.test lmtp:inet:127.0.0.1:{self.away_port}\n"
        )
        known = ("bounce", "opt-out", "abuse", "postmaster")
        (etc / "relayed").write_text(
            "".join(f"{name}@mix.test x\n" for name in known) + "@away.test x\n"
        )


class Nobody:
    """Knows nobody, but not before there is a mail."""

    def knows(self, recipient: str) -> bool:
        return True

    async def take(self, sender: str, recipient: str, octets: bytes) -> int:
        return 550


class IntakeTests(AsyncTestCase):
    timeout = 120

    @override
    async def setUp(self) -> None:  # type: ignore[override]
        self.logged = kit.Events()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)
        self.postfix = WithIntake()
        self.addCleanup(self.postfix.stop)
        nobody = LmtpFactory(Nobody(), "away.test", reactor)
        where = f"tcp:{self.postfix.away_port}:interface=127.0.0.1"
        port = Port(reactor, "the other server", where, nobody, 10)
        await port.start()
        self.addCleanup(port.stop)
        home = Path(self.mktemp()).absolute()
        (home / "keys").mkdir(parents=True, mode=0o700)
        home.chmod(0o700)
        text = (
            f"[Abuse]\nmail-listen = tcp:{self.postfix.intake_port}:interface=127.0.0.1\n"
            f"complaints-to = {ALICE}\n"
        )
        config = parse(text, filename=str(home / "conf"), sections=[AbuseSection])
        self.counters = Counters()
        self.desk = Desk(
            home,
            config[AbuseSection],
            reactor,
            SystemRandom(),
            self.counters,
            domains={"mix.test"},
            contact="operator <alice@example.test>",
        )
        self.exit = self.make_exit()
        self.desk.start()
        self.addCleanup(self.desk.stop)
        self.addCleanup(self.exit.stop)

    def make_exit(self) -> IExit:
        section = kit.config(
            "[Exit smtp]\nmodule = smtp\ndomain = mix.test\ntls = required\n"
            f"ca-file = {self.postfix.ca_file}\nrelay = 127.0.0.1:{self.postfix.port}\n"
            f"{kit.NO_LIMITS}\n"
        )
        environment = kit.Environment(reactor)
        [exit] = registry.load(section, environment, kit.MODULES, self.desk.guard).values()
        return exit

    async def hand_over(self, *names: str, n: int = 1) -> Outcome:
        """A mail from the exit."""
        content = b"Subject: Hello\r\n\r\nHello.\r\n"
        message = Message("smtp", names, content, None, f"<{n}@mix.test>", 1_800_000_000)
        outcome: Outcome = await self.exit.deliver(message)
        return outcome

    async def write(self, sender: str, recipient: str, subject: str) -> None:
        """A mail from a person, whom Postfix knows."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = sender, recipient, subject
        mail.set_content("Please.\n")

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", self.postfix.plain_port, timeout=20) as client:
                client.send_message(mail, sender, [recipient])

        await deferToThread(send)

    async def until(self, true: Callable[[], object], complaint: str) -> None:
        for _ in range(400):
            if true():
                return
            await deferLater(reactor, 0.05)
        self.fail(f"{complaint}\n{self.postfix.log}")

    async def arrived(self, user: str, n: int = 1) -> list[EmailMessage]:
        """The mails that *user* has, when there are so many."""
        await self.until(lambda: len(self.postfix.mails(user)) == n, f"{user} has no mail")
        return [
            email.message_from_bytes(each, policy=email.policy.default)
            for each in self.postfix.mails(user)
        ]

    async def test_bounce(self) -> None:
        """A mail that comes back is counted for its recipient, who is blocked after some days."""
        self.assertEqual((await self.hand_over(GONE)).kind, OutcomeKind.DELIVERED)
        entry, bounces = self.desk.blocking.hashed(GONE), self.desk.blocking._bounces
        await self.until(lambda: entry in bounces, "nothing came back")
        self.assertEqual(self.counters[Name.BOUNCED], 1)
        self.assertFalse(self.desk.blocking.refuse(GONE))
        days, today = bounces[entry]
        self.assertEqual(days, 1)
        bounces[entry] = (days + 1, today - DAY)  # as if on two days before
        self.assertEqual((await self.hand_over(GONE, n=2)).kind, OutcomeKind.DELIVERED)
        await self.until(lambda: self.desk.blocking.refuse(GONE), "it is not blocked")
        self.assertEqual(await self.hand_over(GONE, n=3), BLOCKED)
        self.assertNoNames("gone@", "away.test")

    async def test_opting_out(self) -> None:
        """Asked for, confirmed, and then nothing more; a mail's own address does it at once."""
        await self.hand_over(BOB, ALICE)
        [mail] = await self.arrived("bob")
        self.assertRegex(str(mail["Return-Path"]), r"^<bounce\+[a-z2-7]{55}@mix\.test>$")
        self.assertNotIn("List-Unsubscribe-Post", mail)

        await self.write(BOB, "opt-out@mix.test", "no more of that")
        mails = await self.arrived("bob", 2)
        [question] = [each for each in mails if "Confirm: " in each["Subject"]]
        self.assertEqual(question["Return-Path"], "<>")
        self.assertEqual(question["From"], "No more mail <opt-out@mix.test>")
        self.assertFalse(self.desk.blocking.refuse(BOB))
        await self.write(BOB, "opt-out@mix.test", f"Re: {question['Subject']}")
        await self.until(lambda: self.desk.blocking.refuse(BOB), "he is not on the list")
        self.assertEqual(await self.hand_over(BOB, n=2), BLOCKED)

        [mail] = await self.arrived("alice")
        where, _, token = str(mail["List-Unsubscribe"]).strip("<>").partition("?subject=")
        await self.write("someone@example.test", where.removeprefix("mailto:"), token)
        await self.until(lambda: self.desk.blocking.refuse(ALICE), "she is not on the list")
        self.assertEqual(self.counters[Name.OPTED_OUT], 2)
        self.assertNoNames("bob@", "alice@", token)

    async def test_complaint(self) -> None:
        """It is passed on; to another name Postfix takes nothing."""
        await self.write(BOB, "Abuse@mix.test", "what is this")
        [mail] = await self.arrived("alice")
        self.assertEqual(mail["From"], "Mixminion exit <abuse@mix.test>")
        self.assertEqual(mail["Return-Path"], "<>")
        [enclosed] = mail.iter_parts()
        self.assertEqual(enclosed["Subject"], "what is this")
        with self.assertRaises(smtplib.SMTPRecipientsRefused):
            await self.write(BOB, "anonymous@mix.test", "hello")
        self.assertNoNames("bob@")

    def assertNoNames(self, *names: str) -> None:
        """Nothing of them is in our log."""
        said = " ".join(str(event) for event in self.logged.seen)
        for name in names:
            self.assertNotIn(name, said)
