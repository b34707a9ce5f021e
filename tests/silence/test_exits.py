"""The search of :mod:`tests.silence` over exits other than plain mail: local users, news,
mailboxes, the opt-out page, and the mail that comes back."""

from __future__ import annotations

import contextlib
import json
import os
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.protocols.basic import LineReceiver
from typing_extensions import override

from mixminion.crypto import sign
from mixminion.testing.commands import free_port
from mixminion.testing.network import Mix
from tests.silence.test_network import SilenceCase
from tests.silence.world import Talk, World, clock, word

FETCH = b"mmtp-fetch/1"
PLACES = ("maildir", "nofile", "mbox", "lmtp", "address")
BOX, NEWS, HELD = "users", "news", "mailbox"
ROOMS = (
    "mixminion.exits.guard.Guard._hand_over",
    "mixminion.exits.mbox.MboxExit.deliver",
    "mixminion.exits.mbox_places.Places.put",
    "mixminion.exits.lmtp.Lmtp._send",
    "mixminion.exits.nntp.NntpExit.deliver",
    "mixminion.exits.nntp_session.NewsServer._post",
    "mixminion.exits.dialogue.Dialogue.lineReceived",
    "mixminion.exits.mailbox.MailboxExit.deliver",
    "mixminion.exits.mailboxes.Mailboxes._keep",
    "mixminion.exits.page.OptOutPage._page",
    "mixminion.exits.lmtp_intake.LmtpSession.lineReceived",
    "mixminion.exits.lmtp_intake.LmtpSession._answer",
    "mixminion.exits.post.Post.take",
)


class Grumbler(LineReceiver):
    """A news server and one for local delivery, which quotes what it refuses; the first word of
    what it is told decides, and in turn it takes and refuses."""

    def __init__(self, world: ExitWorld) -> None:
        self._world = world
        self._lines: list[bytes] = []
        self._taking = False

    @override
    def connectionMade(self) -> None:
        self.sendLine(b"200 go on" if self._world.news(self.transport) else b"220 go on")

    @override
    def lineReceived(self, line: bytes) -> None:
        self._lines.append(line)
        quoted = b" ".join(self._lines)[-300:]
        if self._taking:
            if line == b".":
                self._taking = False
                self._world.grumbles += 1
                news = self._world.news(self.transport)
                codes = (b"441", b"240", b"400") if news else (b"554", b"250", b"451")
                self.sendLine(codes[self._world.grumbles % 3] + b" " + quoted)
            return
        match line.split(b" ")[0].upper():
            case b"LHLO" | b"MAIL":
                self.sendLine(b"250 well")
            case b"RCPT":
                self._world.grumbles += 1
                answers = (b"250", b"250", b"550", b"250", b"451", b"421")
                self.sendLine(answers[self._world.grumbles % 6] + b" " + quoted)
            case b"DATA":
                self._taking = True
                self.sendLine(b"354 say it")
            case b"CAPABILITIES":
                for each in (b"101 these", b"VERSION 2", b"POST", b"READER", b"LIST ACTIVE", b"."):
                    self.sendLine(each)
            case b"LIST":
                group = line.split(b" ")[-1]
                for each in (b"215 these", group + b" 9 1 y", b"."):
                    self.sendLine(each)
            case b"POST":
                self._world.grumbles += 1
                self._taking = self._world.grumbles % 4 != 0
                self.sendLine(b"340 say it" if self._taking else b"440 " + quoted)
            case b"QUIT":
                self.transport.loseConnection()
            case _:
                self.sendLine(b"500 " + quoted)


