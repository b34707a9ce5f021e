"""The desk: opting out by link over real HTTP, and ports that cannot be opened."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mixminion.config import parse
from mixminion.counters import Counters, Name
from mixminion.crypto.rng import SystemRandom
from mixminion.exits import ports
from mixminion.exits.abuse import AbuseSection
from mixminion.exits.desk import Desk
from mixminion.exits.mbox import MboxExit
from mixminion.exits.section import ExitSection
from mixminion.interfaces import IExit, Message, Outcome, OutcomeKind
from mixminion.testing.cases import AsyncTestCase
from tests.exits import kit
from tests.exits.test_mbox import Hands

reactor: Any = installed

BODY = "List-Unsubscribe=One-Click"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class DeskCase(AsyncTestCase):
    """A desk that runs, with a guarded exit."""

    section = (
        "opt-out-url = https://mix.test/no-more/\nopt-out-listen = tcp:0:interface=127.0.0.1\n"
    )

    async def setUp(self) -> None:  # type: ignore[override]
        self.logged = kit.Events()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)
        self.home = Path(self.mktemp()).absolute()
        (self.home / "keys").mkdir(parents=True, mode=0o700)
        self.home.chmod(0o700)
        self.counters = Counters()
        self.desk = self.make()
        self.exit = kit.ScriptedExit()
        self.exit.domain = "mix.test"
        self.guard = self.desk.guard(self.exit)
        self.desk.start()
        self.addCleanup(lambda: self.desk.stop())
        await deferLater(reactor, 0)

    def make(self) -> Desk:
        text = f"[Abuse]\n{self.section}"
        config = parse(text, filename=str(self.home / "conf"), sections=[AbuseSection])
        return Desk(
            self.home,
            config[AbuseSection],
            reactor,
            SystemRandom(),
            self.counters,
            domains={"mix.test"},
            contact="operator <me@mix.test>",
        )

    async def mail(self, name: str = "bob@x.test") -> Message:
        """What the exit gets of a mail for *name*."""
        message = Message("test", (name,), b"text", None, "<1@mix.test>", 1_800_000_000)
        await self.guard.deliver(message)
        return self.exit.seen.pop()


class PageTests(DeskCase):
    async def ask(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Status, text and header of an answer over HTTP."""

        def request() -> tuple[int, str, dict[str, str]]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            connection.close()
            return answer.status, text, dict(answer.getheaders())

        [listening] = self.desk._ports
        port = listening.address.port
        return await deferToThread(request)

    async def link(self, name: str = "bob@x.test") -> str:
        """The path of the link in a mail."""
        link = dict((await self.mail(name)).fields)["List-Unsubscribe"]
        self.assertTrue(link.startswith("<https://mix.test/no-more/"))
        return link.removeprefix("<https://mix.test").removesuffix(">")

    async def test_one_click(self) -> None:
        """Looking does nothing; the button, or a mail program, does it at once and for good."""
        link = await self.link("Bob+x@x.test")
        for method in ("GET", "HEAD", "GET"):
            status, text, headers = await self.ask(method, link)
            self.assertEqual(status, 200)
        self.assertIn('<form method="post">', text)
        self.assertIn("operator &lt;me@mix.test&gt;", text)
        self.assertEqual(headers["Cache-Control"], "no-store")
        self.assertFalse(self.desk.blocking.refuse("bob@x.test"))
        status, text, _ = await self.ask("POST", link, BODY, **FORM)
        self.assertEqual((status, "Done" in text), (200, True))
        self.assertTrue(self.desk.blocking.refuse("bob@x.test"))
        self.assertFalse(self.desk.blocking.refuse("eve@x.test"))
        self.assertEqual((await self.ask("POST", link, BODY, **FORM))[0], 200)
        self.assertEqual(self.counters[Name.OPTED_OUT], 1)
        [row] = self.desk.listing(None)["entries"]
        self.assertEqual(row["origin"], "link")

        await self.desk.stop()
        self.desk = self.make()
        self.desk.start()
        self.assertTrue(self.desk.blocking.refuse("BOB@x.test"))

    async def test_multipart(self) -> None:
        """The form in which some mail programs send it (RFC 8058, 3.2)."""
        field = 'Content-Disposition: form-data; name="List-Unsubscribe"'
        body = f"--b\r\n{field}\r\n\r\nOne-Click\r\n--b--\r\n"
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        self.assertEqual((await self.ask("POST", await self.link(), body, **kind))[0], 200)
        self.assertTrue(self.desk.blocking.refuse("bob@x.test"))

    async def test_refused(self) -> None:
        """What is no link, no wish, or too long does nothing; nor does another method."""
        link = await self.link()
        for method, path, body, wanted in (
            ("GET", "/", None, 404),
            ("GET", link[:-1], None, 404),
            ("POST", link[:-1] + ("A" if link[-1] != "A" else "B"), BODY, 404),
            ("POST", link, "", 400),
            ("POST", link, "List-Unsubscribe=No", 400),
            ("POST", link, BODY + "&" + "x" * 5000, 413),
            ("PUT", link, BODY, 501),
        ):
            status, *_ = await self.ask(method, path, body, **FORM)
            self.assertEqual(status, wanted, (method, path))
        self.assertEqual(self.desk.blocking.entries, {})

    async def test_cannot_be_stored(self) -> None:
        """Who cannot be put on the list is told so, and nothing of him is logged."""
        link = await self.link()
        path = self.home / "blocked.sqlite"
        path.mkdir()
        status, text, _ = await self.ask("POST", link, BODY, **FORM)
        self.assertEqual((status, "Try again later" in text), (503, True))
        said = " ".join(str(each) for each in self.logged.seen)
        self.assertIn("could not be stored", said)
        self.assertNotIn(link[-50:], said)
        path.rmdir()

    async def test_nothing_is_logged(self) -> None:
        """Neither who asks, nor what."""
        link = await self.link()
        for method in ("GET", "HEAD", "PUT"):
            await self.ask(method, link)
        await self.ask("POST", link, BODY, **FORM)
        said = " ".join(str(each) for each in self.logged.seen)
        for part in (link[-50:], "127.0.0.1", "x.test"):
            self.assertNotIn(part, said.replace("interface=127.0.0.1", ""))


