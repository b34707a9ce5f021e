"""What comes to an exit's own domain, and to its page: LMTP, letters, bounces, forms, rules."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import ensureDeferred

from mixminion.config import ConfigErrors
from mixminion.counters import Counters
from mixminion.crypto.aead import Forged
from mixminion.dirhttp.site import QuietSite
from mixminion.disk.database import InlineExecutor
from mixminion.exits import rules, templates
from mixminion.exits.blocking import Blocking
from mixminion.exits.lmtp_intake import LmtpFactory
from mixminion.exits.page import LONGEST_BODY, OptOutPage
from mixminion.exits.post import Post
from mixminion.exits.tokens import Tokens
from mixminion.interfaces import Outcome, OutcomeKind
from mixminion.mail import address
from mixminion.mail.compose import Mail
from mixminion.testing.clock import HeapClock
from tests.exits.test_letters import report
from tests.fuzz import mutators
from tests.fuzz.driver import Subject, Target
from tests.fuzz.targets.links import chance
from tests.fuzz.targets.wire import Wire, talk

NOW = 1_800_000_000.0
TOKENS = Tokens(bytes(32))
TEXTS = templates.read(None)


class _Desk:
    """A post with a list in memory, and what it sends."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp())
        self.clock = HeapClock(NOW)
        self.blocking = Blocking(folder / "list", bytes(32), [], self.clock)
        self.blocking.open(InlineExecutor())
        self.sent = 0
        self.post = Post(
            domains={"mix.test"},
            contact="me@home.test",
            told="me",
            blocking=self.blocking,
            tokens=TOKENS,
            templates=lambda: TEXTS,
            send=self.send,
            counters=Counters(),
            clock=self.clock,
        )
        self.entry = self.blocking.hashed("bob@x.test")
        self.token = TOKENS.link(self.entry, "<1@mix.test>")

    @property
    def back(self) -> str:
        """Where what is sent today comes back to."""
        return f"bounce+{TOKENS.bounce(self.entry, self.clock.seconds())}@mix.test"

    async def send(self, domain: str, recipient: str, mail: Mail) -> Outcome:
        octets = mail.octets()
        assert octets.endswith(b"\r\n")
        assert octets.count(b"\r\nTo: ") == 1
        self.sent += 1
        return Outcome(OutcomeKind.DELIVERED, "smtp-250")


def _sessions() -> Subject:
    """A mail server, or whoever reaches the port."""
    desk = _Desk()
    mail = f"From: bob@x.test\r\nSubject: {desk.token}\r\n\r\nx\r\n.\r\n".encode()
    envelope = b"LHLO a\r\nMAIL FROM:<a@x.test> SIZE=9\r\nRCPT TO:<opt-out@mix.test>\r\nDATA\r\n"
    corpus = [
        envelope + mail + b"QUIT\r\n",
        envelope.replace(b"opt-out", b"abuse") + b"Subject: x\r\n\r\n..\r\n.\r\nRSET\r\n",
        b"LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<" + desk.back.encode() + b">\r\nNOOP\r\nDATA\r\n"
        + report("failed", "5.1.1") + b".\r\n",
    ]  # fmt: skip

    def run(octets: bytes) -> object:
        desk.sent = 0
        session: Any = LmtpFactory(desk.post, "mix.test", desk.clock).buildProtocol(None)
        wire = Wire()
        session.makeConnection(wire)
        for _ in talk(session, wire, octets, chance(octets)):
            pass
        assert not desk.clock.getDelayedCalls()
        lines = wire.value().split(b"\r\n")
        assert not lines.pop()
        assert all(line[:3].isdigit() for line in lines)
        return tuple(line[:3] for line in lines[-3:])

    return Subject(run, corpus)


def _letters() -> Subject:
    """A mail to each of the addresses."""
    desk = _Desk()
    corpus = [
        f"From: Bob <bob@x.test>\r\nSubject: Re: {desk.token}\r\n\r\nx\r\n".encode(),
        b"From: eve@y.test\r\nAuto-Submitted: no\r\nSubject: stop\r\n\r\nx\r\n",
        report("failed", "5.1.1"),
        report("delayed", "4.0.0", "rfc822; bob@x.test"),
    ]

    def run(octets: bytes) -> object:
        codes = []
        for recipient in ("opt-out@mix.test", "abuse@mix.test", desk.back):
            taken = ensureDeferred(desk.post.take("a@x.test", recipient, octets))
            codes.append(desk.clock.result_of(taken))
        assert set(codes) <= {250, 451}
        desk.clock.advance(3600)
        return tuple(codes)

    return Subject(run, corpus)


