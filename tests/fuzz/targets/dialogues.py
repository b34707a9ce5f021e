"""Servers that answer lines, for local delivery and for news; and the file of local users."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from mixminion.config import ConfigErrors
from mixminion.exits import mbox_users
from mixminion.exits.dialogue import Away
from mixminion.exits.lmtp import Lmtp
from mixminion.exits.nntp_session import Manner, NewsServer
from mixminion.exits.smtp_auth import Credentials
from mixminion.interfaces import Outcome, OutcomeKind
from mixminion.mail.compose import Mail
from mixminion.mail.fields import Field
from mixminion.testing.clock import HeapClock
from tests.fuzz import mutators
from tests.fuzz.driver import Subject, Target
from tests.fuzz.targets.links import chance
from tests.fuzz.targets.wire import Wire, talk

_WORD = re.compile(r"[a-z][a-z0-9-]{0,30}")
_MAIL = Mail((Field("Subject", "x"),), b"\xff line\r\n.\r\n")


@implementer(IStreamClientEndpoint)
class _Plug:
    """Connects to *wire* at once."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.protocol: Any = None

    def connect(self, factory: Any) -> Deferred[Any]:
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self._wire)
        return succeed(self.protocol)


def _lmtp() -> Subject:
    """A server for local delivery that is given one mail for three."""
    clock = HeapClock()
    recipients = ("bob", "eve", "alice@example.org")
    hello = b"220 there\r\n250-there\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
    corpus = [
        hello + b"250 ok\r\n" * 4 + b"354 go\r\n250 a\r\n452 b\r\n550 c\r\n",
        hello + b"250 ok\r\n550 no\r\n450 later\r\n250 ok\r\n354 go\r\n250 a\r\n",
        b"220 there\r\n250 there\r\n" + b"250 ok\r\n" * 4 + b"354 go\r\n" + b"250 ok\r\n" * 3,
        hello + b"550 no\r\n",
        hello + b"250 ok\r\n421 bye\r\n",
    ]

    def run(octets: bytes) -> object:
        random, wire = chance(octets), Wire()
        plug = _Plug(wire)
        server = Lmtp(clock, plug, "mix.example", 300.0)
        results: list[Any] = []
        sending = ensureDeferred(server.send("a@mix.example", recipients, _MAIL))
        _ = sending.addBoth(results.append)
        for _ in talk(plug.protocol, wire, octets, random):
            clock.advance(random.choice((0, 0, 0, 1, 400)))
        clock.advance(2000)
        assert len(results) == 1 and not clock.getDelayedCalls()
        [result] = results
        if isinstance(result, Failure):
            result.trap(Away)
            assert _WORD.fullmatch(result.value.reason), result.value.reason
            return result.value.reason
        assert tuple(result) == recipients
        assert all(
            code in range(200, 600) and code not in range(300, 400) for code in result.values()
        )
        taken = [code for code in result.values() if code < 300]
        assert not taken or wire.value().count(b"\r\n.\r\n") == 1
        return len(taken)

    return Subject(run, corpus)


def _nntp() -> Subject:
    """A news server that is given one article for two groups."""
    clock = HeapClock()
    ready = b"200 hello\r\n101 list\r\nVERSION 2\r\nREADER\r\nSTARTTLS\r\n.\r\n"
    groups = b"215 list\r\na.b 2 1 y\r\n.\r\n215 list\r\nc.d 2 1 y\r\n.\r\n"
    reader = b"200 hello\r\n101 list\r\nMODE-READER\r\n.\r\n201 ok\r\n101 list\r\n.\r\n"
    posted = groups + b"340 go\r\n240 ok\r\n"
    corpus = [
        ready + posted,
        ready + b"382 go\r\n" + posted,
        ready + b"382 go\r\n381 more\r\n281 ok\r\n" + posted,
        reader + posted,
        b"200 hello\r\n500 what\r\n500 what\r\n500 what\r\n" + posted,
        ready + groups + b"340 go\r\n441 435 have it\r\n",
        ready + groups + b"340 go\r\n441 no\r\n223 0 there\r\n",
        ready + b"215 list\r\na.b 2 1 m\r\n.\r\n",
        ready + groups + b"440 no\r\n",
    ]

    def run(octets: bytes) -> object:
        random, wire = chance(octets), Wire()
        plug, mode = _Plug(wire), random.randrange(4)
        manner = Manner(
            tls=object() if mode else None,  # type: ignore[arg-type]
            required=mode >= 2,
            credentials=Credentials("user", b"password") if mode == 3 else None,
            timeout=300.0,
            final_timeout=600.0,
        )
        results: list[Any] = []
        server = NewsServer(clock, plug, manner)
        posting = ensureDeferred(server.post(("a.b", "c.d"), "<x@mix.example>", _MAIL.octets()))
        _ = posting.addBoth(results.append)
        for _ in talk(plug.protocol, wire, octets, random):
            clock.advance(random.choice((0, 0, 0, 1, 400)))
        clock.advance(2000)
        assert len(results) == 1 and not clock.getDelayedCalls()
        [result] = results
        assert isinstance(result, Outcome) and _WORD.fullmatch(result.reason), result
        said = wire.value()
        assert mode < 2 or wire.tls or b"LIST" not in said
        assert wire.tls or b"AUTHINFO" not in said
        if result.kind is OutcomeKind.DELIVERED:
            assert said.count(b"\r\n.\r\n") == 1
        return result.kind, result.reason

    return Subject(run, corpus)


def _users() -> Subject:
    """The file of an mbox exit's users."""
    corpus = [
        b"[User alice]\nmaildir = /home/alice/Maildir\n[User bob]\nmbox = bob\nform = text\n",
        b"[User a.b-c_1]\naddress = a@b.example\n# x\n[User d]\nlmtp = d\n",
        b"[User e]\nmh = x/y\n",
    ]

    def run(octets: bytes) -> object:
        found = mbox_users.of_text(octets.decode("latin-1"), Path("/test/users"))
        for name, user in found.items():
            assert mbox_users.name_of(name) == name
            places = (user.address, user.lmtp, user.maildir, user.mbox, user.mh)
            assert sum(each is not None for each in places) == 1
        return len(found)

    return Subject(run, corpus)


_LINE_WORDS = (
    b"250 ok\r\n", b"250-", b"354 go\r\n", b"340 go\r\n", b"240 ok\r\n", b"215 list\r\n", b".\r\n",
    b"441 435 x\r\n", b"421 \r\n", b"400 \r\n", b"480 \r\n", b"382 go\r\n", b"..\r\n", b"999 x\r\n",
    b"25", b"\r\n", b"\xff", b"a.b 2 1 y\r\n", b"101 list\r\n", b"STARTTLS\r\n", b"281 ok\r\n",
)  # fmt: skip
_USER_WORDS = (
    b"[User ", b"]", b"\n", b"maildir = ", b"mbox = ", b"mh = ", b"lmtp = ", b"address = ",
    b"form = ",
    b"@", b"~", b"/", b"..", b"mime", b"text", b"\t", b"#", b"\x00",
)  # fmt: skip

TARGETS = [
    Target("lmtp", _lmtp, (), mutators.LINES, _LINE_WORDS, 20_000),
    Target("nntp", _nntp, (), mutators.LINES, _LINE_WORDS, 20_000),
    Target("local-users", _users, (ConfigErrors,), mutators.LINES, _USER_WORDS, 8192),
]
