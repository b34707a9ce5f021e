"""The exit to news: its section, its articles, and every answer of a news server."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor as installed
from twisted.internet.defer import ensureDeferred, maybeDeferred
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import deferLater
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from mixminion.config import ConfigErrors
from mixminion.disk import private
from mixminion.exits.nntp import NntpExit, Section, UnusablePassword, make
from mixminion.exits.section import ExitSection
from mixminion.interfaces import IExit, Message
from mixminion.mail import news
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.certificates import Authority
from mixminion.util import armor
from tests.exits import kit
from tests.exits.lines import CUT, HANG_UP, SILENCE, LineServer, Script

reactor: Any = installed

CONTENT = (
    "From: Eve <eve@example.org>\r\nSubject: secret\r\nTo: bob@example.org\r\n"
    "Newsgroups: other.group\r\nDate: now\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    "Grüße\r\n.\r\n"
).encode()
CAPABILITIES = "101 list\r\nVERSION 2\r\nREADER\r\n."


def active(status: str = "y") -> Any:
    return lambda said: f"215 list\r\n{said.split()[2]} 0000000002 0000000001 {status}\r\n."


def configured(keys: str = "") -> Section:
    text = f"[Exit news]\nmodule = nntp\ndomain = mix.test\nserver = 127.0.0.1:119\n{keys}"
    if not re.search(r"(?m)^groups =", keys):
        text += "groups = *\n"
    [section] = kit.config(text).named(ExitSection).values()
    assert isinstance(section, Section)
    return section


def message(*groups: str, content: bytes = CONTENT, reply: bool = False) -> Message:
    surb_id = b"s" * 16 if reply else None
    return Message(
        "news", groups or ("misc.test",), content, surb_id, "<1@mix.test>", 1_800_000_000
    )


class SectionTests(SyncTestCase):
    def exit(self, keys: str = "") -> NntpExit:
        return make("news", configured(keys), kit.Environment(reactor))

    def test_published(self) -> None:
        """It is an exit, and publishes which groups it takes."""
        exit = self.exit("groups = misc.test, comp.*\ndeny = comp.risks\nmax-groups = 2\n")
        verifyObject(IExit, exit)
        described = exit.describe()
        self.assertEqual(described["groups"], ["misc.test", "comp.*"])
        self.assertEqual((described["deny"], described["max-recipients"]), (["comp.risks"], 2))

    def test_groups(self) -> None:
        """What the lists say: groups, all below one, all; what is denied is denied."""
        section = configured("groups = misc.test, comp.*\ndeny = comp.risks, comp.x.*\n")
        for group, allowed in (
            ("misc.test", True),
            ("misc.test.more", False),
            ("misc", False),
            ("comp.lang", True),
            ("comp", False),
            ("company.x", False),
            ("comp.risks", False),
            ("comp.x.y", False),
        ):
            self.assertEqual(section.allows(group), allowed, group)
        self.assertTrue(configured().allows("any.group"))

    def test_check(self) -> None:
        """What cannot be posted is refused before the queue, each with its word."""
        exit = self.exit("groups = *\ndeny = alt.*\nmax-groups = 2\n")
        for groups, content, word in (
            (["misc.test"], CONTENT, None),
            (["misc.test", "comp.lang.c++"], CONTENT, None),
            ([], CONTENT, "no-recipient"),
            (["a", "b", "c"], CONTENT, "too-many-groups"),
            (["alt.test"], CONTENT, "group-refused"),
            (["misc.test", "alt.test"], CONTENT, "group-refused"),
            (["a.b", "a.b"], CONTENT, "bad-group"),
            (["a b"], CONTENT, "bad-group"),
            (["a\r\nPOST"], CONTENT, "bad-group"),
            (["control"], CONTENT, "bad-group"),
            (["control.cancel"], CONTENT, "bad-group"),
            (["to.server"], CONTENT, "bad-group"),
            (["news.all"], CONTENT, "bad-group"),
            (["comp.CTL"], CONTENT, "bad-group"),
            (["misc.test"], b"x" * 70_000, "too-large"),
            (["misc.test"], b"no article", "not-a-message"),
            (["misc.test"], b"\r\nno subject\r\n", "bad-field"),
        ):
            self.assertEqual(exit.check(groups, content, False), word, groups)
        self.assertIsNone(exit.check(["misc.test"], b"sealed", True))
        self.assertEqual(exit.check(["a.b", "c.d"], b"sealed", True), "too-many-groups")

    def test_control_messages(self) -> None:
        """Nothing that steers servers is posted, in whatever letters."""
        exit = self.exit()
        for line in (
            b"Control: cancel <x@y>",
            b"CONTROL: newgroup a.b",
            b"Also-Control: cancel <x@y>",
            b"Approved: me@example.org",
            b"Supersedes: <x@y>",
            b"Cancel-Key: sha1:x",
        ):
            content = line + b"\r\n" + CONTENT
            self.assertEqual(exit.check(["misc.test"], content, False), "refused-field", line)
        for subject in (b"cmsg cancel <x@y>", b"CMSG rmgroup a.b"):
            content = CONTENT.replace(b"secret", subject)
            self.assertEqual(exit.check(["misc.test"], content, False), "refused-field")

    def test_wrong_values(self) -> None:
        """Each is told with its key."""
        for keys, key, word in (
            ("groups =\n", "groups", "at least"),
            ("groups = a b\n", "groups", "a newsgroup such as"),
            ("groups = *.test\n", "groups", "a newsgroup such as"),
            ("max-groups = 0\n", "max-groups", "at least 1"),
            ("from = a@other.test\n", "from", "in the domain"),
            ("ca-file = x\n", "ca-file", "tls = required"),
            ("user = a\npassword-file = x\n", "user", "in the clear"),
            ("tls = required\nuser = a\n", "password-file", "together"),
            ("tls = required\nuser = ä\npassword-file = x\n", "user", "ASCII"),
            ("tls = maybe\n", "tls", "implicit"),
        ):
            error = self.assertRaises(ConfigErrors, configured, keys)
            [problem] = error.problems
            self.assertIn(f"[Exit news] {key}", problem.key)
            self.assertIn(word, problem.expected)

    def test_password(self) -> None:
        """One that NNTP cannot carry keeps the server from starting."""
        path = Path(self.mktemp()).absolute()
        private.write(path, "pässword\n".encode())
        keys = f"tls = required\nuser = a\npassword-file = {path}\n"
        self.assertRaises(UnusablePassword, self.exit, keys)

    @given(st.text(max_size=30))
    @settings(max_examples=300)
    def test_any_group(self, text: str) -> None:
        """Whatever a sender calls a group, what is sent of it is one word without a pattern."""
        if news.is_group(text):
            self.assertRegex(text, r"\A[A-Za-z0-9+_.-]+\Z")


class NntpCase(AsyncTestCase):
    def setUp(self) -> None:
        self.logged = kit.Events()
        globalLogPublisher.addObserver(self.logged)
        self.addCleanup(globalLogPublisher.removeObserver, self.logged)
        self.script = Script(
            greeting="200 welcome",
            answers={
                "CAPABILITIES": CAPABILITIES,
                "LIST": active(),
                "STAT": "430 none",
                "QUIT": HANG_UP,
            },
            data="POST",
            go_on="340 go on",
            ends=("240 posted",),
        )
        self.server = LineServer(self.script)
        self.port = reactor.listenTCP(0, self.server, interface="127.0.0.1")
        self.exits: list[NntpExit] = []
        self.addCleanup(self.finish)

    async def finish(self) -> None:
        for exit in self.exits:
            await exit.stop()
        await maybeDeferred(self.port.stopListening)
        for _ in range(100):
            if not any(session.open for session in self.server.sessions):
                break
            await deferLater(reactor, 0.02)
        self.assertEqual([each for each in self.server.sessions if each.open], [])
        for event in self.logged.seen:
            for secret in ("misc.test", "secret", "scripted"):
                self.assertNotIn(secret, str(event))

    def answer(self, **answers: Any) -> None:
        self.script.answers = {**self.script.answers, **answers}

    def exit(self, keys: str = "tls = no\n", **shorter: Any) -> NntpExit:
        section = configured(keys)
        server = replace(section.server, port=self.port.getHost().port)
        made = make("news", replace(section, server=server, **shorter), kit.Environment(reactor))
        self.exits.append(made)
        return made

    async def post(
        self, keys: str = "tls = no\n", made: Message | None = None, **shorter: Any
    ) -> tuple[str, str]:
        outcome = await self.exit(keys, **shorter).deliver(made or message())
        return outcome.kind.value, outcome.reason


class PostTests(NntpCase):
    async def test_posted(self) -> None:
        """The dialogue, and the article: the groups are the envelope's, From, Date and Message-ID
        the exit's, what is for mail left out."""
        self.assertEqual(
            await self.post(made=message("misc.test", "a.b")), ("delivered", "nntp-240")
        )
        self.assertEqual(
            self.server.said[:4],
            ["CAPABILITIES", "LIST ACTIVE misc.test", "LIST ACTIVE a.b", "POST"],
        )
        head, _, body = self.server.data[0].partition(b"\r\n\r\n")
        self.assertEqual(body, "Grüße\r\n.\r\n".encode())
        lines = head.decode().split("\r\n")
        self.assertIn("Newsgroups: misc.test,a.b", lines)
        self.assertIn("From: Anonymous <anonymous@mix.test>", lines)
        self.assertIn("Message-ID: <1@mix.test>", lines)
        self.assertIn("Date: Fri, 15 Jan 2027 08:00:00 +0000", lines)
        self.assertFalse([each for each in lines if each.startswith(("To:", "Cc:"))])

    async def test_name(self) -> None:
        """Where the operator allows it, the sender's name stands beside the exit's address."""
        await self.post("tls = no\nallow-from = yes\n")
        self.assertIn(b"From: Eve <anonymous@mix.test>\r\n", self.server.data[0])

    async def test_reply(self) -> None:
        """A reply is posted as armored text with its handle."""
        await self.post(made=message(content=b"sealed", reply=True))
        head, _, body = self.server.data[0].partition(b"\r\n\r\n")
        self.assertIn(b"Newsgroups: misc.test\r\n", head)
        self.assertNotIn(b"To:", head)
        [block] = armor.decode(body.decode())
        self.assertEqual((block.headers, block.octets), ({"SURB-ID": "73" * 16}, b"sealed"))

    async def test_mode_reader(self) -> None:
        """It is said where the server asks for it, or cannot tell; who does not know it is asked
        all the same."""
        for capabilities, mode, said in (
            ("101 list\r\nMODE-READER\r\n.", "200 posting", True),
            ("500 what", "201 no posting", True),
            ("500 what", "500 what", True),
            (CAPABILITIES, "500 what", False),
        ):
            self.server.said.clear()
            self.answer(CAPABILITIES=capabilities, MODE=mode)
            self.assertEqual(await self.post(), ("delivered", "nntp-240"))
            self.assertEqual("MODE READER" in self.server.said, said)

    async def test_groups(self) -> None:
        """A group that is moderated, closed or not there refuses the article for good."""
        for status, reason in (
            ("m", "moderated"),
            ("n", "no-posting"),
            ("x", "no-posting"),
            ("=other.group", "no-posting"),
        ):
            self.answer(LIST=active(status))
            self.assertEqual(await self.post(), ("permanent", reason))
        self.answer(LIST="215 list\r\n.")
        self.assertEqual(await self.post(), ("permanent", "unknown-group"))
        self.answer(LIST="215 list\r\nmisc.testing 2 1 y\r\nmisc.test\r\n.")
        self.assertEqual(await self.post(), ("permanent", "unknown-group"))
        self.assertEqual(self.server.data, [])

    async def test_answers(self) -> None:
        """Each answer to an article has its outcome."""
        for said, stat, outcome in (
            ("240 posted", "430 none", ("delivered", "nntp-240")),
            ("441 failed", "430 none", ("permanent", "nntp-441")),
            ("441 failed", "223 0 there", ("delivered", "duplicate")),
            ("441 435 Duplicate", "430 none", ("delivered", "duplicate")),
            ("441 436 later", "430 none", ("temporary", "nntp-436")),
            ("441 437 too old", "430 none", ("permanent", "nntp-437")),
            ("441 4350 x", "430 none", ("permanent", "nntp-441")),
            ("435 have it", "430 none", ("delivered", "duplicate")),
            ("436 later", "430 none", ("temporary", "nntp-436")),
            ("437 no", "430 none", ("permanent", "nntp-437")),
            ("400 going", "430 none", ("unreachable", "nntp-400")),
            ("503 broken", "430 none", ("unreachable", "nntp-503")),
        ):
            self.script.ends = (said,)
            self.answer(STAT=stat)
            self.assertEqual(await self.post(), outcome, said)

    async def test_groups_changed(self) -> None:
        """A group that was denied after the message was stored is not posted to."""
        outcome = await self.post("tls = no\ngroups = comp.*\n")
        self.assertEqual(outcome, ("permanent", "group-refused"))