def _pages() -> Subject:
    """A browser, a mail program, or somebody who looks for holes."""
    desk = _Desk()
    acted: list[bytes] = []

    async def opt_out(entry: bytes) -> None:
        acted.append(entry)

    page = OptOutPage(TOKENS, lambda: TEXTS, {"domain": "mix.test", "contact": "me"}, opt_out)
    site = QuietSite(page, desk.clock, longest_upload=LONGEST_BODY)
    path = b"/x/" + desk.token.encode()
    form = b"List-Unsubscribe=One-Click"
    corpus = [
        b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 26\r\n\r\n" + form,
        b"HEAD / HTTP/1.0\r\n\r\n",
    ]

    def run(octets: bytes) -> object:
        acted.clear()
        channel: Any = site.buildProtocol(None)
        wire = Wire()
        channel.makeConnection(wire)
        for _ in talk(channel, wire, octets, chance(octets)):
            desk.clock.advance()
        desk.clock.advance(2000)
        assert set(acted) <= {desk.entry}
        assert not acted or b"POST" in octets
        said = wire.value()
        assert not said or said.startswith(b"HTTP/1.")
        return said[9:12], len(acted)

    return Subject(run, corpus)


def _tokens() -> Subject:
    """What stands for a recipient."""
    desk = _Desk()
    words = [desk.token, desk.back.partition("+")[2].partition("@")[0]]

    def run(octets: bytes) -> object:
        text = octets.decode("latin-1")
        found = []
        for read in (TOKENS.from_link, lambda each: TOKENS.from_bounce(each, NOW)):
            with suppress(Forged):
                found.append(read(text))
        assert set(found) <= {desk.entry}
        return len(found)

    return Subject(run, [word.encode() for word in words])


def _rules() -> Subject:
    """A file of rules."""
    path = Path(tempfile.mkdtemp()) / "rules"
    path.touch(0o600)
    kinds = "address a@b.org", "user root", "host b.org", "domain b.org", "pattern *@?.org"
    corpus = ["".join(f"deny {kind}\nallow {kind} # x\n" for kind in kinds).encode()]

    def run(octets: bytes) -> object:
        path.write_bytes(octets)
        found = rules.read([path])
        return found.closed, found.refuse(address.parse("a@b.org"))

    return Subject(run, corpus)


_LMTP_WORDS = (
    b"LHLO a\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<abuse@mix.test>\r\n", b"DATA\r\n", b"\r\n.\r\n",
    b"RSET\r\n", b"QUIT\r\n", b"<", b">", b" SIZE=1", b"\0", b"\r\n..\r\n", b"\xff", b"NOOP\r\n",
)  # fmt: skip
_LETTER_WORDS = (
    b"From: ", b"Subject: ", b"Auto-Submitted: ", b"List-Id: x\r\n", b"Precedence: bulk\r\n",
    b"Action: failed\r\n", b"Status: 5.1.1\r\n", b"Final-Recipient: rfc822; a@b.org\r\n", b"<",
    b"\r\n\r\n", b"=?utf-8?q?", b"\r\n ", b"\xff", b"@mix.test",
)  # fmt: skip
_PAGE_WORDS = (
    b"GET ", b"POST ", b" HTTP/1.1\r\n", b"Content-Length: 26\r\n", b"\r\n\r\n", b"/", b"%2f",
    b"List-Unsubscribe=One-Click", b"&", b"Transfer-Encoding: chunked\r\n", b"?", b"#",
)  # fmt: skip
_RULE_WORDS = (
    b"deny ", b"allow ", b"everybody\n", b"address ", b"user ", b"domain ", b"pattern ", b"*", b"#",
    b"?", b"[", b"@", b"\n", b"\r\n", b"\\",
)  # fmt: skip

TARGETS = [
    Target("lmtp-intake", _sessions, (), mutators.LINES, _LMTP_WORDS, 8192),
    Target("letter", _letters, (), mutators.LINES, _LETTER_WORDS, 8192),
    Target("opt-out-page", _pages, (), mutators.LINES, _PAGE_WORDS, 8192),
    Target("token", _tokens, (), mutators.SHORT, (b"A", b"a", b"=", b"+"), 100),
    Target("rules", _rules, (ConfigErrors,), mutators.LINES, _RULE_WORDS, 4096),
]
