"""Reading what comes in: bounces of several kinds, and people's letters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mixminion.exits import letters
from mixminion.exits.letters import Bounce, Letter
from mixminion.testing.cases import SyncTestCase

TOKEN = "Aa0_-" * 11 + "x"


def report(action: str, status: str, recipient: str = "rfc822; bob@x.test") -> bytes:
    """A delivery status, in its least form."""
    lines = (
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
        "",
        "--b",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mail.x.test",
        "",
        f"Final-Recipient: {recipient}",
        f"Action: {action}",
        f"Status: {status}",
        "--b--",
        "",
    )
    return "\r\n".join(lines).encode()


def letter(*lines: str) -> Letter:
    return Letter("\r\n".join([*lines, "", "text", ""]).encode())


class BounceTests(SyncTestCase):
    def test_kinds(self) -> None:
        """For good or not, and for whose sake."""
        for action, status, kind in (
            ("failed", "5.1.1", Bounce.GONE),
            ("Failed", "5.1.10 (no such user)", Bounce.GONE),
            ("failed", "5.2.1", Bounce.GONE),
            ("failed", "5.0.0", Bounce.GONE),
            ("failed", "5.7.1", Bounce.REFUSED),
            ("failed", "5.2.2", Bounce.REFUSED),
            ("failed", "4.4.1", Bounce.LATER),
            ("delayed", "4.4.1", Bounce.LATER),
            ("delivered", "2.0.0", Bounce.LATER),
            ("failed", "nonsense", Bounce.LATER),
        ):
            self.assertIs(letters.bounce(report(action, status)), kind, (action, status))
        self.assertIs(letters.bounce(b"Your mail could not be delivered.\r\n"), Bounce.LATER)

    def test_whose(self) -> None:
        """The recipients it names."""
        found = letters.returned_to(report("failed", "5.1.1", "RFC822;<bob@x.test>"))
        self.assertEqual(list(found), ["bob@x.test"])
        self.assertEqual(list(letters.returned_to(report("failed", "5.1.1", "x400; a"))), [])

    @given(st.binary(max_size=400))
    def test_anything(self, octets: bytes) -> None:
        """Nothing is too odd to be read."""
        letters.bounce(octets)
        list(letters.returned_to(octets))
        read = Letter(octets)
        _ = read.tokens, read.automatic, read.author


class LetterTests(SyncTestCase):
    def test_tokens(self) -> None:
        """In the subject, however it is answered; nothing that is longer or shorter."""
        for subject, found in (
            (TOKEN, [TOKEN]),
            (f"Re: Confirm: {TOKEN}", [TOKEN]),
            (f"AW: [{TOKEN}] {TOKEN}.", [TOKEN, TOKEN]),
            (f"{TOKEN}x", []),
            (TOKEN[1:], []),
            ("unsubscribe", []),
        ):
            self.assertEqual(letter(f"Subject: {subject}").tokens, found, subject)
        self.assertEqual(letter("Subject: Re:", f" {TOKEN}").tokens, [TOKEN])
        self.assertEqual(letter("From: a@x.test").tokens, [])

    def test_automatic(self) -> None:
        """Programs and lists are told apart from people."""
        for line in (
            "Auto-Submitted: auto-replied",
            "Auto-Submitted: auto-generated; x=1",
            "Precedence: Bulk",
            "List-Id: <list.x.test>",
        ):
            self.assertTrue(letter(line).automatic, line)
        for line in ("Auto-Submitted: no", "Precedence: first-class", "X: y"):
            self.assertFalse(letter(line).automatic, line)

    def test_author(self) -> None:
        """One address, or nobody."""
        self.assertEqual(str(letter("From: Bob <Bob@X.test>").author), "Bob@x.test")
        for line in ("From: a@x.test, b@x.test", "From: Bob", "X: y", "From: =?utf-8?q?x?="):
            self.assertIsNone(letter(line).author, line)
        self.assertFalse(Letter(b"no header at all").readable)
