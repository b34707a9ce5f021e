"""The exit to mail against a real SMTP server on loopback: every answer has its outcome."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor as installed
from twisted.internet.defer import DeferredList, ensureDeferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mixminion.config import ConfigErrors
from mixminion.disk.errors import PrivateFileError
from mixminion.exits import registry
from mixminion.exits.section import ExitSection
from mixminion.exits.smtp import SmtpExit, make
from mixminion.exits.smtp_auth import NoPassword
from mixminion.exits.smtp_tls import UnusableCertificates
from mixminion.interfaces import IExit, Message, Outcome, OutcomeKind
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.certificates import Authority
from mixminion.testing.smtp import Sink
from tests.exits import kit

reactor: Any = installed

CONTENT = (
    "Content-Type: text/plain; charset=utf-8\r\nSubject: secret\r\n\r\nGrüße\r\n.\r\n".encode()
)


PIECES = st.sampled_from(
    [
        *(b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"To: a", b"Bcc: eve", b"Subject: ", b"\0"),
        *(b"\xff", b"content-type: multipart/x", b"Message-ID: <x>", b"." * 3, b"x" * 999),
    ]
)


def message(
    content: bytes = CONTENT, *recipients: str, surb_id: bytes | None = None, n: int = 1
) -> Message:
    names = recipients or ("bob@example.test",)
    return Message("smtp", names, content, surb_id, f"<{n:032x}@mix.test>", 1_800_000_000)


def filled(size: int) -> bytes:
    """Whole lines, *size* octets of them."""
    lines = (b"x" * 98 + b"\r\n") * (size // 100 - 1)
    return lines + b"y" * (size - len(lines) - 2) + b"\r\n"


def kind(outcome: Outcome) -> tuple[str, str]:
    return outcome.kind.value, outcome.reason


class SmtpCase(AsyncTestCase):
    """A sink on loopback and exits that relay to it; at the end no session is left, and no
    address or text in the log."""

    def setUp(self) -> None:
        self.logged = kit.Events()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)
        self.sink = Sink(reactor)
        self.port = reactor.listenTCP(0, self.sink, interface="127.0.0.1")
        self.exits: list[SmtpExit] = []
        self.addCleanup(self.finish)

    async def finish(self) -> None:
        for exit in self.exits:
            await exit.stop()
        await self.port.stopListening()
        for _ in range(100):
            if not any(session.open for session in self.sink.sessions):
                break
            await deferLater(reactor, 0.02)
        self.assertEqual([session for session in self.sink.sessions if session.open], [])
        for event in self.logged.seen:
            for secret in ("bob", "secret", "scripted"):
                self.assertNotIn(secret, str(event))

    def exit(
        self,
        keys: str = "tls = no",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        **shorter: float,
    ) -> SmtpExit:
        """An exit configured with *keys*; *shorter* are timeouts that no operator would take."""
        port = port or self.port.getHost().port
        text = f"[Exit smtp]\nmodule = smtp\ndomain = mix.test\nrelay = {host}:{port}\n"
        text += keys if "-limit" in keys else f"{keys}\n{kit.NO_LIMITS}\n"
        [section] = kit.config(text).named(ExitSection).values()
        exit = make("smtp", replace(section, **shorter), kit.Environment(reactor))
        self.exits.append(exit)
        return exit


class DeliverTests(SmtpCase):
    async def test_delivered(self) -> None:
        """A mail arrives as composed, from our domain, announced as 8-bit, with the stored
        Message-ID and Date."""
        exit = self.exit()
        verifyObject(IExit, exit)
        outcome = await exit.deliver(message())
        self.assertEqual(kind(outcome), ("delivered", "smtp-250"))
        [mail] = self.sink.received
        self.assertEqual(
            (mail.sender, mail.recipients), ("anonymous@mix.test", ("bob@example.test",))
        )
        self.assertIn("BODY=8BITMIME", mail.parameters)
        self.assertIn("SIZE=", mail.parameters)
        self.assertEqual(mail.body, CONTENT.partition(b"\r\n\r\n")[2])
        self.assertEqual(mail.header("From"), "Anonymous <anonymous@mix.test>")
        self.assertEqual(mail.header("To"), "bob@example.test")
        self.assertEqual(mail.header("Message-ID"), f"<{1:032x}@mix.test>")
        self.assertEqual(mail.header("Date"), "Fri, 15 Jan 2027 08:00:00 +0000")

    async def test_chunk_borders(self) -> None:
        """Lone dots at offsets -3..+3 round every multiple of 16,384 of what goes over the wire,
        in mails of 1 MB: one mail each arrives, identical."""
        exit = self.exit("tls = no\nmax-message = 8 MB")
        head = len(exit._mail(message(b"\n")).octets())
        for shift in range(-3, 4):
            body = bytearray()
            for border in range(16384, 2**20, 16384):
                # Each dot is sent twice: count the octets on the wire.
                at = head + len(body) + body.count(b".")
                body += filled(border + shift - at) + b".\r\n"
            outcome = await exit.deliver(message(b"\r\n" + bytes(body), n=shift + 10))
            self.assertEqual(kind(outcome), ("delivered", "smtp-250"))
            self.assertEqual(self.sink.received.pop().body, bytes(body))
            self.assertEqual(self.sink.received, [])

    async def test_random_bodies(self) -> None:
        """300 random bodies of line ends, dots and any octets: none differs."""
        exit = self.exit()
        draw = random.Random(2)
        parts = [
            b"\r",
            b"\n",
            b"\r\n",
            b".",
            b"..",
            b"\r\n.\r\n",
            b"x",
            "ä".encode(),
            b"\xff",
            b" ",
        ]
        for n in range(300):
            body = b"".join(draw.choices(parts, k=draw.randrange(200)))
            await exit.deliver(message(b"\n" + body, n=n))
            wanted = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
            wanted += b"" if wanted.endswith(b"\r\n") or not wanted else b"\r\n"
            self.assertEqual(self.sink.received.pop().body, wanted)

    async def test_sessions_are_used_again(self) -> None:
        """Mails one after the other take one session; two at once take two."""
        exit = self.exit()
        for n in range(5):
            await exit.deliver(message(n=n))
        self.assertEqual(len(self.sink.sessions), 1)
        both = [ensureDeferred(exit.deliver(message(n=n))) for n in (10, 11)]
        results = await DeferredList(both)
        self.assertEqual([kind(outcome) for _, outcome in results], [("delivered", "smtp-250")] * 2)
        self.assertEqual(len(self.sink.sessions), 2)

    async def test_server_left_meanwhile(self) -> None:
        """An idle session that the server closed is replaced without a failure."""
        exit = self.exit()
        await exit.deliver(message())
        self.sink.sessions[0].transport.abortConnection()
        outcome = await exit.deliver(message(n=2))
        self.assertEqual(kind(outcome), ("delivered", "smtp-250"))
        self.assertEqual(len(self.sink.received), 2)

    async def test_idle_sessions_end(self) -> None:
        """An idle session takes leave by itself."""
        exit = self.exit(idle_timeout=0.2)
        await exit.deliver(message())
        await deferLater(reactor, 0.4)
        self.assertFalse(self.sink.sessions[0].open)

    async def test_reply(self) -> None:
        """A reply arrives as one armored block."""
        outcome = await self.exit().deliver(
            message(b"\xff" * 26_806, "alice@example.test", surb_id=b"s" * 16)
        )
        self.assertEqual(outcome.kind, OutcomeKind.DELIVERED)
        [mail] = self.sink.received
        self.assertTrue(mail.body.startswith(b"-----BEGIN MIXMINION REPLY-----\r\nSURB-ID: 7373"))
        self.assertNotIn("BODY", mail.parameters)

    async def test_seven_bit_server(self) -> None:
        """Without 8BITMIME a part is re-encoded; one that is signed fails for good, and the
        session goes on."""
        self.sink.script.extensions = ()
        exit = self.exit()
        self.assertEqual(kind(await exit.deliver(message())), ("delivered", "smtp-250"))
        [mail] = self.sink.received
        self.assertEqual(mail.parameters, "")
        self.assertEqual(mail.header("Content-Transfer-Encoding"), "quoted-printable")
        self.assertIn(b"Gr=C3=BC=C3=9Fe", mail.body)
        parts = b"Content-Type: multipart/signed; boundary=b\n\n--b\n\n\xff\n--b--\n"
        self.assertEqual(kind(await exit.deliver(message(parts))), ("permanent", "eight-bit"))
        await exit.deliver(message(n=3))
        self.assertEqual(len(self.sink.sessions), 1)

    async def test_pipelining(self) -> None:
        """The sender and all recipients leave at once where the server can take it."""
        turns = []
        many = message(CONTENT, *(f"user{n}@example.test" for n in range(20)))
        for extensions in ((b"8BITMIME", b"PIPELINING"), (b"8BITMIME",)):
            self.sink.script.extensions = extensions
            self.assertEqual(kind(await self.exit().deliver(many)), ("delivered", "smtp-250"))
            turns.append(self.sink.sessions[-1].turns)
            self.assertEqual(self.sink.received.pop().recipients, many.recipients)
        self.assertEqual(turns, [3, 23])

    async def test_too_large_for_the_server(self) -> None:
        """What is larger than the server said is not even begun; the session goes on."""
        self.sink.script.extensions = (b"8BITMIME", b"SIZE 5000")
        exit = self.exit()
        large = message(b"\n" + b"x\n" * 3000)
        self.assertEqual(kind(await exit.deliver(large)), ("permanent", "smtp-552"))
        self.assertEqual(self.sink.sessions[0].turns, 1)
        self.assertEqual(kind(await exit.deliver(message(n=2))), ("delivered", "smtp-250"))
        self.assertEqual(len(self.sink.sessions), 1)

    async def test_old_server(self) -> None:
        """A server without EHLO is spoken to with HELO."""
        self.sink.script.esmtp = False
        exit = self.exit()
        self.assertEqual(kind(await exit.deliver(message(b"\nhi"))), ("delivered", "smtp-250"))


class AnswerTests(SmtpCase):
    async def test_codes(self) -> None:
        """Each answer in each place: temporary, permanent, or the server as a whole."""
        exit = self.exit()
        script = self.sink.script
        for place, code, expected in (
            ("mail", 451, ("temporary", "smtp-451")),
            ("mail", 550, ("permanent", "smtp-550")),
            ("mail", 530, ("unreachable", "smtp-530")),
            ("mail", 421, ("unreachable", "smtp-421")),
            ("recipient", 450, ("temporary", "smtp-450")),
            ("recipient", 550, ("permanent", "smtp-550")),
            ("recipient", 552, ("temporary", "smtp-452")),
            ("recipient", 421, ("unreachable", "smtp-421")),
            ("mail", 251, ("unreachable", "protocol")),
            ("data", 250, ("unreachable", "protocol")),
            ("data", 451, ("temporary", "smtp-451")),
            ("data", 554, ("permanent", "smtp-554")),
            ("end", 452, ("temporary", "smtp-452")),
            ("end", 552, ("permanent", "smtp-552")),
            ("end", 421, ("unreachable", "smtp-421")),
            ("end", 354, ("temporary", "smtp-354")),
        ):
            value = (lambda address, code=code: code) if place == "recipient" else code
            before = getattr(script, place)
            setattr(script, place, value)
            self.assertEqual(kind(await exit.deliver(message())), expected, place)
            setattr(script, place, before)
            self.assertEqual(kind(await exit.deliver(message())), ("delivered", "smtp-250"))

    async def test_greetings(self) -> None:
        """A server that does not greet, by word or by silence, is away as a whole."""
        for greeting in (421, 554):
            self.sink.script.greeting = greeting
            outcome = await self.exit().deliver(message())
            self.assertEqual(kind(outcome), ("unreachable", f"smtp-{greeting}"))

    async def test_several_recipients(self) -> None:
        """Each recipient has its own answer; those with a final one are not tried again."""
        exit = self.exit()
        codes = {"a@x.test": 250, "b@x.test": 450, "c@x.test": 550}
        self.sink.script.recipient = codes.__getitem__
        three = message(CONTENT, *codes)
        self.assertEqual(kind(await exit.deliver(three)), ("temporary", "smtp-450"))
        self.assertEqual(self.sink.received.pop().recipients, ("a@x.test",))
        codes["b@x.test"] = 250
        self.assertEqual(kind(await exit.deliver(three)), ("delivered", "in-part"))
        self.assertEqual(self.sink.received.pop().recipients, ("b@x.test",))
        self.assertEqual(exit._known, {})

    async def test_marked(self) -> None:
        """What the server adds for one recipient: fields, in their place, lines below, and whom
        the envelope is from."""
        exit = self.exit("footer = From mix.test.")
        fields = (("List-Unsubscribe", "<https://m.test/x>"), ("List-Unsubscribe-Post", "y"))
        sender = "bounce+1@mix.test"
        marked = replace(message(), fields=fields, footer="No more: link", return_path=sender)
        self.assertEqual(kind(await exit.deliver(marked)), ("delivered", "smtp-250"))
        [mail] = self.sink.received
        self.assertEqual(mail.sender, sender)
        self.assertEqual([(name, mail.header(name)) for name, _ in fields], list(fields))
        self.assertTrue(mail.body.endswith(b"From mix.test.\r\nNo more: link\r\n"), mail.body)
        reply = message(b"sealed", surb_id=bytes(16))
        await exit.deliver(replace(reply, fields=fields, footer="x", return_path=sender))
        self.assertEqual(self.sink.received[1].header("List-Unsubscribe"), "<https://m.test/x>")

    async def test_nobody_is_left(self) -> None:
        """Who is not done with is none of the recipients any more: nothing is sent again."""
        exit = self.exit()
        codes = {"a@x.test": 250, "b@x.test": 450}
        self.sink.script.recipient = codes.__getitem__
        await exit.deliver(message(CONTENT, *codes))
        self.sink.received.clear()
        outcome = await exit.deliver(message(CONTENT, "a@x.test"))
        self.assertEqual(kind(outcome), ("delivered", "smtp-250"))
        self.assertEqual(self.sink.received, [])

    async def test_cut_in_the_middle(self) -> None:
        """A connection cut in the middle of a mail, or before the answer to it."""
        self.sink.script.cut_after = 1_000_000
        exit = self.exit("tls = no\nmax-message = 8 MB")
        outcome = await exit.deliver(message(b"\n" + b"x\n" * 1_000_000))
        self.assertEqual(kind(outcome), ("unreachable", "disconnected"))
        self.sink.script.cut_after = None
        self.sink.script.cut_before_answer = True
        self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "disconnected"))
        self.assertEqual(len(self.sink.received), 1)

    async def test_cut_at_each_command(self) -> None:
        """A connection cut at any command is the server's failure, with pipelining and without;
        the next attempt brings the mail once."""
        for extensions in ((b"8BITMIME",), (b"8BITMIME", b"PIPELINING")):
            self.sink.script.extensions = extensions
            for command in (b"EHLO", b"MAIL", b"RCPT", b"DATA"):
                exit = self.exit()
                self.sink.script.cut = command
                outcome = await exit.deliver(message())
                self.assertEqual(kind(outcome), ("unreachable", "disconnected"), command)
                self.sink.script.cut = None
                self.assertEqual(kind(await exit.deliver(message())), ("delivered", "smtp-250"))
                self.assertEqual(len(self.sink.received), 1)
                self.sink.received.clear()

    async def test_same_message_id_every_time(self) -> None:
        """A second attempt brings the same octets, Message-ID and Date included."""
        self.sink.script.cut_before_answer = True
        exit = self.exit()
        await exit.deliver(message())
        self.sink.script.cut_before_answer = False
        await exit.deliver(message())
        first, second = self.sink.received
        self.assertEqual(first.octets, second.octets)

    async def test_early_answers(self) -> None:
        """An answer in the middle of a mail: a refusal counts, an acceptance does not."""
        exit = self.exit("tls = no\nmax-message = 8 MB")
        long = message(b"\n" + b"x\n" * 3_000_000)
        for code, expected in (
            (552, ("permanent", "smtp-552")),
            (250, ("unreachable", "protocol")),
        ):
            self.sink.script.early_answer = code
            self.assertEqual(kind(await exit.deliver(long)), expected)

    async def test_silence(self) -> None:
        """A server that stops answering is given up after the timeout, at every step."""
        for command in (b"EHLO", b"MAIL", b"RCPT", b"DATA"):
            self.sink.script.silent = command
            outcome = await self.exit(timeout=0.2).deliver(message())
            self.assertEqual(kind(outcome), ("unreachable", "timeout"), command)

    async def test_slow_answer(self) -> None:
        """The answer to a whole mail has a timeout of its own."""
        self.sink.script.delay = 0.4
        exit = self.exit(timeout=0.2, final_timeout=5.0)
        self.assertEqual(kind(await exit.deliver(message())), ("delivered", "smtp-250"))
        exit = self.exit(timeout=5.0, final_timeout=0.2)
        self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "timeout"))

    async def test_nobody_there(self) -> None:
        """A refused connection and a name that does not exist."""
        other = reactor.listenTCP(0, Sink(reactor), interface="127.0.0.1")
        port = other.getHost().port
        await other.stopListening()
        outcome = await self.exit(port=port).deliver(message())
        self.assertEqual(kind(outcome), ("unreachable", "refused"))
        outcome = await self.exit(host="nobody.invalid").deliver(message())
        self.assertEqual(kind(outcome), ("unreachable", "dns"))


class Junk(Protocol):
    """Says one thing and waits."""

    def connectionMade(self) -> None:
        assert isinstance(self.factory, JunkFactory) and self.transport is not None
        self.transport.write(self.factory.octets)


class JunkFactory(Factory):
    noisy = False
    protocol = Junk
    octets = b""


class JunkTests(SmtpCase):
    async def test_no_smtp(self) -> None:
        """Whatever a server says instead of SMTP, the attempt ends with a word, and nothing of
        what it said is logged."""
        factory = JunkFactory()
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        for octets, word in (
            (b"HTTP/1.1 400 scripted\r\n\r\n", "protocol"),
            (b"\x16\x03\x01scripted\r\n", "protocol"),
            (b"\xff\r\n", "protocol"),
            (b"220-scripted\r\n" * 10_000, "protocol"),
            (b"2" * 100_000, "protocol"),
            (b"220 a\r\n" * 3, "protocol"),
            (b"220 a\r\n250 b\r\n250 c\r\n250 d\r\n250 e\r\n", "protocol"),
            (b"220 a\r\n250 b\r\n250 c\r\n250 d\r\n354 e\r\n250 f\r\n", "protocol"),
            (b"220 a\r\n250 b\r\n999 c\r\n", "smtp-999"),
            (b"", "timeout"),
        ):
            factory.octets = octets
            outcome = await self.exit(port=port.getHost().port, timeout=0.2).deliver(message())
            self.assertNotEqual(outcome.kind, OutcomeKind.DELIVERED)
            self.assertEqual(outcome.reason, word, octets[:40])


class TlsTests(SmtpCase):
    def setUp(self) -> None:
        super().setUp()
        authority = Authority(time.time())
        certificate, key = authority.issue(["127.0.0.1"])
        self.sink.tls = PrivateCertificate.loadPEM(certificate + key).options()
        self.ca_file = Path(self.mktemp()).absolute()
        self.ca_file.write_bytes(authority.pem)

    async def test_required(self) -> None:
        """A certificate of our own authority for the right host is taken, mails go under TLS."""
        exit = self.exit(f"tls = required\nca-file = {self.ca_file}")
        self.assertEqual(kind(await exit.deliver(message())), ("delivered", "smtp-250"))
        self.assertTrue(self.sink.received[0].tls)
        await exit.deliver(message(n=2))
        self.assertEqual(len(self.sink.sessions), 1)

    async def test_required_and_wrong(self) -> None:
        """Another authority, another name, or no STARTTLS at all: nothing is sent."""
        exit = self.exit("tls = required")
        self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "tls-failed"))
        authority = Authority(time.time())
        certificate, key = authority.issue(["other.test"])
        self.sink.tls = PrivateCertificate.loadPEM(certificate + key).options()
        self.ca_file.write_bytes(authority.pem)
        exit = self.exit(f"tls = required\nca-file = {self.ca_file}")
        self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "tls-failed"))
        self.sink.tls = None
        self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "tls-missing"))
        self.sink.script.esmtp = False
        self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "smtp-502"))
        self.assertEqual(self.sink.received, [])

    async def test_opportunistic(self) -> None:
        """Any certificate will do, and none."""
        exit = self.exit("tls = opportunistic")
        self.assertEqual(kind(await exit.deliver(message())), ("delivered", "smtp-250"))
        self.sink.tls = None
        exit = self.exit("tls = opportunistic")
        self.assertEqual(kind(await exit.deliver(message())), ("delivered", "smtp-250"))
        self.assertEqual([mail.tls for mail in self.sink.received], [True, False])

    async def test_injected_before_tls(self) -> None:
        """What somebody in the middle adds in the clear behind the answer to STARTTLS is
        not taken for the server's."""
        self.sink.script.injected = b"250 8BITMIME\r\n"
        exit = self.exit(f"tls = required\nca-file = {self.ca_file}")
        self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "protocol"))

    async def test_implicit(self) -> None:
        """A connection that begins with TLS; a wrong certificate, and a server that speaks
        SMTP at once, get nothing."""
        assert self.sink.tls is not None
        port = reactor.listenSSL(0, self.sink, self.sink.tls, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number = port.getHost().port
        keys = f"tls = implicit\nca-file = {self.ca_file}"
        exit = self.exit(keys, port=number)
        self.assertEqual(kind(await exit.deliver(message())), ("delivered", "smtp-250"))
        self.assertTrue(self.sink.received.pop().tls)
        exit = self.exit("tls = implicit", port=number)
        self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "tls-failed"))
        outcome = await self.exit(keys, timeout=0.2).deliver(message())
        self.assertEqual(outcome.kind, OutcomeKind.UNREACHABLE)
        self.assertEqual(self.sink.received, [])


