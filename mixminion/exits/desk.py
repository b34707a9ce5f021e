"""What a server's exits have in common: who gets no mail, and which of them are paused."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IProtocolFactory

from mixminion.counters import Counters, Name
from mixminion.dirhttp.site import QuietSite
from mixminion.disk.database import ThreadExecutor
from mixminion.errors import UserError
from mixminion.exits import blocking, templates
from mixminion.exits.abuse import AbuseSection
from mixminion.exits.blocking import Blocking, Origin
from mixminion.exits.guard import Guard
from mixminion.exits.lmtp_intake import MOST_CONNECTIONS as MOST_SESSIONS
from mixminion.exits.lmtp_intake import LmtpFactory
from mixminion.exits.marks import Marks
from mixminion.exits.mbox import MboxExit
from mixminion.exits.page import LONGEST_BODY, MOST_CONNECTIONS, OptOutPage
from mixminion.exits.ports import Port
from mixminion.exits.post import Post
from mixminion.exits.prepared import Prepared
from mixminion.exits.smtp import SmtpExit
from mixminion.exits.tokens import Tokens
from mixminion.interfaces import IExit, Outcome, OutcomeKind, Random
from mixminion.mail.compose import Mail
from mixminion.util.times import to_text

SECRET = Path("keys") / "blocked.key"
LIST = "blocked.sqlite"


class NoMail(UserError):
    """A command about recipients where no exit has any."""

    code = "no-mail"
    sentence = "This server has no exit to mail, so it sends nobody anything."


class Desk:
    """One for a server; made before its exits, which it guards.

    Making one reads files and may raise what :class:`~mixminion.exits.blocking.Blocking` and
    :func:`~mixminion.exits.blocking.secret` do.
    """

    def __init__(
        self,
        home: Path,
        section: AbuseSection,
        reactor: Any,
        random: Random,
        counters: Counters,
        *,
        domains: Collection[str],
        contact: str,
    ) -> None:
        """*domains* are those of the exits to mail; without one there is no secret.  *contact* is
        what people are told."""
        self._reactor = reactor
        self._counters = counters
        self._mail = bool(domains)
        self._section = section
        path = home / SECRET
        key = blocking.secret(path, random) if domains else random.octets(blocking.SECRET)
        self.blocking = Blocking(home / LIST, key, section.rules, reactor)
        self._templates = templates.read(section.templates)
        tokens = Tokens(key)
        self._marks = Marks(
            tokens,
            lambda: self._templates,
            reactor,
            contact,
            section.opt_out_url,
            mail=section.mail_listen is not None,
        )
        self._ways: dict[str, IExit] = {}
        self._post = Post(
            domains=domains,
            contact=None if section.complaints_to is None else str(section.complaints_to.address),
            told=contact,
            blocking=self.blocking,
            tokens=tokens,
            templates=lambda: self._templates,
            send=self._send,
            counters=counters,
            clock=reactor,
        )
        self._ports: list[Port] = []
        if domains and section.opt_out_listen is not None:
            told = {"domain": " and ".join(sorted(domains)), "contact": contact}
            page = OptOutPage(tokens, lambda: self._templates, told, self._opt_out_by_link)
            site = QuietSite(page, reactor, longest_upload=LONGEST_BODY)
            self._listen("the page for opting out", section.opt_out_listen, site, MOST_CONNECTIONS)
        if domains and section.mail_listen is not None:
            factory = LmtpFactory(self._post, min(domains), reactor)
            self._listen("the port for mail", section.mail_listen, factory, MOST_SESSIONS)

    def guard(self, exit: IExit) -> IExit:
        """*exit*, guarded when it is one to mail."""
        if exit.domain is None:
            return exit
        if isinstance(exit, SmtpExit):
            self._ways.setdefault(exit.domain, exit)
        if isinstance(exit, MboxExit):
            exit.guard(self._guarded)
        return self._guarded(exit)

    def _guarded(self, exit: IExit) -> IExit:
        return Guard(exit, self.blocking, self._marks, self._counters)

    def start(self) -> None:
        """Be ready for changes; after the fork."""
        self.blocking.open(ThreadExecutor(self._reactor))
        for port in self._ports:
            _ = port.start()

    async def stop(self) -> None:
        """Returns when every port is closed and every change is on the disk."""
        for port in self._ports:
            await port.stop()
        await self.blocking.close()

    def reload(self) -> None:
        """Read files again; raises :class:`~mixminion.config.ConfigErrors`, and then what held
        before goes on to hold."""
        read = templates.read(self._section.templates)
        self.blocking.reload()
        self._templates = read

    async def _send(self, domain: str, recipient: str, mail: Mail) -> Outcome:
        """Hand over a mail of our own, from nobody."""
        way = self._ways.get(domain)
        if way is None:
            return Outcome(OutcomeKind.UNREACHABLE, "no-way")
        name = f"<{domain}>"
        message = Prepared(way.name, (recipient,), b"", None, name, 0, return_path="", mail=mail)
        outcome: Outcome = await way.deliver(message)
        return outcome

    async def _opt_out_by_link(self, entry: bytes) -> None:
        if await self.blocking.add(entry, Origin.LINK):
            self._counters.add(Name.OPTED_OUT)

    def _listen(self, what: str, where: str, factory: IProtocolFactory, most: int) -> None:
        self._ports.append(Port(self._reactor, what, where, factory, most))

    # -- for status and commands ---------------------------------------------------------------

    def status(self) -> Mapping[str, Any]:
        """JSON values that identify nobody."""
        return {
            "paused": sorted(self.blocking.paused),
            "blocked": len(self.blocking.entries),
            "bouncing": self._post.bouncing,
        }

    def attention(self, exits: Collection[str]) -> Iterator[str]:
        """What there is to do, a sentence each."""
        for name in sorted(self.blocking.paused):
            if name in exits:
                yield (
                    f"The exit {name} is paused and its messages wait: let it go on with "
                    f"`mixminion server exit resume {name}`."
                )
        for port in self._ports:
            if not port.open:
                yield f"{port.what.capitalize()} cannot listen at {port.where}: see the log."

    def listing(self, name: str | None) -> Mapping[str, Any]:
        """The list, or what is known of *name*, an address or ``@`` and a domain."""
        self._check()
        if name is None:
            entries = sorted(self.blocking.entries.items(), key=lambda item: item[1].since)
            return {"entries": [_row(entry, each) for entry, each in entries]}
        listed = self.blocking.listed(name)
        return {
            "listed": None if listed is None else _row(self.blocking.hashed(name), listed),
            "ruled": not name.startswith("@") and self.blocking.ruled(name),
        }

    async def add(self, name: str) -> Mapping[str, Any]:
        """Block it for good."""
        self._check()
        return {"new": await self.blocking.add(self.blocking.hashed(name), Origin.OPERATOR)}

    async def remove(self, name: str) -> Mapping[str, Any]:
        """Take it off the list."""
        self._check()
        removed = await self.blocking.remove(name)
        still = self.blocking.listed(name) is not None
        ruled = not name.startswith("@") and self.blocking.ruled(name)
        return {"removed": removed, "still-blocked": still or ruled}

    def _check(self) -> None:
        if not self._mail:
            raise NoMail


def _row(entry: bytes, each: blocking.Entry) -> Mapping[str, Any]:
    return {
        "entry": entry.hex(),
        "since": to_text(each.since),
        "until": None if each.until is None else to_text(each.until),
        "origin": each.origin.value,
    }
