"""Articles posted to a real INN, and read back from its spool."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import ensureDeferred
from typing_extensions import override

from mixminion.disk import private
from mixminion.exits import registry
from mixminion.exits.nntp import NntpExit
from mixminion.interfaces import Message
from mixminion.testing.cases import AsyncTestCase
from mixminion.util import armor
from tests.exits import kit
from tests.integration.inn import PASSWORD, USER, Inn

reactor: Any = installed

CONTENT = (
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nTo: bob@example.org\r\nX-Mailer: mine\r\n"
    "References: <first@example.org>\r\nFollowup-To: local.other\r\n"
    "Content-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n.\r\n..\r\n.x\r\nEnd\r\n"
).encode()


class InnTests(AsyncTestCase):
    timeout = 120

    @override
    def setUp(self) -> None:
        self.inn = Inn()
        self.addCleanup(self.inn.stop)

    def exit(self, host: str = "127.0.0.1", keys: str = "") -> NntpExit:
        text = (
            f"[Exit news]\nmodule = nntp\ndomain = mix.test\nserver = {host}:{self.inn.port}\n"
            f"groups = *\nmax-message = 1 MiB\n{keys}"
        )
        [exit] = registry.load(kit.config(text), kit.Environment(reactor), kit.MODULES).values()
        assert isinstance(exit, NntpExit)
        self.addCleanup(lambda: ensureDeferred(exit.stop()))
        return exit

    async def post(
        self,
        groups: Sequence[str],
        content: bytes = CONTENT,
        *,
        n: int = 1,
        host: str = "127.0.0.1",
        reply: bool = False,
        keys: str = "",
    ) -> tuple[str, str]:
        surb_id = b"s" * 16 if reply else None
        made = Message("news", tuple(groups), content, surb_id, f"<{n}@mix.test>", self.now())
        exit = self.exit(host, keys)
        self.assertIsNone(exit.check(groups, content, reply))
        outcome = await exit.deliver(made)
        return outcome.kind.value, outcome.reason

    def now(self) -> int:
        return int(reactor.seconds())  # INN refuses articles that are old

    def read(self, group: str) -> list[EmailMessage]:
        found = [
            email.message_from_bytes(each, policy=email.policy.default)
            for each in self.inn.articles(group)
        ]
        return [each for each in found if isinstance(each, EmailMessage)]

    async def test_posted(self) -> None:
        """An article arrives in all its groups with its body octet for octet and the fields of the
        lists, on IPv4 and IPv6; handed over again it is recognised and stands there once."""
        for n, host in enumerate(("127.0.0.1", "[::1]")):
            groups = ["local.test", "local.other"]
            self.assertEqual(await self.post(groups, n=n, host=host), ("delivered", "nntp-240"))
            self.assertEqual(await self.post(groups, n=n, host=host), ("delivered", "duplicate"))
        for group in ("local.test", "local.other"):
            first, second = self.read(group)
            self.assertEqual(
                [first["Message-ID"], second["Message-ID"]], ["<0@mix.test>", "<1@mix.test>"]
            )
            self.assertEqual(first["Newsgroups"], "local.test,local.other")
            self.assertEqual(first["Followup-To"], "local.other")
            self.assertEqual(first["Subject"], "Grüße")
            self.assertEqual(first["From"], "Anonymous <anonymous@mix.test>")
            self.assertEqual(first["References"], "<first@example.org>")
            for removed in ("To", "X-Mailer"):
                self.assertNotIn(removed, first)
        [octets, _] = self.inn.articles("local.test")
        self.assertEqual(octets.partition(b"\r\n\r\n")[2], CONTENT.partition(b"\r\n\r\n")[2])

    async def test_reply(self) -> None:
        """A reply is an armored article."""
        self.assertEqual(
            await self.post(["local.test"], b"sealed" * 3000, reply=True), ("delivered", "nntp-240")
        )
        [article] = self.read("local.test")
        [block] = armor.decode(article.get_content())
        self.assertEqual((block.headers, block.octets), ({"SURB-ID": "73" * 16}, b"sealed" * 3000))

    async def test_refused(self) -> None:
        """Moderated, closed and unknown groups are refused for good, and nothing is posted, also
        where the others of the article would take it."""
        for group, reason in (
            ("local.moderated", "moderated"),
            ("local.closed", "no-posting"),
            ("local.unknown", "unknown-group"),
        ):
            self.assertEqual(await self.post([group]), ("permanent", reason))
            self.assertEqual(await self.post(["local.test", group]), ("permanent", reason))
        self.assertEqual(await self.post(["local.test"]), ("delivered", "nntp-240"))
        self.assertEqual(len(self.read("local.test")), 1)

    async def test_tls_and_password(self) -> None:
        """Under TLS, the certificate checked, and with the password a group takes articles that is
        not even shown to others; a wrong password is told as such, and nothing is posted."""
        path = Path(self.mktemp()).absolute()
        private.write(path, PASSWORD.encode() + b"\n")
        keys = f"tls = required\nca-file = {self.inn.ca_file}\n"
        login = f"user = {USER}\npassword-file = {path}\n"
        self.assertEqual(await self.post(["users.test"], keys=keys), ("permanent", "unknown-group"))
        self.assertEqual(
            await self.post(["users.test"], keys=keys + login), ("delivered", "nntp-240")
        )
        self.assertEqual(len(self.read("users.test")), 1)
        private.write(path, b"wrong\n")
        outcome = await self.post(["users.test"], keys=keys + login, n=2)
        self.assertEqual(outcome, ("unreachable", "nntp-481"))
        self.assertEqual(len(self.read("users.test")), 1)

    async def test_what_the_server_refuses(self) -> None:
        """What it will not have, such as an article whose date is long past, fails for good."""
        made = Message("news", ("local.test",), CONTENT, None, "<9@mix.test>", 1_000_000_000)
        outcome = await self.exit().deliver(made)
        self.assertEqual((outcome.kind.value, outcome.reason[:6]), ("permanent", "nntp-4"))
