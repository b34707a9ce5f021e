"""LMTP from the operator's mail server: the dialogue, its bounds, an answer for each recipient."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from mixminion.exits import lmtp_intake
from mixminion.exits.lmtp_intake import IDLE, LONGEST_MAIL, LmtpFactory
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock

BOB = b"RCPT TO:<bob@mix.test>"
ENVELOPE = [b"LHLO mail", b"MAIL FROM:<>", BOB, b"DATA"]


class Transport(StringTransport):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class RecordingPost:
    """Takes mail for bob and alice at mix.test; *answer* is what becomes of it."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, bytes]] = []
        self.answer: Any = 250

    def knows(self, recipient: str) -> bool:
        return recipient in {"bob@mix.test", "alice@mix.test"}

    async def take(self, sender: str, recipient: str, octets: bytes) -> int:
        self.taken.append((sender, recipient, octets))
        if isinstance(self.answer, Exception):
            raise self.answer
        if isinstance(self.answer, Deferred):
            return int(await self.answer)
        return int(self.answer)


class LmtpCase(SyncTestCase):
    def setUp(self) -> None:
        self.post = RecordingPost()
        self.clock = HeapClock()
        self.session = LmtpFactory(self.post, "mix.test", self.clock).buildProtocol(None)
        self.transport = Transport()
        self.session.makeConnection(self.transport)
        self.assertEqual(self.codes(), [220])

    def say(self, *lines: bytes) -> None:
        self.session.dataReceived(b"\r\n".join([*lines, b""]))

    def codes(self) -> list[int]:
        """The answers since the last look."""
        lines = self.transport.value().decode().split("\r\n")[:-1]
        self.transport.clear()
        return [int(line[:3]) for line in lines if line[3:4] != "-"]


class DialogueTests(LmtpCase):
    def test_a_mail(self) -> None:
        """Each recipient has his answer; dots are as they were; all in one piece, too."""
        lines = [*ENVELOPE[:3], b"RCPT TO:<alice@mix.test> NOTIFY=NEVER", b"DATA"]
        self.say(*lines, b"Subject: x", b"", b"..", b".a", b".")
        self.assertEqual(self.codes(), [250, 250, 250, 250, 354, 250, 250])
        text = b"Subject: x\r\n\r\n.\r\na\r\n"
        self.assertEqual(
            self.post.taken, [("", "bob@mix.test", text), ("", "alice@mix.test", text)]
        )
        self.say(b"MAIL FROM:<x@y.test> SIZE=5", BOB, b"RSET", b"QUIT")
        self.assertEqual(self.codes(), [250, 250, 250, 221])
        self.assertTrue(self.transport.disconnecting)

    def test_out_of_order(self) -> None:
        """Nothing without what has to come before; strangers are not known."""
        for lines, codes in (
            ([b"MAIL FROM:<>"], [503]),
            ([b"LHLO x", BOB, b"DATA"], [250, 501, 503]),
            ([b"MAIL FROM:<>", b"MAIL FROM:<>", b"MAIL x"], [250, 501, 501]),
            ([b"RCPT TO:<eve@mix.test>", b"RCPT TO:bob", b"DATA"], [550, 501, 503]),
            ([b"VRFY bob", b"NOOP", b"HELP", b""], [252, 250, 500, 500]),
        ):
            self.say(*lines)
            self.assertEqual(self.codes(), codes, lines)

    def test_while_it_is_dealt_with(self) -> None:
        """What is said meanwhile waits; then all goes on."""
        self.post.answer = Deferred()
        self.say(*ENVELOPE, b"x", b".", b"NOOP")
        self.assertEqual(self.codes(), [250, 250, 250, 354])
        self.post.answer.callback(451)
        self.assertEqual(self.codes(), [451, 250])

    def test_gone_meanwhile(self) -> None:
        """A server that went away is answered by nobody."""
        self.post.answer = Deferred()
        self.say(*ENVELOPE, b"x", b".")
        self.codes()
        self.session.connected = False
        self.session.connectionLost()
        self.post.answer.callback(250)
        self.assertEqual(self.codes(), [])

    def test_defect(self) -> None:
        """Our own mistake leaves the mail where it was."""
        self.post.answer = ValueError("bob@mix.test")
        self.say(*ENVELOPE, b"x", b".")
        self.assertEqual(self.codes()[-1], 451)


class BoundTests(LmtpCase):
    def test_large(self) -> None:
        """Too large a mail is read to its end and kept nowhere; the next one is fine."""
        line = b"x" * 998
        self.say(*ENVELOPE, *[line] * (LONGEST_MAIL // 1000 + 1), b".")
        self.assertEqual(self.codes()[-1], 552)
        self.assertEqual(self.post.taken, [])
        self.say(b"MAIL FROM:<>", BOB, b"DATA", *[line] * (LONGEST_MAIL // 1000 - 1), b".")
        self.assertEqual(self.codes()[-1], 250)

    def test_lines(self) -> None:
        """A command without end is not waited for."""
        self.say(b"LHLO " + b"x" * 3000)
        self.assertTrue(self.transport.aborted)

    def test_no_end(self) -> None:
        """Nor is a line."""
        self.session.dataReceived(b"x" * (LONGEST_MAIL + 10))
        self.assertTrue(self.transport.aborted)

    def test_many(self) -> None:
        """So many recipients, so many commands."""
        self.patch(lmtp_intake, "MOST_RECIPIENTS", 2)
        self.say(*ENVELOPE[:2], BOB, BOB, BOB)
        self.assertEqual(self.codes(), [250, 250, 250, 250, 452])
        self.patch(lmtp_intake, "MOST_COMMANDS", 8)
        self.say(*[b"NOOP"] * 5)
        self.assertTrue(self.transport.aborted)

    def test_silence(self) -> None:
        """A session in which nothing is said ends."""
        self.clock.advance(IDLE - 1)
        self.say(b"NOOP")
        self.clock.advance(IDLE - 1)
        self.assertFalse(self.transport.aborted)
        self.clock.advance(1)
        self.assertTrue(self.transport.aborted)
