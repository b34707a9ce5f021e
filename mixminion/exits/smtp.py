"""The exit to mail, by way of a mail server that relays for this one (RFC 5321)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override
from zope.interface import implementer

from mixminion.config import BadValue, option, section, values
from mixminion.config.values import Value
from mixminion.exits import smtp_tls
from mixminion.exits.section import ExitSection
from mixminion.exits.smtp_relay import Relay
from mixminion.exits.smtp_session import SUCCESS, Envelope, Timeouts, Unreachable
from mixminion.interfaces import ExitEnvironment, IExit, Message, Outcome, OutcomeKind
from mixminion.mail import address, compose
from mixminion.mail.address import Mailbox
from mixminion.mail.errors import BadAddress, MailError
from mixminion.util.hostport import HostPort

MOST_RECIPIENTS = 50
REMEMBERED = 1000
PERMANENT = range(500, 600)
SESSION_CODES = frozenset({530, 534, 535, 538})
"""Answers that concern who we are and not the mail: TLS or authentication wanted."""


def _mailbox(text: str) -> Mailbox:
    try:
        return address.parse_mailbox(text)
    except BadAddress as error:
        raise BadValue(f"expected {mailbox.expected}: {error.fields['why']}") from None


mailbox: Value[Mailbox] = Value("a mailbox such as Anonymous <anonymous@mix.example>", _mailbox)


@section("Exit", named=True)
class Section(ExitSection):
    """Mail, handed to a mail server that relays it.  That server must take mail from this
    machine and should offer 8BITMIME."""

    relay: HostPort = option(
        values.host_port,
        default="127.0.0.1:25",
        doc="The mail server.  Usually the operator's own, on the same machine.",
    )
    domain: str = option(values.mail_domain, doc="The domain that mail leaves under.")
    from_: Mailbox | None = option(
        mailbox,
        default=None,
        doc="""The From field and the envelope's sender, in the exit's domain.  Without it
        Anonymous <anonymous@DOMAIN>.""",
    )
    hello: str | None = option(
        values.mail_domain,
        default=None,
        doc="The name for EHLO.  Without it the server's host name.",
    )
    tls: str = option(
        values.choice(smtp_tls.NO, smtp_tls.OPPORTUNISTIC, smtp_tls.REQUIRED),
        default=smtp_tls.OPPORTUNISTIC,
        doc="""STARTTLS: never; when the mail server offers it, its certificate not looked at; or
        always, its certificate checked for the relay's host name, and no mail without.""",
    )
    ca_file: Path | None = option(
        values.path,
        default=None,
        doc="""With tls = required: certificates in PEM that the mail server's is checked
        against, instead of the system's.""",
    )
    max_message: int = option(
        values.within(values.size, 1024, 1 << 26),
        default="1 MiB",
        doc="The longest message taken, before encoding; published.",
    )
    connect_timeout: float = option(
        values.within(values.duration, 1.0), default="30 s", doc="To reach the mail server."
    )
    timeout: float = option(
        values.within(values.duration, 1.0), default="5 minutes", doc="For each of its answers."
    )
    final_timeout: float = option(
        values.within(values.duration, 1.0),
        default="10 minutes",
        doc="For its answer to a whole mail.  Too short a time brings mails twice.",
    )
    idle_timeout: float = option(
        values.within(values.duration, 1.0),
        default="10 s",
        doc="How long a session is kept for the next mail.",
    )

    @property
    def sender(self) -> Mailbox:
        """Who mail is from."""
        return self.from_ or address.parse_mailbox(f"Anonymous <anonymous@{self.domain}>")

    @override
    def problems(self) -> Iterator[tuple[str, str]]:
        """What only several keys together show."""
        yield from ExitSection.problems(self)
        if self.from_ is not None and self.from_.address.domain != self.domain:
            yield "from", f"expected an address in the domain {self.domain}"
        if self.ca_file is not None and self.tls != smtp_tls.REQUIRED:
            yield "ca-file", "expected tls = required beside it: otherwise nothing is checked"


