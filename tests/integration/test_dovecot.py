"""Mail for local users, read over IMAP from a real Dovecot: put into Maildirs, and by LMTP."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import ensureDeferred
from typing_extensions import override

from mixminion.crypto.rng import SeededRandom
from mixminion.exits import registry
from mixminion.exits.mbox import MboxExit
from mixminion.interfaces import Message
from mixminion.mail import handle
from mixminion.mail.data import canonical
from mixminion.testing.cases import AsyncTestCase
from mixminion.util import armor
from tests.exits import kit
from tests.integration.dovecot_lmtp import Dovecot
from tests.integration.test_postfix import body, mime_message

reactor: Any = installed

USERS = """\
[User alice]
maildir = {mail}/alice
[User bob]
lmtp = bob
form = text
[User carol]
lmtp = carol@example.test
[User nobody]
lmtp = nobody
[User fred]
lmtp = fred
"""


class DovecotTests(AsyncTestCase):
    timeout = 120

    @override
    def setUp(self) -> None:
        self.dovecot = Dovecot("alice", "bob", "carol")
        self.addCleanup(self.dovecot.stop)
        self.content = mime_message()
        self.users = Path(self.mktemp()).absolute()
        self.users.write_text(USERS.format(mail=self.dovecot.mail))

    def exit(self, lmtp: str) -> MboxExit:
        text = (
            f"[Exit mbox]\nmodule = mbox\ndomain = mix.test\nusers = {self.users}\nlmtp = {lmtp}\n"
        )
        [exit] = registry.load(kit.config(text), kit.Environment(reactor), kit.MODULES).values()
        assert isinstance(exit, MboxExit)
        self.addCleanup(lambda: ensureDeferred(exit.stop()))
        return exit

    async def deliver(self, exit: MboxExit, user: str, n: int = 1, *, reply: bool = False) -> Any:
        content = SeededRandom(b"sealed").octets(20_740) if reply else self.content
        surb_id = b"s" * 16 if reply else None
        made = Message("mbox", (user,), content, surb_id, f"<{n}@mix.test>", 1_800_000_000)
        outcome = await exit.deliver(made)
        return outcome.kind.value, outcome.reason

    def read(self, user: str) -> list[EmailMessage]:
        mails = [
            email.message_from_bytes(each, policy=email.policy.default)
            for each in self.dovecot.mails(user)
        ]
        return sorted(
            (each for each in mails if isinstance(each, EmailMessage)),
            key=lambda each: str(each["Message-ID"]),
        )

    async def test_maildir(self) -> None:
        """What the exit puts into a Maildir is there over IMAP: mail octet for octet, a reply
        with its handle, and each once though it was handed over twice."""
        exit = self.exit(f"127.0.0.1:{self.dovecot.lmtp_port}")
        with self.dovecot.as_owner():
            for _ in range(2):
                for n, reply in ((1, False), (2, True)):
                    outcome = await self.deliver(exit, "alice", n, reply=reply)
                    self.assertEqual(outcome, ("delivered", "maildir"))
        mail, reply_mail = self.read("alice")
        self.assertEqual(mail["Subject"], "Grüße aus Köln")
        [attachment] = mail.iter_attachments()
        self.assertEqual(attachment.get_content(), bytes(range(256)) * 10)
        [octets] = [each for each in self.dovecot.mails("alice") if b"<1@mix.test>" in each]
        self.assertEqual(body(octets), body(canonical(self.content)))
        self.assertEqual(reply_mail[handle.FIELD], "73" * 16)
        self.assertEqual(reply_mail.get_content(), SeededRandom(b"sealed").octets(20_740))

    async def test_lmtp(self) -> None:
        """By LMTP, over TCP and over a socket in the file system: in the form each user wants;
        whom the server does not know, and whose mailbox is full, fails for good, by its answer."""
        for n, where in enumerate(
            (f"127.0.0.1:{self.dovecot.lmtp_port}", f"unix:{self.dovecot.lmtp_socket}")
        ):
            exit = self.exit(where)
            for user in ("bob", "carol"):
                outcome = await self.deliver(exit, user, n, reply=user == "bob")
                self.assertEqual(outcome, ("delivered", "lmtp-250"))
            self.assertEqual(await self.deliver(exit, "nobody"), ("permanent", "lmtp-550"))
            self.assertEqual(await self.deliver(exit, "fred"), ("permanent", "lmtp-552"))
        armored = self.read("bob")
        self.assertEqual(len(armored), 2)
        [block] = armor.decode(armored[0].get_content())
        self.assertEqual(block.headers, {"SURB-ID": "73" * 16})
        mails = self.read("carol")
        self.assertEqual([each["Message-ID"] for each in mails], ["<0@mix.test>", "<1@mix.test>"])
        self.assertEqual(mails[0]["Subject"], "Grüße aus Köln")
        self.assertEqual(mails[0]["Return-Path"], "<anonymous@mix.test>")

    async def test_stopped(self) -> None:
        """While it is away mail waits."""
        exit = self.exit(f"127.0.0.1:{self.dovecot.lmtp_port}")
        self.dovecot.halt()
        self.assertEqual(await self.deliver(exit, "bob"), ("temporary", "refused"))
