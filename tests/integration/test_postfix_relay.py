"""A real Postfix as relay: how it wants us to be, and everything that goes wrong there."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from typing_extensions import override

from mixminion.counters import Counters, Name
from mixminion.crypto.rng import SeededRandom
from mixminion.exits import record, registry
from mixminion.exits.delivery import DESTINATION, Delivery
from mixminion.exits.smtp import SmtpExit
from mixminion.interfaces import Message, Outcome, OutcomeKind
from mixminion.testing.certificates import Authority
from tests.exits import kit
from tests.integration.dovecot import PASSWORDS, Dovecot
from tests.integration.postfix import SLOW
from tests.integration.test_postfix import BOB, PostfixCase, body, message_id

reactor: Any = installed

CONTENT = b"Subject: hello\r\n\r\n" + b"a line of text\r\n" * 5000


def message(*recipients: str, n: int = 1) -> Message:
    return Message("smtp", recipients or (BOB,), CONTENT, None, f"<{n}@mix.test>", 1_800_000_000)


def kind(outcome: Outcome) -> tuple[str, str]:
    return outcome.kind.value, outcome.reason


class RelayCase(PostfixCase):
    def made(
        self, port: int, keys: str, host: str = "127.0.0.1", domain: str = "mix.test"
    ) -> SmtpExit:
        """An exit configured with *keys* that relays to *port*."""
        text = f"[Exit smtp]\nmodule = smtp\ndomain = {domain}\nrelay = {host}:{port}\n"
        text += f"{keys}\n{kit.NO_LIMITS}\n"
        [exit] = registry.load(kit.config(text), kit.Environment(reactor), kit.MODULES).values()
        assert isinstance(exit, SmtpExit)
        self.addCleanup(lambda: ensureDeferred(exit.stop()))
        return exit


class RelayTests(RelayCase):
    async def test_implicit_tls(self) -> None:
        """A port that begins with TLS."""
        keys = f"tls = implicit\nca-file = {self.postfix.ca_file}"
        outcome = await self.made(self.postfix.tls_port, keys).deliver(message())
        self.assertEqual(outcome, kit.DELIVERED)
        [mail] = await self.arrived(1)
        self.assertIn(b"ESMTPS", mail)

    async def test_wrong_certificate(self) -> None:
        """The certificate of another authority, or for another name: nothing is handed over."""
        other = Path(self.mktemp()).absolute()
        other.write_bytes(Authority(time.time()).pem)
        for mode, port in (("required", self.postfix.port), ("implicit", self.postfix.tls_port)):
            exit = self.made(port, f"tls = {mode}\nca-file = {other}")
            self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "tls-failed"))
        keys = f"tls = required\nca-file = {self.postfix.ca_file}"
        exit = self.made(self.postfix.port, keys, host="localhost")
        self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "tls-failed"))
        await self.arrived(0)

    async def test_recipients(self) -> None:
        """Each of several has its own answer: taken, unknown, full, full in the old words; the
        full ones are tried again, alone."""
        keys = f"tls = required\nca-file = {self.postfix.ca_file}\nidle-timeout = 1 s"
        exit = self.made(self.postfix.port, keys)
        names = ("bob", "nobody", "full", "over", "alice")
        outcome = await exit.deliver(message(*(f"{name}@example.test" for name in names)))
        self.assertEqual(kind(outcome), ("temporary", "smtp-452"))
        [mail] = await self.arrived(1)
        self.assertEqual(body(mail), CONTENT.partition(b"\r\n\r\n")[2])
        (self.postfix.base / "etc" / "access").write_text("")
        self.postfix.reload()
        await deferLater(reactor, 1.5)  # a session that is kept has the old table
        outcome = await exit.deliver(message(*(f"{name}@example.test" for name in names)))
        self.assertEqual(kind(outcome), ("delivered", "in-part"))
        await self.arrived(1)
        await self.arrived(1, "full")

    async def test_greylisting(self) -> None:
        """What is put off is tried again after the pause, by itself, and arrives once."""
        keys = "tls = required\nretry-first = 1 s\nretry-longest = 2 s\n"
        exit = self.made(self.postfix.port, f"{keys}ca-file = {self.postfix.ca_file}")
        store, counters = kit.MemoryStore(), Counters()
        random = SeededRandom(b"grey")
        delivery = Delivery({"smtp": exit}, store, reactor, random, counters, "mix.test")
        await delivery.start()
        octets = record.encode(message("grey@example.test"))
        delivery.offer(store.put(octets), DESTINATION + b"smtp", reactor.seconds())
        [mail] = await self.arrived(1, "grey")
        self.assertEqual(message_id(mail), "<1@mix.test>")
        await delivery.stop()
        self.assertEqual((counters[Name.RETRIED], counters[Name.DELIVERED]), (1, 1))
        self.assertEqual(store.records, {})

    async def test_slow(self) -> None:
        """An answer that takes seconds is awaited, as long as the operator said."""
        keys = f"tls = required\nca-file = {self.postfix.ca_file}"
        patient = self.made(self.postfix.port, keys)
        hasty = self.made(self.postfix.port, f"{keys}\ntimeout = {SLOW / 2} s")
        outcome = await hasty.deliver(message("slow@example.test"))
        self.assertEqual(kind(outcome), ("unreachable", "timeout"))
        self.assertEqual(await patient.deliver(message("slow@example.test")), kit.DELIVERED)
        await self.arrived(1, "slow")


class AuthTests(RelayCase):
    """A Postfix that takes mail only from those who log in, by Dovecot."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.dovecot = Dovecot(self.postfix)
        self.addCleanup(self.dovecot.stop)
        self.password_file = Path(self.mktemp()).absolute()
        self.password_file.touch(0o600)

    async def test_auth(self) -> None:
        """With the right password the mail is bob's to read by IMAP; with a wrong one, or
        none, it stays here."""
        keys = f"tls = required\nca-file = {self.postfix.ca_file}\n"
        login = f"user = mixer\npassword-file = {self.password_file}"
        port = self.postfix.auth_port
        self.password_file.write_text("wrong")
        outcome = await self.made(port, keys + login).deliver(message())
        self.assertEqual(kind(outcome), ("unreachable", "smtp-535"))
        self.password_file.write_text(PASSWORDS["mixer"])
        exit = self.made(port, keys + login)
        for n in range(2):
            self.assertEqual(await exit.deliver(message(n=n)), kit.DELIVERED)
        await self.arrived(2)
        mails = self.dovecot.mails("bob")
        self.assertEqual([body(mail) for mail in mails], [body(CONTENT)] * 2)
        self.assertEqual({message_id(mail) for mail in mails}, {"<0@mix.test>", "<1@mix.test>"})
        self.assertEqual(self.postfix.log.count("sasl_method=PLAIN, sasl_username=mixer"), 2)
        self.assertNotIn(PASSWORDS["mixer"], self.postfix.log)


