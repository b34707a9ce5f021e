"""The exit to local users, on a virtual clock; its files are real."""

from __future__ import annotations

import email
import email.policy
import mailbox
import os
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, maybeDeferred
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mixminion.config import ConfigErrors
from mixminion.crypto.rng import SeededRandom
from mixminion.exits.mbox import LOOK, MboxExit
from mixminion.exits.mbox_places import PATIENCE
from mixminion.exits.prepared import Prepared
from mixminion.exits.section import ExitSection
from mixminion.interfaces import IExit, Message, Outcome, OutcomeKind
from mixminion.mail import handle
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.util import armor
from tests.exits import kit

T = TypeVar("T")

CONTENT = b"Subject: Hi\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n"
SEALED = SeededRandom(b"sealed").octets(2000)
USERS = """\
[User alice]
maildir = alice
[User bob]
mbox = bob
form = text
[User carol]
mh = carol
[User dave]
address = dave@example.org
"""


class Hands:
    """An executor that works at once, or when told."""

    def __init__(self) -> None:
        self.held: list[Callable[[], object]] | None = None

    def __call__(self, work: Callable[[], T]) -> Deferred[T]:
        if self.held is None:
            return maybeDeferred(work)
        ended: Deferred[Any] = Deferred()
        self.held.append(lambda: maybeDeferred(work).chainDeferred(ended))
        return ended


def message(*recipients: str, content: bytes = CONTENT, reply: bool = False, n: int = 1) -> Message:
    surb_id = b"s" * 16 if reply else None
    octets = SEALED if reply else content
    return Message("mbox", recipients, octets, surb_id, f"<{n:032x}@mix.test>", 1_800_000_000)


class MboxCase(SyncTestCase):
    """An exit with a user of every kind; the one by mail goes to a scripted exit."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.maildir = mailbox.Maildir(self.folder / "alice")
        self.mh = mailbox.MH(self.folder / "carol")
        self.users = self.folder / "users"
        self.users.write_text(USERS)
        self.clock, self.hands, self.mail = HeapClock(1_800_000_000), Hands(), kit.ScriptedExit()
        self.logged = kit.Events()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)
        self.exit = self.made()
        self.successResultOf(ensureDeferred(self.exit.start()))
        self.addCleanup(self.nothing_logged)

    def made(self, keys: str = "") -> MboxExit:
        text = f"[Exit mbox]\nmodule = mbox\ndomain = mix.test\nusers = {self.users}\n{keys}"
        [section] = kit.config(text).named(ExitSection).values()
        return MboxExit(
            "mbox",
            section,
            clock=self.clock,
            executor=self.hands,
            addresses=self.mail,
            lmtp=None,
        )

    def nothing_logged(self) -> None:
        """No name, address or place of a user is in the log."""
        for event in self.logged.seen:
            for secret in ("alice", "bob", "carol", "dave", "Gr"):
                self.assertNotIn(secret, str({k: event[k] for k in event if k != "log_source"}))

    def deliver(self, made: Message) -> tuple[str, str]:
        outcome = self.successResultOf(ensureDeferred(self.exit.deliver(made)))
        return outcome.kind.value, outcome.reason

    def only(self, box: Any) -> EmailMessage:
        [key] = box.keys()
        parsed = email.message_from_bytes(box.get_bytes(key), policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    def mbox(self) -> list[EmailMessage]:
        box = mailbox.mbox(self.folder / "bob", create=False)
        try:
            octets = [box.get_bytes(key) for key in box.keys()]  # noqa: SIM118
        finally:
            box.close()
        parsed = [email.message_from_bytes(each, policy=email.policy.default) for each in octets]
        return [each for each in parsed if isinstance(each, EmailMessage)]


class DeliverTests(MboxCase):
    def test_interface(self) -> None:
        """It is an exit, and does not tell who its users are."""
        verifyObject(IExit, self.exit)
        described = self.exit.describe()
        self.assertEqual(described["module"], "mbox")
        self.assertNotIn("alice", str(described))

    def test_maildir(self) -> None:
        """Mail arrives as the exit for mail would send it; a second hand-over makes one mail."""
        for _ in range(2):
            self.assertEqual(self.deliver(message("alice")), ("delivered", "maildir"))
        mail = self.only(self.maildir)
        self.assertEqual(mail["Subject"], "Hi")
        self.assertEqual(mail["To"], "alice@mix.test")
        self.assertEqual(mail["Message-ID"], f"<{1:032x}@mix.test>")
        self.assertEqual(mail["Date"], "Fri, 15 Jan 2027 08:00:00 +0000")
        self.assertEqual(mail.get_content(), "Grüße\n")
        self.assertNotIn(handle.FIELD, mail)

    def test_mh(self) -> None:
        """The same in a folder of MH."""
        for _ in range(2):
            self.assertEqual(self.deliver(message("carol")), ("delivered", "mh"))
        self.assertEqual(self.only(self.mh)["Subject"], "Hi")

    def test_text(self) -> None:
        """As armored text, mail shows nothing until it is decoded, and has no handle."""
        for _ in range(2):
            self.assertEqual(self.deliver(message("bob")), ("delivered", "mbox"))
        [mail] = self.mbox()
        [block] = armor.decode(mail.get_content())
        self.assertEqual((block.kind, block.headers), ("MIXMINION MESSAGE", {}))
        self.assertEqual(block.octets, CONTENT)
        self.assertNotIn("Hi", str(mail))

    def test_replies(self) -> None:
        """A reply's handle is a field of MIME mail, and a header of armored text."""
        self.deliver(message("alice", reply=True))
        self.deliver(message("bob", reply=True))
        mail = self.only(self.maildir)
        self.assertEqual(mail[handle.FIELD], "73" * 16)
        self.assertEqual(mail.get_content(), SEALED)
        [armored] = self.mbox()
        self.assertNotIn(handle.FIELD, armored)
        [block] = armor.decode(armored.get_content())
        self.assertEqual((block.headers, block.octets), ({"SURB-ID": "73" * 16}, SEALED))

    def test_no_sender_gives_a_handle(self) -> None:
        """The field of a reply's handle is removed from forward mail."""
        self.deliver(message("alice", content=b"Mixminion-SURB-ID: 00\r\n" + CONTENT))
        self.assertNotIn(handle.FIELD, self.only(self.maildir))

    def test_address(self) -> None:
        """A user with an address gets what the exit for mail is given: a ready mail."""
        self.assertEqual(self.deliver(message("dave")), ("delivered", "smtp-250"))
        [handed] = self.mail.seen
        assert isinstance(handed, Prepared)
        self.assertEqual(handed.recipients, ("dave@example.org",))
        self.assertIn(b"To: dave@example.org\r\n", handed.mail.octets())
        self.mail.act = lambda _: Outcome(OutcomeKind.UNREACHABLE, "refused")
        self.assertEqual(self.deliver(message("dave")), ("temporary", "refused"))

    def test_several(self) -> None:
        """With several recipients only those that failed for now are tried again."""
        self.mail.act = lambda _: Outcome(OutcomeKind.TEMPORARY, "smtp-450")
        both = message("dave", "alice")
        self.assertEqual(self.deliver(both), ("temporary", "smtp-450"))
        self.assertEqual(self.only(self.maildir)["To"], "alice@mix.test")
        self.maildir.clear()
        self.mail.act = lambda _: Outcome(OutcomeKind.PERMANENT, "smtp-550")
        self.assertEqual(self.deliver(both), ("delivered", "in-part"))
        self.assertEqual(len(self.maildir), 0)
        self.assertEqual(self.deliver(message("dave")), ("permanent", "smtp-550"))