class PortTests(DeskCase):
    async def test_in_use(self) -> None:
        """A port that somebody else has is asked for again, and status says so."""
        self.patch(ports, "AGAIN", 0.05)
        [listening] = self.desk._ports
        where = f"tcp:{listening.address.port}:interface=127.0.0.1"
        port = ports.Port(reactor, "the second page", where, Factory(), 1)
        await port.start()
        self.assertFalse(port.open)
        self.assertEqual(list(self.desk.attention([])), [])
        await self.desk.stop()
        self.assertEqual(len(list(self.desk.attention([]))), 1)
        while not port.open:
            await deferLater(reactor, 0.02)
        await port.stop()
        self.desk = self.make()

    async def test_local_users(self) -> None:
        """A local user whose mail goes to an address gets none when that is on the list."""
        users = self.home / "users"
        users.write_text("[User bob]\naddress = bob@x.test\n")
        text = f"[Exit mbox]\nmodule = mbox\ndomain = mix.test\nusers = {users}\n"
        [section] = kit.config(text).named(ExitSection).values()
        made = MboxExit(
            "mbox", section, clock=reactor, executor=Hands(), addresses=self.exit, lmtp=None
        )
        guarded = self.desk.guard(made)
        message = Message("mbox", ("bob",), b"Subject: x\r\n\r\nx\r\n", None, "<1@m>", 1)
        self.assertEqual(await guarded.deliver(message), kit.DELIVERED)
        self.assertEqual(self.exit.seen.pop().recipients, ("bob@x.test",))
        await self.desk.add("bob@x.test")
        blocked = Outcome(OutcomeKind.PERMANENT, "blocked")
        self.assertEqual(await guarded.deliver(message), blocked)
        self.assertEqual(self.exit.seen, [])

    async def test_guards_mail_alone(self) -> None:
        """An exit that is none to mail stays as it is."""
        verifyObject(IExit, self.guard)
        other = kit.ScriptedExit()
        self.assertIs(self.desk.guard(other), other)