class SendmailTests(RelayCase):
    async def test_sendmail(self) -> None:
        """Postfix's own program takes mail for several, dots and 8 bits as they are; with a
        configuration that it cannot use, everything waits."""
        content = (
            "Content-Type: text/plain; charset=utf-8\r\n\r\nä\r\n.\r\n..\r\nFrom x\r\n".encode()
        )
        both = (BOB, "alice@example.test")
        mail = Message("smtp", both, content, None, "<1@mix.test>", 1_800_000_000)
        keys = "transport = sendmail\ncommand = /usr/sbin/sendmail -C"
        exit = self.made(1, f"{keys} {self.postfix.base / 'etc'}")
        self.assertEqual(kind(await exit.deliver(mail)), ("delivered", "exit-0"))
        for user in ("bob", "alice"):
            [arrived] = await self.arrived(1, user)
            self.assertEqual(body(arrived), body(content))
            self.assertEqual(message_id(arrived), "<1@mix.test>")
            self.assertIn(b"Return-Path: <anonymous@mix.test>", arrived)
        exit = self.made(1, f"{keys} /nowhere")
        self.assertEqual((await exit.deliver(mail)).kind, OutcomeKind.TEMPORARY)


class Cutter(Protocol):
    """Between an exit and Postfix: passes octets on until it sees what it is to cut at."""

    peer: Cutter | None = None
    seen = b""

    @override
    def connectionMade(self) -> None:
        if isinstance(self.factory, CutterFactory):
            self.transport.pauseProducing()
            server = TCP4ClientEndpoint(reactor, "127.0.0.1", self.factory.port)
            other = Cutter()
            other.peer = self
            _ = connectProtocol(server, other).addCallback(self.joined)

    def joined(self, other: Cutter) -> None:
        self.peer = other
        self.transport.resumeProducing()

    @override
    def dataReceived(self, data: bytes) -> None:
        factory = self.factory
        self.seen += data
        if isinstance(factory, CutterFactory) and factory.cut_at in self.seen:
            self.cut()
        elif self.peer is not None:
            caller = self.peer.factory
            if isinstance(caller, CutterFactory) and caller.after and caller.after in self.seen:
                self.cut()  # Postfix has the mail, and we shall never know
            else:
                self.peer.transport.write(data)

    def cut(self) -> None:
        assert self.peer is not None
        self.transport.abortConnection()
        self.peer.transport.abortConnection()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.peer is not None:
            self.peer.transport.loseConnection()


class CutterFactory(Factory):
    protocol = Cutter
    noisy = False

    def __init__(self, port: int) -> None:
        self.port = port
        self.cut_at = b"never said"
        self.after = b""


class CutTests(RelayCase):
    async def test_cut_everywhere(self) -> None:
        """A connection that is cut at any command or in the middle of DATA brings nothing; the
        next attempt brings the mail once.  Cut between the end and its answer the mail comes
        twice, under one Message-ID."""
        factory = CutterFactory(self.postfix.plain_port)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        exit = self.made(port.getHost().port, "tls = no")
        cuts = [b"EHLO", b"MAIL", b"RCPT", b"DATA", b"text\r\n", b"\r\n.\r\n"]
        for n, cut in enumerate(cuts):
            factory.cut_at = cut
            outcome = await exit.deliver(message(n=n))
            self.assertEqual(kind(outcome), ("unreachable", "disconnected"), cut)
            factory.cut_at = b"never said"
            self.assertEqual(await exit.deliver(message(n=n)), kit.DELIVERED)
            mails = await self.arrived(n + 1)
            self.assertEqual(len({message_id(mail) for mail in mails}), n + 1)
            await exit.stop()
            exit = self.made(port.getHost().port, "tls = no")
        factory.after = b"queued as"
        outcome = await exit.deliver(message(n=len(cuts)))
        self.assertEqual(kind(outcome), ("unreachable", "disconnected"))
        factory.after = b""
        self.assertEqual(await exit.deliver(message(n=len(cuts))), kit.DELIVERED)
        mails = await self.arrived(len(cuts) + 2)
        self.assertEqual(len({message_id(mail) for mail in mails}), len(cuts) + 1)
        self.assertEqual({body(mail) for mail in mails}, {body(CONTENT)})