class LimitTests(SmtpCase):
    async def test_recipient(self) -> None:
        """Over a recipient's limit he alone waits; a message that was not taken costs nothing."""
        exit = self.exit("tls = no\nrecipient-limit = 20/day")
        both = ("bob@example.test", "alice@example.test")
        self.assertEqual(kind(await exit.deliver(message(n=1))), ("delivered", "smtp-250"))
        self.sink.script.end = 451
        self.assertEqual(kind(await exit.deliver(message(n=2))), ("temporary", "smtp-451"))
        self.sink.script.end = 250
        self.assertEqual(kind(await exit.deliver(message(n=2))), ("delivered", "smtp-250"))
        outcome = await exit.deliver(message(CONTENT, *both, n=3))
        self.assertEqual(kind(outcome), ("temporary", "over-limit"))
        self.assertEqual(self.sink.received[-1].recipients, both[1:])
        outcome = await exit.deliver(message(CONTENT, *both, n=3))
        self.assertEqual(kind(outcome), ("temporary", "over-limit"))
        self.assertEqual(len(self.sink.received), 3)

    async def test_whole(self) -> None:
        """Over the exit's own limit everything waits."""
        exit = self.exit("tls = no\nbandwidth-limit = 1 KiB/day")
        self.assertEqual(kind(await exit.deliver(message(n=1))), ("delivered", "smtp-250"))
        await exit.deliver(message(CONTENT, "alice@example.test", n=2))
        outcome = await exit.deliver(message(CONTENT, "eve@example.test", n=3))
        self.assertEqual(kind(outcome), ("unreachable", "over-limit"))


