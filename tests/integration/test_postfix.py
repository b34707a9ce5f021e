"""Mail into a real Postfix, under TLS: what arrives is what was sent."""

from __future__ import annotations

import email
import email.policy
import random
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import DeferredList, ensureDeferred
from twisted.internet.task import deferLater
from typing_extensions import override

from mixminion.counters import Counters, Name
from mixminion.crypto.rng import SeededRandom
from mixminion.exits import record, registry
from mixminion.exits.delivery import Delivery
from mixminion.exits.smtp import SmtpExit
from mixminion.interfaces import Accepted, Message, Outcome, OutcomeKind
from mixminion.mail import data
from mixminion.mail.data import canonical
from mixminion.payload import frame, message
from mixminion.testing.cases import AsyncTestCase
from mixminion.util import armor
from tests.exits import kit
from tests.integration.postfix import Postfix

reactor: Any = installed

BOB = "bob@example.test"
LATE = 60.0


def body(mail: bytes) -> bytes:
    return mail.partition(b"\r\n\r\n")[2]


def message_id(mail: bytes) -> str:
    return str(email.message_from_bytes(mail, policy=email.policy.default)["Message-ID"])


class PostfixCase(AsyncTestCase):
    timeout = 300

    @override
    def setUp(self) -> None:
        self.postfix = Postfix()
        self.addCleanup(self.postfix.stop)

    def exit(self, keys: str = "", *, seven_bit: bool = False) -> SmtpExit:
        """An exit that relays to this Postfix and checks its certificate."""
        port = self.postfix.seven_bit_port if seven_bit else self.postfix.port
        text = (
            "[Exit smtp]\nmodule = smtp\ndomain = mix.test\nmax-message = 8 MB\ntls = required\n"
            f"ca-file = {self.postfix.ca_file}\nrelay = 127.0.0.1:{port}\n{kit.NO_LIMITS}\n{keys}"
        )
        [exit] = registry.load(kit.config(text), kit.Environment(reactor), kit.MODULES).values()
        assert isinstance(exit, SmtpExit)
        self.addCleanup(lambda: ensureDeferred(exit.stop()))
        return exit

    async def send(self, exit: SmtpExit, contents: Sequence[bytes]) -> dict[str, bytes]:
        """Send them, four at once; what arrived, by Message-ID of their number."""
        messages = [
            Message("smtp", (BOB,), content, None, f"<{n}@mix.test>", 1_800_000_000 + n)
            for n, content in enumerate(contents)
        ]
        for start in range(0, len(messages), 4):
            batch = [ensureDeferred(exit.deliver(each)) for each in messages[start : start + 4]]
            for ok, outcome in await DeferredList(batch, consumeErrors=True):
                self.assertEqual((ok, outcome), (True, kit.DELIVERED))
        arrived = await self.arrived(len(contents))
        return {message_id(mail): mail for mail in arrived}

    async def arrived(self, n: int, user: str = "bob") -> list[bytes]:
        """Wait for *n* mails of *user*'s, and a little longer for any that nobody sent."""
        waited = 0.0
        while len(self.postfix.mails(user)) < n and waited < LATE:
            await deferLater(reactor, 0.1)
            waited += 0.1
        await deferLater(reactor, 0.3)
        mails = self.postfix.mails(user)
        self.assertEqual(len(mails), n)
        return mails


def mime_message() -> bytes:
    """About 20 KB: accents in 8 bits, an attachment, and dots of every kind on every octet
    round the first 16,384-octet border of what goes over the wire."""
    mail = EmailMessage(policy=email.policy.SMTP.clone(cte_type="8bit"))
    mail["Subject"] = "Grüße aus Köln"
    mail["To"] = BOB
    dots = "".join(f"{'.' * (1 + n % 3)}\r\n" for n in range(400))
    mail.set_content("Voilà l'été, ä ö ü.\r\n" + "Zeile um Zeile\r\n" * 950 + dots, cte="8bit")
    mail.add_attachment(bytes(range(256)) * 10, "application", "octet-stream", filename="a.bin")
    return mail.as_bytes()


