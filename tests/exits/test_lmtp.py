"""Local delivery by LMTP, against a server on loopback that answers as it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import ensureDeferred, maybeDeferred
from twisted.internet.task import deferLater

from mixminion.exits import lmtp
from mixminion.exits.dialogue import Away
from mixminion.exits.lmtp import Lmtp
from mixminion.mail.compose import Mail
from mixminion.mail.errors import EightBit
from mixminion.mail.fields import Field
from mixminion.testing.cases import AsyncTestCase
from mixminion.util.hostport import HostPort
from tests.exits.lines import CUT, HANG_UP, SILENCE, LineServer, Script

reactor: Any = installed

HELLO = "250-there\r\n250-PIPELINING\r\n250 8BITMIME"
MAIL = Mail((Field("Subject", "secret"),), "Grüße\r\n.\r\nx\r\n".encode())


class LmtpCase(AsyncTestCase):
    def setUp(self) -> None:
        self.script = Script(answers={"LHLO": HELLO})
        self.server = LineServer(self.script)
        self.port = reactor.listenTCP(0, self.server, interface="127.0.0.1")
        self.made: list[Lmtp] = []
        self.addCleanup(self.finish)

    async def finish(self) -> None:
        for each in self.made:
            await each.stop()
        await maybeDeferred(self.port.stopListening)
        for _ in range(100):
            if not any(session.open for session in self.server.sessions):
                return
            await deferLater(reactor, 0.02)
        self.fail("a session was left open")

    def client(self, timeout: float = 5.0, where: lmtp.Place | None = None) -> Lmtp:
        where = where or HostPort("127.0.0.1", self.port.getHost().port)
        made = Lmtp(reactor, lmtp.endpoint(reactor, where), "mix.test", timeout)
        self.made.append(made)
        return made

    async def send(self, *recipients: str, mail: Mail = MAIL, timeout: float = 5.0) -> Any:
        client = self.client(timeout)
        return await client.send("anonymous@mix.test", recipients or ("alice",), mail)

    async def away(self, timeout: float = 5.0) -> str:
        with self.assertRaises(Away) as caught:
            await self.send(timeout=timeout)
        return str(caught.exception.reason)


class SendTests(LmtpCase):
    async def test_taken(self) -> None:
        """The dialogue as RFC 2033 has it; what arrives is what was sent."""
        self.assertEqual(await self.send(), {"alice": 250})
        self.assertEqual(
            self.server.said[:4],
            [
                "LHLO mix.test",
                "MAIL FROM:<anonymous@mix.test> BODY=8BITMIME",
                "RCPT TO:<alice>",
                "DATA",
            ],
        )
        self.assertEqual(self.server.data, [MAIL.octets()])

    async def test_unix(self) -> None:
        """The same over a socket in the file system."""
        path = Path(self.mktemp())
        port = reactor.listenUNIX(str(path), self.server)
        self.addCleanup(port.stopListening)
        codes = await self.client(where=path).send("", ("alice@example.org",), MAIL)
        self.assertEqual(codes, {"alice@example.org": 250})

    async def test_each_recipient(self) -> None:
        """Each recipient has an answer of his own, at once or after the data."""
        refused = {"RCPT TO:<b>": "550 no", "RCPT TO:<d>": "450 later"}
        self.script.answers = {"LHLO": HELLO, "RCPT": lambda said: refused.get(said, "250 yes")}
        self.script.ends = ("250 taken", "452 full", "550 no")
        codes = await self.send("a", "b", "c", "d", "e")
        self.assertEqual(codes, {"a": 250, "b": 550, "c": 452, "d": 450, "e": 550})

    async def test_refused(self) -> None:
        """A sender, all recipients or the data refused: nothing is sent, all have the answer."""
        for word, answer, code in (
            ("MAIL", "550 no", 550),
            ("RCPT", "550 no", 550),
            ("DATA", "451 later", 451),
        ):
            self.script.answers = {"LHLO": HELLO, word: answer}
            self.assertEqual(await self.send("a", "b"), {"a": code, "b": code})
        self.assertEqual(self.server.data, [])

    async def test_seven_bit(self) -> None:
        """Without 8BITMIME a mail is made 7-bit, or fails where it must not be touched."""
        self.script.answers = {"LHLO": "250 there"}
        await self.send()
        self.assertIn(b"Content-Transfer-Encoding: quoted-printable", self.server.data[0])
        self.assertNotIn("BODY", self.server.said[1])
        signed = Mail((Field("Content-Type", "multipart/signed"),), MAIL.body)
        with self.assertRaises(EightBit):
            await self.send(mail=signed)


class AwayTests(LmtpCase):
    async def test_cut(self) -> None:
        """A connection that ends at any command, or at the data, is told as such."""
        for word in ("LHLO", "MAIL", "RCPT", "DATA"):
            for how, reason in ((CUT, "disconnected"), (HANG_UP, "closed")):
                self.script.answers = {"LHLO": HELLO, word: how}
                self.assertEqual(await self.away(), reason)
        self.script.answers = {"LHLO": HELLO}
        self.script.ends = (CUT,)
        self.assertEqual(await self.away(), "disconnected")

    async def test_silence(self) -> None:
        """So is one on which no answer comes in time."""
        for word in ("LHLO", "RCPT", "DATA"):
            self.script.answers = {"LHLO": HELLO, word: SILENCE}
            self.assertEqual(await self.away(timeout=0.1), "timeout")
        self.script.greeting = SILENCE
        self.assertEqual(await self.away(timeout=0.1), "timeout")

    async def test_nonsense(self) -> None:
        """Whatever a server says that is none ends it."""
        for answer in (
            "nonsense",
            "25",
            "250-x\r\nnone",
            "\xff\xfe",
            "x" * 5000,
            "250-x\r\n" * 1100,
        ):
            self.script.answers = {"LHLO": answer}
            self.assertEqual(await self.away(), "protocol")

    async def test_closing(self) -> None:
        """A greeting that is none, 421 anywhere, and codes that answer nothing."""
        for word, answer in (("MAIL", "421 bye"), ("RCPT", "421 bye"), ("DATA", "250 what")):
            self.script.answers = {"LHLO": HELLO, word: answer}
            self.assertEqual(await self.away(), f"lmtp-{answer[:3]}")
        self.script.greeting = "554 no"
        self.assertEqual(await self.away(), "lmtp-554")

    async def test_refused(self) -> None:
        """Nobody there, at a port and at a path."""
        port = self.port.getHost().port
        await self.port.stopListening()
        for where, reason in (
            (HostPort("127.0.0.1", port), "refused"),
            (Path("none"), "unreachable"),
        ):
            with self.assertRaises(Away) as caught:
                await self.client(where=where).send("", ("a",), MAIL)
            self.assertEqual(caught.exception.reason, reason)

    async def test_stop(self) -> None:
        """A stop lets a mail under way end, and opens nothing after."""
        self.script.answers = {"LHLO": HELLO, "RCPT": SILENCE}
        client = self.client()
        sending = ensureDeferred(client.send("", ("a",), MAIL))
        while len(self.server.said) < 3:
            await deferLater(reactor, 0.01)
        stopping = ensureDeferred(client.stop())
        self.assertNoResult(stopping)
        self.server.sessions[0]._say("250 yes")
        self.assertEqual(await sending, {"a": 250})
        await stopping
        with self.assertRaises(Away):
            await client.send("", ("a",), MAIL)

    async def test_cancelled(self) -> None:
        """A mail that is given up ends its connection."""
        self.script.answers = {"LHLO": HELLO, "RCPT": SILENCE}
        sending = ensureDeferred(self.client().send("", ("a",), MAIL))
        while len(self.server.said) < 3:
            await deferLater(reactor, 0.01)
        sending.cancel()
        with self.assertRaises(Away) as caught:
            await sending
        self.assertEqual(caught.exception.reason, "stopping")