class FailureTests(MboxCase):
    def test_check(self) -> None:
        """What no user could get is refused before the queue, each with its word."""
        long = b"\r\n" + b"x" * (1 << 20)
        for recipients, content, reply, word in (
            (["alice"], CONTENT, False, None),
            (["ALICE", "bob", "carol", "dave"], CONTENT, False, None),
            (["alice"], SEALED, True, None),
            (["eve"], CONTENT, False, "unknown-user"),
            (["alice", "eve"], CONTENT, False, "unknown-user"),
            (["../alice"], CONTENT, False, "unknown-user"),
            (["alice", "bob"], SEALED, True, "too-many-recipients"),
            ([], CONTENT, False, "no-recipient"),
            (["alice"], long, False, "too-large"),
            (["alice"], b"no message", False, "not-a-message"),
            (["bob"], b"anything\xff", False, None),
        ):
            self.assertEqual(self.exit.check(recipients, content, reply), word)

    def test_places(self) -> None:
        """What the user or the operator can mend is tried again; a place of a wrong kind not."""
        os.rename(self.folder / "alice", self.folder / "away")
        self.assertEqual(self.deliver(message("alice")), ("temporary", "missing"))
        (self.folder / "alice").write_text("")
        self.assertEqual(self.deliver(message("alice")), ("permanent", "wrong-kind"))
        (self.folder / "bob.lock").write_text("4711")
        self.assertEqual(self.deliver(message("bob")), ("temporary", "locked"))
        (self.folder / "bob.lock").unlink()
        (self.folder / "bob").unlink()
        (self.folder / "bob").mkdir()
        self.assertEqual(self.deliver(message("bob")), ("permanent", "wrong-kind"))

    def test_words(self) -> None:
        """A full disk, missing permission and what nobody thought of have words."""
        import errno

        for number, word in (
            (errno.ENOSPC, "disk-full"),
            (errno.EDQUOT, "disk-full"),
            (errno.EACCES, "no-permission"),
            (errno.EROFS, "no-permission"),
            (errno.EIO, "file-error"),
        ):

            def fail(*_: object, _number: int = number) -> None:
                raise OSError(_number, "of alice")

            self.patch(os, "rename", fail)
            self.assertEqual(self.deliver(message("alice")), ("temporary", word))

    def test_slow(self) -> None:
        """A place that hangs holds up nobody else; what was given up and succeeds all the same
        does not come twice."""
        self.hands.held = []
        first = ensureDeferred(self.exit.deliver(message("alice")))
        second = ensureDeferred(self.exit.deliver(message("alice", n=2)))
        third = ensureDeferred(self.exit.deliver(message("carol", n=3)))
        self.assertEqual(len(self.hands.held), 2)  # one for each place
        self.hands.held.pop()()
        self.assertEqual(self.successResultOf(third).reason, "mh")
        self.clock.advance(PATIENCE + 1)
        self.assertEqual(self.successResultOf(first).reason, "slow")
        self.assertEqual(self.successResultOf(second).reason, "busy")
        self.hands.held[0]()
        self.hands.held = None
        self.assertEqual(self.deliver(message("alice")), ("delivered", "maildir"))
        self.assertEqual(self.deliver(message("alice", n=2)), ("delivered", "maildir"))
        self.assertEqual(len(self.maildir), 2)

    def test_cancelled(self) -> None:
        """An attempt that is cancelled leaves the place to the next one when its work ends."""
        self.hands.held = []
        first = ensureDeferred(self.exit.deliver(message("alice")))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.hands.held[0]()
        self.hands.held = None
        self.assertEqual(self.deliver(message("alice")), ("delivered", "maildir"))
        self.assertEqual(len(self.maildir), 1)

    def test_stop(self) -> None:
        """A stop waits for what is being written, not for ever, and looks at no file after."""
        self.hands.held = []
        attempt = ensureDeferred(self.exit.deliver(message("alice")))
        stopped = ensureDeferred(self.exit.stop())
        self.assertNoResult(stopped)
        self.hands.held[0]()
        self.successResultOf(stopped)
        self.assertEqual(self.successResultOf(attempt).reason, "maildir")
        self.hands.held = []
        attempt = ensureDeferred(self.exit.deliver(message("alice", n=2)))
        stopped = ensureDeferred(self.exit.stop())
        self.clock.advance(11)
        self.successResultOf(stopped)
        attempt.cancel()
        self.failureResultOf(attempt)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class UsersTests(MboxCase):
    def test_changed(self) -> None:
        """A new file of users holds within a minute; who is gone from it gets nothing more."""
        self.users.write_text("[User eve]\nmaildir = alice\n")
        self.assertEqual(self.exit.check(["eve"], CONTENT, False), "unknown-user")
        self.clock.advance(LOOK + 1)
        self.assertIsNone(self.exit.check(["eve"], CONTENT, False))
        self.assertEqual(self.deliver(message("alice")), ("permanent", "unknown-user"))
        self.assertEqual(self.deliver(message("eve")), ("delivered", "maildir"))

    def test_broken(self) -> None:
        """A broken one changes nothing, is told in the log without a name, and looked at again."""
        self.users.write_text("[User eve]\nmaildri = alice\n")
        self.clock.advance(LOOK + 1)
        self.assertIsNone(self.exit.check(["alice"], CONTENT, False))
        self.assertTrue(any("has errors" in str(each["log_format"]) for each in self.logged.seen))
        self.users.write_text("[User eve]\nmaildir = alice\n")
        self.clock.advance(LOOK + 1)
        self.assertEqual(self.exit.check(["alice"], CONTENT, False), "unknown-user")

    def test_configuration(self) -> None:
        """What is wrong in the file of users is an error of the configuration, as is a user by
        LMTP without a server for it."""
        self.users.write_text("[User eve]\nlmtp = eve\n[User frank]\nlmtp = frank\n")
        self.made("lmtp = 127.0.0.1:24\n")
        for keys, words in (
            ("", ["[User eve]: the exit has no lmtp", "[User frank]: the exit"]),
            ("lmtp = unix:\n", ["unix:PATH"]),
            ("lmtp = 127.0.0.1\n", ["a port is missing"]),
            ("lmtp = unix:~/x\n", ["~ is not expanded"]),
        ):
            error = self.assertRaises(ConfigErrors, self.made, keys)
            self.assertEqual(len(error.problems), len(words))
            for word in words:
                self.assertIn(word, str(error.fields["listing"]))
        self.users.unlink()
        error = self.assertRaises(ConfigErrors, self.made)
        self.assertIn("No such file", error.fields["listing"])