class AuthTests(SmtpCase):
    def setUp(self) -> None:
        super().setUp()
        authority = Authority(time.time())
        certificate, key = authority.issue(["127.0.0.1"])
        self.sink.tls = PrivateCertificate.loadPEM(certificate + key).options()
        self.sink.script.users = {"mixer": "s ecret"}
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(mode=0o700)
        self.ca_file = folder / "ca"
        self.ca_file.write_bytes(authority.pem)
        self.password_file = folder / "password"
        self.write("s ecret\n")

    def write(self, password: str) -> None:
        self.password_file.unlink(missing_ok=True)
        self.password_file.touch(0o600)
        self.password_file.write_text(password)

    def authenticated(self) -> SmtpExit:
        return self.exit(
            f"tls = required\nca-file = {self.ca_file}\n"
            f"user = mixer\npassword-file = {self.password_file}"
        )

    async def test_mechanisms(self) -> None:
        """PLAIN or LOGIN, whichever there is; without either nothing is sent."""
        for offered, expected in (
            ((b"PLAIN", b"LOGIN"), ("delivered", "smtp-250")),
            ((b"LOGIN",), ("delivered", "smtp-250")),
            ((b"CRAM-X",), ("unreachable", "auth-missing")),
        ):
            self.sink.script.mechanisms = offered
            outcome = await self.authenticated().deliver(message())
            self.assertEqual(kind(outcome), expected, offered)
        self.assertEqual([each.user for each in self.sink.sessions], ["mixer", "mixer", ""])
        self.assertEqual(len(self.sink.received), 2)

    async def test_refused(self) -> None:
        """A wrong password, and none where one is wanted, are about the server as a whole."""
        self.write("other")
        outcome = await self.authenticated().deliver(message())
        self.assertEqual(kind(outcome), ("unreachable", "smtp-535"))
        outcome = await self.exit("tls = opportunistic").deliver(message())
        self.assertEqual(kind(outcome), ("unreachable", "smtp-530"))
        self.assertEqual(self.sink.received, [])

    async def test_never_in_the_clear(self) -> None:
        """A server without TLS, or with a certificate of somebody else, never sees a password."""
        self.sink.tls = None
        outcome = await self.authenticated().deliver(message())
        self.assertEqual(kind(outcome), ("unreachable", "tls-missing"))
        certificate, key = Authority(time.time()).issue(["127.0.0.1"])
        self.sink.tls = PrivateCertificate.loadPEM(certificate + key).options()
        outcome = await self.authenticated().deliver(message())
        self.assertEqual(kind(outcome), ("unreachable", "tls-failed"))
        self.assertEqual([each.user for each in self.sink.sessions], ["", ""])

    def test_password_file(self) -> None:
        """Missing, empty or too long, it is the operator's error; so is one that others read."""
        for password in ("", "\n", "x" * 201):
            self.write(password)
            with self.assertRaises(NoPassword):
                self.authenticated()
        self.password_file.chmod(0o644)
        with self.assertRaises(PrivateFileError):
            self.authenticated()
        self.password_file.unlink()
        with self.assertRaises(NoPassword):
            self.authenticated()