class ExitWorld(World):
    """A world whose exits have local users, news, mailboxes, the page and the intake."""

    rooms = ROOMS

    def __init__(self, folder: Path, level: str) -> None:
        super().__init__(folder, level)
        self.grumbles = 0
        self.boxes = self.folder / "boxes"
        self.users = [word(place) for place in PLACES]
        self.secrets.add("local part", *self.users)
        self.full = self.capability()
        self.groups = [word("Group").lower() for _ in range(3)]
        self.secrets.add("group", *self.groups)
        self.lmtp, self.nntp = (free_port(["127.0.0.1"]) for _ in range(2))
        self.pages: list[int] = []
        self.intakes: list[int] = []

    def capability(self) -> str:
        """One more mailbox."""
        key = urlsafe_b64encode(sign.generate()[1]).rstrip(b"=").decode()
        self.secrets.add("capability", key)
        return key

    @override
    def more(self, mix: Mix) -> str:
        """The sections of an exit."""
        if not mix.exit:
            return ""
        self.boxes.mkdir(exist_ok=True)
        page, intake = (free_port(["127.0.0.1"]) for _ in range(2))
        self.pages.append(page)
        self.intakes.append(intake)
        maildir, nofile, mbox, lmtp, address = self.users
        (self.boxes / "file").touch()
        places = (
            (maildir, f"maildir = {self.boxes / maildir}"),
            (nofile, f"maildir = {self.boxes / 'file' / nofile}"),
            (mbox, f"mbox = {self.boxes}"),
            (lmtp, f"lmtp = {lmtp}"),
            (address, f"address = {self.recipient('perm')}"),
        )
        users = self.folder / f"users-{mix.nickname}"
        users.write_text("".join(f"[User {name.lower()}]\n{place}\n" for name, place in places))
        retries = "retry-first = 1 s\nretry-longest = 2 s\n"
        return (
            f"\n[Abuse]\nopt-out-url = https://mix.example.test/\n"
            f"opt-out-listen = tcp:{page}:interface=127.0.0.1\n"
            f"mail-listen = tcp:{intake}:interface=127.0.0.1\n"
            f"complaints-to = operator@example.test\n"
            f"[Exit {BOX}]\nmodule = mbox\ndomain = mix.example.test\nusers = {users}\n{retries}"
            f"lmtp = 127.0.0.1:{self.lmtp}\nrelay = {self.network.relay}\n"
            f"[Exit {NEWS}]\nmodule = nntp\nserver = 127.0.0.1:{self.nntp}\ntls = no\n{retries}"
            f"groups = *\ndomain = mix.example.test\n"
            f"[Exit {HELD}]\nmodule = mailbox\nmailbox-messages = 3\nmailbox-limit = 2 MiB\n"
            f"total-limit = 4 MiB\n"
        )

    def news(self, transport: Any) -> bool:
        """Whether that connection is one of the news server."""
        return bool(transport.getHost().port == self.nntp)

    def grumble(self) -> list[Any]:
        """The news server and the one for local delivery."""
        factory: Any = Factory.forProtocol(lambda: Grumbler(self))
        factory.noisy = False
        return [
            clock.listenTCP(port, factory, interface="127.0.0.1") for port in (self.lmtp, self.nntp)
        ]

    def another(self, n: int, length: int = 4, delay_ms: int = 200) -> tuple[int, bytes]:
        """A message to an exit that is none to mail, and the place of its first mix."""
        exit = (BOX, NEWS, HELD)[n % 3]
        recipients = {
            BOX: [self.users[n // 3 % len(self.users)]],
            NEWS: [f"{self.groups[n // 3 % 3]}.{word('group').lower()}"],
            HELD: [self.full if n % 2 else self.capability()],
        }[exit]
        if n % 17 == 16:
            recipients = [word("Nobody")]
        self.secrets.add("local part", *recipients)
        return self.mail(exit, length=length, delay_ms=delay_ms, recipients=recipients)

    async def tell(self, port: int, octets: bytes) -> bytes:
        """Say something to one of our own ports, from a client's address; what it answered."""
        talk = Talk(octets)
        factory: Any = Factory.forProtocol(lambda: talk)
        factory.noisy = False
        with contextlib.suppress(Exception):
            await TCP4ClientEndpoint(
                clock, "127.0.0.1", port, 10, (self.clients.address(), 0)
            ).connect(factory)
            for _ in range(100):
                if talk.over:
                    break
                await deferLater(clock, 0.02)
            talk.transport.abortConnection()
        return talk.heard


class ExitSilenceTests(SilenceCase):
    world: ExitWorld

    @override
    def make_world(self, folder: Path) -> ExitWorld:
        return ExitWorld(folder, self.level)

    async def test_debug(self) -> None:
        """A hundred messages to them, odd requests and mails, and each part failing."""
        world = self.world
        for port in world.grumble():
            self.addCleanup(port.stopListening)
        made = [world.another(n) for n in range(90)]
        made += [world.mail("smtp", begins) for begins in ("ok", "perm", "temp", "ok", "endp")]
        said = [self.world.capability() for _ in range(12)] + [word("User") for _ in range(12)]
        world.secrets.add("local part", *said[12:])
        made += [world.mail("loud", recipients=[each]) for each in said]
        for first in range(0, len(made), 20):
            some = made[first : first + 20]
            await self.together([world.send(at, [packet]) for at, packet in some])
        await self.harm(made[:12])
        await self.until(lambda: len(world.mails) >= 2, "no mail arrived")
        await self.until(lambda: world.grumbles > 20, "nobody grumbled")
        await self.requests()
        await self.fetches()
        for place in ROOMS:
            world.break_down(place)
            for n in range(12):
                some = [world.another(3 * n + k, length=2, delay_ms=0) for k in range(3)]
                some.append(world.mail("smtp", length=2, delay_ms=0))
                await self.together([world.send(at, [packet], patience=2) for at, packet in some])
                await self.requests()
                if place in world.broken():
                    break
            self.assertIn(place, world.broken())
        world.break_down("")
        await self.status()
        await deferToThread(world.stop)
        written = world.written()
        found = world.secrets.search(written)
        self.assertEqual(found, [], "\n".join(map(str, found[:40])))
        aloud = Counter(each.kind for each in world.secrets.search(world.said_aloud()))
        kinds = {"local part", "subject", "word", "mark", "client", "capability"}
        self.assertEqual(kinds - aloud.keys(), set(), aloud)

    async def requests(self) -> None:
        """Odd ones to the page and the intake, and whole ones with links and letters."""
        world = self.world
        mark = word("Mark")
        world.secrets.add("mark", mark)
        said: list[tuple[int, bytes]] = []
        for page in world.pages:
            for method in ("GET", "HEAD", "POST", "PUT", mark):
                head = f"{method} /{mark}?{mark} HTTP/1.1\r\nHost: {mark}\r\nCookie: {mark}\r\n"
                head += f"X-Forwarded-For: {mark}\r\nContent-Length: {len(mark)}\r\n\r\n{mark}"
                said.append((page, head.encode()))
            said.append((page, mark.encode() * 3000))
        for intake in world.intakes:
            said += [(intake, letter) for letter in self.letters(mark)]
        await self.together([world.tell(port, octets) for port, octets in said])

    def letters(self, mark: str) -> Sequence[bytes]:
        """To everybody whom the intake knows and does not know, and what is none."""
        sender = self.world.recipient("from")
        begin = f"LHLO {mark}\r\nMAIL FROM:<{sender}> {mark}=1\r\n"
        plain = f"LHLO {mark}\r\nMAIL FROM:<{sender}>\r\n"
        head = f"From: {mark} <{sender}>\r\nSubject: {mark}\r\n\r\n"
        text = f"{head}to: {sender} {mark}\r\n.\r\nQUIT\r\n"
        names = ["abuse", "postmaster", "opt-out", "anonymous", mark]
        names += [mail.sender.partition("@")[0] for mail in self.world.mails[-3:]]
        sessions = [
            plain + f"RCPT TO:<{name}@mix.example.test>\r\nDATA\r\n{text}" for name in names
        ]
        nobody = plain.replace(sender, "") + f"RCPT TO:<{names[-1]}@mix.example.test>\r\n"
        sessions += [begin, f"{mark}\r\n" * 30, nobody + f"DATA\r\n{text}", mark * 2000]
        return [session.encode() for session in sessions]

    async def fetches(self) -> None:
        """Junk to where mailboxes are fetched from."""
        world = self.world
        mark = word("Mark")
        world.secrets.add("mark", mark)
        texts = [mark.encode() * 900, world.full.encode() * 900, os.urandom(300), b""]
        heard = await self.together(
            [world.say(at, text, FETCH) for at in range(5) for text in texts]
        )
        self.assertTrue(any(heard))

    async def until(self, true: Any, complaint: str) -> None:
        for _ in range(400):
            if true():
                return
            await deferLater(clock, 0.1)
        self.fail(complaint + json.dumps([each.mix.ask("status") for each in self.world.running]))