class AwayTests(NntpCase):
    async def test_codes(self) -> None:
        """What concerns who we are, or the server as a whole, holds everything for it."""
        for word, answer in (
            ("POST", "440 no posting"),
            ("POST", "480 who are you"),
            ("POST", "502 no"),
            ("LIST", "480 who are you"),
            ("LIST", "503 no"),
        ):
            before = self.script.answers
            self.answer(**{word: answer})
            self.assertEqual(await self.post(), ("unreachable", f"nntp-{answer[:3]}"))
            self.script.answers = before
        for greeting in ("400 going", "502 no"):
            self.script.greeting = greeting
            self.assertEqual(await self.post(), ("unreachable", f"nntp-{greeting[:3]}"))

    async def test_connections(self) -> None:
        """So do connections that end, stay silent or talk nonsense, at each command."""
        for word in ("CAPABILITIES", "LIST", "POST"):
            for answer, reason in (
                (CUT, "disconnected"),
                (HANG_UP, "closed"),
                (SILENCE, "timeout"),
                ("nonsense", "protocol"),
            ):
                before = self.script.answers
                self.answer(**{word: answer})
                self.assertEqual(await self.post(timeout=0.1), ("unreachable", reason))
                self.script.answers = before
        self.script.ends = (SILENCE,)
        self.assertEqual(await self.post(final_timeout=0.1), ("unreachable", "timeout"))
        self.answer(LIST="215 list\r\n" + "x 1 1 y\r\n" * 1100 + ".")
        self.assertEqual(await self.post(), ("unreachable", "protocol"))
        await maybeDeferred(self.port.stopListening)
        exit = make("news", configured("tls = no\n"), kit.Environment(reactor))
        self.assertEqual((await exit.deliver(message())).kind.value, "unreachable")

    async def test_stop(self) -> None:
        """A stop lets an article under way be posted."""
        self.answer(LIST=SILENCE)
        exit = self.exit()
        posting = ensureDeferred(exit.deliver(message()))
        while len(self.server.said) < 2:
            await deferLater(reactor, 0.01)
        stopping = ensureDeferred(exit.stop())
        self.assertNoResult(stopping)
        self.server.sessions[0]._say("215 list\r\nmisc.test 2 1 y\r\n.")
        self.assertEqual((await posting).reason, "nntp-240")
        await stopping