class StopTests(SmtpCase):
    async def test_mail_under_way_may_end(self) -> None:
        """Stopping waits for the answer to a mail under way, and takes no new one."""
        self.sink.script.delay = 0.3
        exit = self.exit()
        under_way = ensureDeferred(exit.deliver(message()))
        await deferLater(reactor, 0.1)
        await exit.stop()
        self.assertEqual(kind(self.successResultOf(under_way)), ("delivered", "smtp-250"))
        self.assertEqual(kind(await exit.deliver(message())), ("unreachable", "stopping"))


class CheckTests(SyncTestCase):
    def exit(self, keys: str = "") -> SmtpExit:
        text = f"[Exit smtp]\nmodule = smtp\ndomain = mix.test\n{keys}"
        [exit] = registry.load(kit.config(text), kit.Environment(reactor), kit.MODULES).values()
        assert isinstance(exit, SmtpExit)
        return exit

    def test_words(self) -> None:
        """What is refused before the queue, and the word for it."""
        exit = self.exit("max-message = 2 KiB")
        bob = ["bob@example.test"]
        for recipients, content, expected in (
            (bob, b"Subject: x\n\nhi", None),
            (bob, b"hello", "not-a-message"),
            (bob, b"Subject: a\nSubject: b\n\n", "repeated-field"),
            (bob, b"Subject: a\0b\n\n", "bad-field"),
            (bob, b"Subject: " + b"x" * 1000 + b"\n\n", "bad-field"),
            (bob, b"\n" + b"x" * 2048, "too-large"),
            (bob, b"Content-Type: multipart/mixed\n\n" + b"x" * 999, "line-too-long"),
            ([], b"\nhi", "no-recipient"),
            (bob * 51, b"\nhi", "too-many-recipients"),
            (["bob"], b"\nhi", "bad-address"),
            (["bob@example.test\r\nDATA"], b"\nhi", "bad-address"),
            (["bob@example.test>\0"], b"\nhi", "bad-address"),
        ):
            self.assertEqual(exit.check(recipients, content, False), expected, content[:40])
        self.assertIsNone(exit.check(bob, b"\xff\0" * 100, True))
        self.assertEqual(exit.check(bob * 2, b"", True), "too-many-recipients")

    @settings(max_examples=300, deadline=None)
    @given(st.lists(PIECES).map(b"".join) | st.binary(), st.lists(st.text(max_size=30), max_size=3))
    def test_any_octets(self, content: bytes, recipients: list[str]) -> None:
        """Whatever a sender wrote, there is a word for it or a mail that can be made: never an
        exception."""
        exit = self.exit()
        exit.check(recipients, content, False)
        if exit.check(["bob@example.test"], content, False) is None:
            octets = exit._mail(message(content)).octets()
            head = octets.partition(b"\r\n\r\n")[0].lower()
            self.assertEqual(head.count(b"\nmessage-id: "), 1)
            self.assertNotIn(b"\nbcc:", head)

    def test_made_without_a_reactor(self) -> None:
        """A configuration is checked, exits and all, where no reactor is."""
        for transport in ("relay", "sendmail", "mx"):
            text = f"[Exit smtp]\nmodule = smtp\ndomain = mix.test\ntransport = {transport}\n"
            made = registry.load(kit.config(text), kit.Environment(None), kit.MODULES)
            self.assertEqual(list(made), ["smtp"])

    def test_describe(self) -> None:
        """What the descriptor says."""
        described = self.exit().describe()
        self.assertEqual((described["module"], described["max-message"]), ("smtp", 1 << 20))

    def test_section(self) -> None:
        """Wrong values are refused with their line, key and what was expected."""
        for line, key, word in (
            ("tls = perhaps", "tls", "opportunistic"),
            ("from = Bob <bob@elsewhere.test>", "from", "domain mix.test"),
            ("from = Bob", "from", "mailbox"),
            ("relay = 127.0.0.1", "relay", "port"),
            ("retry-first = 1 day", "retry-longest", "at least"),
            ("ca-file = x", "ca-file", "required"),
            ("recipient-limit = 5", "recipient-limit", "/hour"),
            ("recipient-limit = 5/week", "recipient-limit", "/hour"),
            ("bandwidth-limit = 5/hour", "bandwidth-limit", "a size"),
            ("user = x\npassword-file = y", "user", "in the clear"),
            ("password-file = y", "password-file", "together"),
            ("colour = red", "colour", "unknown key"),
        ):
            with self.assertRaises(ConfigErrors) as caught:
                self.exit(line)
            [problem] = caught.exception.problems
            self.assertIn(key, problem.key)
            self.assertIn(word, problem.expected)

    def test_ca_file(self) -> None:
        """A ca-file that is missing or holds nothing is the operator's error."""
        empty = Path(self.mktemp()).absolute()
        empty.write_bytes(b"nothing")
        for path in (empty, empty / "missing"):
            with self.assertRaises(UnusableCertificates):
                self.exit(f"tls = required\nca-file = {path}")
