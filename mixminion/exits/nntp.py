"""The exit to news: articles, handed to a news server that takes posts (RFC 3977, 5536)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import override
from zope.interface import implementer

from mixminion.config import BadValue, option, section, values
from mixminion.config.values import Value
from mixminion.errors import OperatorError
from mixminion.exits import smtp_tls
from mixminion.exits.nntp_session import Manner, NewsServer
from mixminion.exits.served_section import ServedSection
from mixminion.exits.smtp_auth import Credentials
from mixminion.interfaces import ExitEnvironment, IExit, Message, Outcome, OutcomeKind
from mixminion.mail import news
from mixminion.mail.compose import Mail
from mixminion.mail.errors import MailError
from mixminion.util.hostport import HostPort
from mixminion.util.newsgroups import among

_PATTERN = re.compile(r"\*|[A-Za-z0-9+_-]+(\.[A-Za-z0-9+_-]+)*(\.\*)?", re.ASCII)


def _pattern(text: str) -> str:
    if not _PATTERN.fullmatch(text):
        raise BadValue("expected a newsgroup such as misc.test, comp.* for all below comp, or *")
    return text


pattern: Value[str] = Value("a newsgroup, or group.* for all below it", _pattern)


class UnusablePassword(OperatorError):
    """NNTP cannot carry the password.  Field: ``path``."""

    code = "nntp-password"
    sentence = "The password in {path} cannot be said in NNTP: expected printable ASCII."


@section("Exit", named=True)
class Section(ServedSection):
    """Articles, handed to a news server, which must let this server post and read its list of
    groups."""

    server: HostPort = option(
        values.host_port, doc="The news server, at port 119; at 563 with tls = implicit."
    )
    groups: tuple[str, ...] = option(
        values.list_of(pattern), doc="The newsgroups that may be posted to."
    )
    deny: tuple[str, ...] = option(
        values.list_of(pattern), default="", doc="Of these the ones that may not."
    )
    max_groups: int = option(
        values.integer(1, 20), default=3, doc="How many groups one article may go to; published."
    )
    user: str | None = option(
        values.text_up_to(64),
        default=None,
        doc="The name for AUTHINFO, with password-file, and tls = required or implicit.",
    )
    max_message: int = option(
        values.within(values.size, 1024, 1 << 24),
        default="64 KiB",
        doc="The longest message taken; published.",
    )
    timeout: float = option(
        values.within(values.duration, 1.0), default="2 minutes", doc="For each of its answers."
    )
    final_timeout: float = option(
        values.within(values.duration, 1.0),
        default="10 minutes",
        doc="For its answer to a whole article.",
    )

    def allows(self, group: str) -> bool:
        """Whether *group* may be posted to, as far as the section says."""
        return among(group, self.groups) and not among(group, self.deny)

    @override
    def problems(self) -> Iterator[tuple[str, str]]:
        """What only several keys together show."""
        yield from ServedSection.problems(self)
        if self.user is not None and not (self.user.isascii() and self.user.isprintable()):
            yield "user", "expected printable ASCII"
        if not self.groups:
            yield "groups", "expected a newsgroup at least; * is all of them"


@implementer(IExit)
class NntpExit:
    """One news server and one sender's address."""

    def __init__(self, name: str, section: Section, server: NewsServer) -> None:
        self.name = name
        self.policy = section.policy
        self.domain = section.domain
        self._section = section
        self._server = server

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`."""
        return {
            "module": "nntp",
            "max-message": self._section.max_message,
            "max-recipients": self._section.max_groups,
            "groups": list(self._section.groups),
            "deny": list(self._section.deny),
            **self._section.published,
        }

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """See :class:`IExit`; the words are codes of :mod:`mixminion.mail.errors` and
        ``too-large``, ``no-recipient``, ``too-many-groups``, ``bad-group``, ``group-refused``."""
        if len(content) > self._section.max_message:
            return "too-large"
        if not recipients:
            return "no-recipient"
        if len(recipients) > (1 if reply else self._section.max_groups):
            return "too-many-groups"
        if not all(map(news.is_group, recipients)) or len(set(recipients)) < len(recipients):
            return "bad-group"
        if not all(map(self._section.allows, recipients)):
            return "group-refused"
        surb_id = b"" if reply else None
        try:
            self._article(Message(self.name, tuple(recipients), content, surb_id, "<>", 0)).head()
        except MailError as error:
            return error.code
        return None

    async def start(self) -> None:
        """Connections are opened when there are articles."""

    async def stop(self) -> None:
        """See :class:`IExit`; articles under way are given a moment to end."""
        await self._server.stop()

    async def deliver(self, message: Message) -> Outcome:
        """See :class:`IExit`.  Groups are looked at again: the section may have changed since
        the message was stored."""
        if not all(map(self._section.allows, message.recipients)):
            return Outcome(OutcomeKind.PERMANENT, "group-refused")
        try:
            article = self._article(message).octets()
        except MailError as error:
            return Outcome(OutcomeKind.PERMANENT, error.code)
        return await self._server.post(message.recipients, message.message_id, article)

    def _article(self, message: Message) -> Mail:
        sender = str(self._section.sender)
        if message.surb_id is not None:
            return news.reply(
                message.content,
                message.surb_id,
                sender=sender,
                group=message.recipients[0],
                message_id=message.message_id,
                date=message.date,
            )
        return news.article(
            message.content,
            sender=sender,
            groups=message.recipients,
            message_id=message.message_id,
            date=message.date,
            policy=self._section.mail_policy,
        )


def make(name: str, section: Section, environment: ExitEnvironment) -> NntpExit:
    """See :class:`mixminion.interfaces.IExitModule`.

    :raises mixminion.errors.OperatorError: a file that the section names cannot be used.
    """
    tls = section.client_tls(section.server.host)
    manner = Manner(
        tls=None if section.implicit else tls,
        required=section.tls in smtp_tls.CHECKED,
        credentials=_credentials(section),
        timeout=section.timeout,
        final_timeout=section.final_timeout,
    )
    endpoint = section.endpoint(environment.reactor, section.server, tls)
    return NntpExit(name, section, NewsServer(environment.reactor, endpoint, manner))


def _credentials(section: Section) -> Credentials | None:
    made = section.credentials()
    if made is not None and not (
        made.password.isascii() and made.password.decode("ascii").isprintable()
    ):
        assert section.password_file is not None
        raise UnusablePassword(path=section.password_file)
    return made