class TlsTests(NntpCase):
    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority(time.time())
        self.ca_file = Path(self.mktemp()).absolute()
        self.ca_file.write_bytes(self.authority.pem)
        self.password = Path(self.mktemp()).absolute()
        private.write(self.password, b"open sesame\n")
        self.answer(
            CAPABILITIES="101 list\r\nREADER\r\nSTARTTLS\r\n.",
            STARTTLS="382 go",
            AUTHINFO=lambda said: "381 more" if "USER" in said else "281 welcome",
        )
        self.script.tls = self.options("127.0.0.1")

    def options(self, host: str) -> Any:
        certificate, key = self.authority.issue([host])
        return PrivateCertificate.loadPEM(key + certificate).options()

    @property
    def required(self) -> str:
        return f"tls = required\nca-file = {self.ca_file}\n"

    @property
    def login(self) -> str:
        return f"user = mixer\npassword-file = {self.password}\n"

    async def test_starttls(self) -> None:
        """TLS begins before anything is said of groups, with a checked certificate."""
        self.assertEqual(await self.post(self.required), ("delivered", "nntp-240"))
        self.assertEqual(
            self.server.said[:3], ["CAPABILITIES", "STARTTLS", "LIST ACTIVE misc.test"]
        )
        self.assertTrue(self.server.sessions[0].tls)

    async def test_authenticated(self) -> None:
        """The password is said under TLS; a wrong one is told as such."""
        self.assertEqual(await self.post(self.required + self.login), ("delivered", "nntp-240"))
        said = self.server.said
        at = said.index("AUTHINFO USER mixer")
        self.assertEqual(said[at + 1], "AUTHINFO PASS open sesame")
        self.assertLess(said.index("STARTTLS"), at)
        for wrong in ("481 no", "482 what", "502 no"):
            self.answer(AUTHINFO=wrong)
            outcome = await self.post(self.required + self.login)
            self.assertEqual(outcome, ("unreachable", f"nntp-{wrong[:3]}"))

    async def test_wrong_certificate(self) -> None:
        """Another host's, or nobody's that is trusted: nothing is said."""
        self.script.tls = self.options("news.other.test")
        self.assertEqual(await self.post(self.required + self.login), ("unreachable", "tls-failed"))
        self.assertFalse([each for each in self.server.said if "LIST" in each or "AUTH" in each])

    async def test_not_offered(self) -> None:
        """Where TLS is required nothing is sent without; where it is not, it is done without."""
        self.answer(CAPABILITIES=CAPABILITIES)
        self.assertEqual(await self.post(self.required), ("unreachable", "tls-missing"))
        self.assertEqual(await self.post("tls = opportunistic\n"), ("delivered", "nntp-240"))
        self.answer(CAPABILITIES="101 list\r\nSTARTTLS\r\n.", STARTTLS="580 cannot")
        self.assertEqual(await self.post(self.required), ("unreachable", "tls-missing"))

    async def test_injected(self) -> None:
        """What comes in the clear behind the answer to STARTTLS ends it."""
        self.answer(STARTTLS="382 go\r\n281 welcome")
        self.assertEqual(await self.post(self.required), ("unreachable", "protocol"))

    async def test_implicit(self) -> None:
        """TLS from the beginning, at a port of its own."""
        await maybeDeferred(self.port.stopListening)
        self.port = reactor.listenSSL(
            0, self.server, self.options("127.0.0.1"), interface="127.0.0.1"
        )
        keys = f"tls = implicit\nca-file = {self.ca_file}\n{self.login}"
        self.assertEqual(await self.post(keys), ("delivered", "nntp-240"))
        self.assertNotIn("STARTTLS", self.server.said)
        self.assertIn("AUTHINFO PASS open sesame", self.server.said)