@implementer(IExit)
class SmtpExit:
    """One relay and one sender's address."""

    def __init__(self, name: str, section: Section, relay: Relay) -> None:
        self.name = name
        self.policy = section.policy
        self.domain = section.domain
        self._section = section
        self._relay = relay
        self._codes: OrderedDict[str, dict[str, int]] = OrderedDict()

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`."""
        return {
            "module": "smtp",
            "max-message": self._section.max_message,
            "max-recipients": MOST_RECIPIENTS,
        }

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """See :class:`IExit`; the words are codes of :mod:`mixminion.mail.errors`, and
        ``too-large``, ``no-recipient``, ``too-many-recipients``."""
        if len(content) > self._section.max_message:
            return "too-large"
        if not recipients:
            return "no-recipient"
        if len(recipients) > (1 if reply else MOST_RECIPIENTS):
            return "too-many-recipients"
        try:
            for recipient in recipients:
                address.parse(recipient)
            if not reply:
                self._mail(Message(self.name, tuple(recipients), content, None, "<>", 0)).octets()
        except MailError as error:
            return error.code
        return None

    async def start(self) -> None:
        """Sessions are opened when there is mail."""

    async def stop(self) -> None:
        """See :class:`IExit`; mails under way are given a moment to end."""
        await self._relay.stop()

    async def deliver(self, message: Message) -> Outcome:
        """See :class:`IExit`.

        Recipients whose answer was final are not tried again with the others; this is kept
        in memory, so that a restart may bring one of several recipients the same mail (and
        Message-ID) twice, never nothing.
        """
        known = self._codes.pop(message.message_id, {})
        left = tuple(name for name in message.recipients if name not in known)
        try:
            mail = self._mail(message)
            answers = await self._relay.send(
                Envelope(str(self._section.sender.address), left, mail)
            )
        except MailError as error:
            return Outcome(OutcomeKind.PERMANENT, error.code)
        except Unreachable as error:
            self._remember(message, known)
            return Outcome(OutcomeKind.UNREACHABLE, error.reason)
        codes = {**known, **answers}
        self._remember(message, {name: code for name, code in codes.items() if _final(code)})
        outcome = _outcome(codes)
        if outcome.kind in (OutcomeKind.DELIVERED, OutcomeKind.PERMANENT):
            self._codes.pop(message.message_id, None)
        return outcome

    def _mail(self, message: Message) -> compose.Mail:
        sender = str(self._section.sender)
        if message.surb_id is not None:
            return compose.reply(
                message.content,
                message.surb_id,
                sender=sender,
                recipient=message.recipients[0],
                message_id=message.message_id,
                date=message.date,
            )
        return compose.outgoing(
            message.content,
            sender=sender,
            recipients=message.recipients,
            message_id=message.message_id,
            date=message.date,
        )

    def _remember(self, message: Message, codes: dict[str, int]) -> None:
        if codes:
            self._codes[message.message_id] = codes
            if len(self._codes) > REMEMBERED:
                self._codes.popitem(last=False)


def _final(code: int) -> bool:
    return code in SUCCESS or (code in PERMANENT and code not in SESSION_CODES)


def _outcome(codes: Mapping[str, int]) -> Outcome:
    """One outcome from the answers for all recipients."""
    not_yet = [code for code in codes.values() if not _final(code)]
    refused = [code for code in codes.values() if code in PERMANENT]
    if any(code in SESSION_CODES for code in not_yet):
        return Outcome(OutcomeKind.UNREACHABLE, f"smtp-{not_yet[0]}")
    if not_yet:
        return Outcome(OutcomeKind.TEMPORARY, f"smtp-{not_yet[0]}")
    if len(refused) == len(codes):
        return Outcome(OutcomeKind.PERMANENT, f"smtp-{refused[0]}")
    return Outcome(OutcomeKind.DELIVERED, "in-part" if refused else "smtp-250")


def make(name: str, section: Section, environment: ExitEnvironment) -> SmtpExit:
    """See :class:`mixminion.interfaces.IExitModule`."""
    relay = Relay(
        environment.reactor,
        section.relay,
        hello=section.hello or environment.host_name,
        tls=smtp_tls.client(section.tls, section.relay.host, section.ca_file),
        tls_required=section.tls == smtp_tls.REQUIRED,
        timeouts=Timeouts(
            section.connect_timeout, section.timeout, section.final_timeout, section.idle_timeout
        ),
    )
    return SmtpExit(name, section, relay)