class PostfixTests(PostfixCase):
    async def test_mime_message(self) -> None:
        """From an opened payload to the Maildir: a MIME message of 20 KB arrives with its body
        identical, under TLS, with the Message-ID and Date that were stored."""
        content = mime_message()
        self.assertTrue(18_000 < len(content) < 24_000)
        random_ = SeededRandom(b"postfix")
        store, counters = kit.MemoryStore(), Counters()
        exit = self.exit()
        delivery = Delivery({"smtp": exit}, store, reactor, random_, counters, "mix.test")
        await delivery.start()
        octets = message.encode("smtp", [BOB], content)
        payload = frame.encode(frame.Kind.MESSAGE, octets, 26_774, random_)
        accepted = delivery.accept(payload, 1_800_000_000.9)
        assert isinstance(accepted, Accepted)
        stored = record.decode(accepted.record)
        wire = data.encode(exit._mail(stored).octets())
        self.assertEqual(wire[16_374:16_394].strip(b".\r\n"), b"")
        delivery.offer(store.put(accepted.record), accepted.destination, reactor.seconds())
        [mail] = await self.arrived(1)
        await delivery.stop()
        self.assertEqual(body(mail), body(content))
        self.assertEqual(message_id(mail), stored.message_id)
        parsed = email.message_from_bytes(mail, policy=email.policy.default)
        self.assertEqual(parsed["Date"], "Fri, 15 Jan 2027 08:00:00 +0000")
        self.assertEqual(parsed["Subject"], "Grüße aus Köln")
        self.assertEqual(parsed["From"], "Anonymous <anonymous@mix.test>")
        self.assertEqual(parsed["Return-Path"], "<anonymous@mix.test>")
        self.assertIn("ESMTPS", str(parsed["Received"]))
        [attachment] = parsed.iter_attachments()
        self.assertEqual(attachment.get_content(), bytes(range(256)) * 10)
        self.assertEqual((store.records, counters[Name.DELIVERED]), ({}, 1))

    async def test_random_bodies(self) -> None:
        """Of 400 random bodies of line ends, dots and any octets but NUL, none differs."""
        draw = random.Random(11)
        parts = [b"\r", b"\n", b"\r\n", b".", b"..", b"\r\n.\r\n", b"\n.\n", b"From x", b" "]
        contents = []
        for _ in range(400):
            some = [*parts, bytes(draw.choices(range(1, 256), k=5)), b"x" * draw.randrange(70)]
            lines = b"\n".join(
                b"".join(draw.choices(some, k=draw.randrange(12)))
                for _ in range(draw.randrange(60))
            )
            contents.append(b"\n" + lines)
        arrived = await self.send(self.exit(), contents)
        differ = [
            n
            for n, content in enumerate(contents)
            if body(arrived[f"<{n}@mix.test>"]) != canonical(content[1:])
        ]
        self.assertEqual(differ, [])

    async def test_chunk_borders(self) -> None:
        """A lone dot begins at offsets -3..+3 round every multiple of 16,384 octets on the wire,
        in mails of 1 MB, with SMTP commands below it: as many mails arrive as were sent,
        identical."""
        exit = self.exit()
        head = len(exit._mail(Message("smtp", (BOB,), b"\n", None, "<0@mix.test>", 1)).octets())
        contents = []
        for shift in range(-3, 4):
            made = bytearray()
            for border in range(16384, 2**20, 16384):
                wanted = border + shift - head - len(made) - made.count(b".")
                made += filled(wanted) + b".\r\nMAIL FROM:<eve@example-test>\r\n"
            contents.append(b"\r\n" + bytes(made))
        arrived = await self.send(exit, contents)
        for n, content in enumerate(contents):
            self.assertEqual(body(arrived[f"<{n}@mix.test>"]), content[2:])

    async def test_what_cannot_travel(self) -> None:
        """NULs and long lines, and 8 bits to a server without 8BITMIME, arrive re-encoded: the
        reader gets the same octets."""
        head = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
        contents = [head + each for each in (b"a\0b\r\n", "ä".encode() * 1000 + b"\r\n", b"ok\r\n")]
        for seven_bit in (False, True):
            arrived = await self.send(self.exit(seven_bit=seven_bit), contents)
            for n, content in enumerate(contents):
                parsed = email.message_from_bytes(arrived[f"<{n}@mix.test>"])
                payload = parsed.get_payload(decode=True)
                assert isinstance(payload, bytes)
                self.assertEqual(canonical(payload), body(content))
            self.postfix.clear()

    async def test_reply(self) -> None:
        """A reply arrives as an armored block with its SURB id."""
        sealed = SeededRandom(b"sealed").octets(26_806)
        outcome = await self.exit().deliver(
            Message("smtp", (BOB,), sealed, b"s" * 16, "<0@mix.test>", 1_800_000_000)
        )
        self.assertEqual(outcome, kit.DELIVERED)
        [mail] = await self.arrived(1)
        [block] = armor.decode(body(mail).decode())
        self.assertEqual((block.headers, block.octets), ({"SURB-ID": "73" * 16}, sealed))

    async def test_refused(self) -> None:
        """Unknown users and foreign domains fail for good."""
        exit = self.exit()

        for recipient, reason in (
            ("nobody@example.test", "smtp-550"),
            ("bob@elsewhere.test", "smtp-554"),
        ):
            mail = Message("smtp", (recipient,), b"\nx", None, "<0@mix.test>", 1)
            outcome = await exit.deliver(mail)
            self.assertEqual(outcome, Outcome(OutcomeKind.PERMANENT, reason))


def filled(size: int) -> bytes:
    """Whole lines, *size* octets of them."""
    lines = (b"x" * 98 + b"\r\n") * (size // 100 - 1)
    return lines + b"y" * (size - len(lines) - 2) + b"\r\n"
