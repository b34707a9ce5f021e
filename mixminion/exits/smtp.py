"""The exit to mail: by a mail server that relays for this one (RFC 5321),
by a program, or straight to the recipients' servers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zope.interface import implementer

from mixminion.exits import answers, dkim, mx_names, smtp_tls
from mixminion.exits.answers import FINAL, Way
from mixminion.exits.limits import Limits, OverLimit
from mixminion.exits.mta_sts import Policies
from mixminion.exits.mta_sts_cache import DiskCache
from mixminion.exits.mta_sts_fetch import HttpsFetch
from mixminion.exits.mx import Mx
from mixminion.exits.mx_names import Names
from mixminion.exits.mx_route import Terms
from mixminion.exits.prepared import Prepared
from mixminion.exits.smtp_program import Sendmail
from mixminion.exits.smtp_relay import Relay
from mixminion.exits.smtp_section import MX, SENDMAIL, Section
from mixminion.exits.smtp_session import Envelope, Manner, Timeouts, Unreachable
from mixminion.exits.smtp_tls import TlsMaker
from mixminion.exits.threads import Threads
from mixminion.interfaces import ExitEnvironment, IExit, Message, Outcome, OutcomeKind
from mixminion.mail import address, compose
from mixminion.mail import dkim as mail_dkim
from mixminion.mail.dkim import Signer
from mixminion.mail.errors import MailError
from mixminion.mail.fields import Field
from mixminion.mail.footer import below

__all__ = ["Section", "SmtpExit", "make"]

REMEMBERED = 1000
OVER_LIMIT = "over-limit"
PUT_OFF = Outcome(OutcomeKind.TEMPORARY, OVER_LIMIT)


@implementer(IExit)
class SmtpExit:
    """One way out and one sender's address."""

    def __init__(
        self, name: str, section: Section, way: Way, signers: Sequence[Signer], limits: Limits
    ) -> None:
        self.name = name
        self.policy = section.policy
        self.domain = section.domain
        self._section = section
        self._way = way
        self._signers = signers
        self._limits = limits
        self._known: OrderedDict[str, Mapping[str, Outcome]] = OrderedDict()

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`."""
        return self._section.describe("smtp")

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """See :class:`IExit`; the words are codes of :mod:`mixminion.mail.errors`, and
        ``too-large``, ``no-recipient``, ``too-many-recipients``."""
        refused = self._section.refuse(recipients, content, reply)
        if refused is not None:
            return refused
        try:
            for recipient in recipients:
                address.parse(recipient)
            if not reply:
                self._mail(Message(self.name, tuple(recipients), content, None, "<>", 0)).head()
        except MailError as error:
            return error.code
        return None

    async def start(self) -> None:
        """See :class:`IExit`; sessions are opened when there is mail."""
        self._limits.begin()

    async def stop(self) -> None:
        """See :class:`IExit`; mails under way are given a moment to end."""
        await self._way.stop()

    async def deliver(self, message: Message) -> Outcome:
        """See :class:`IExit`.

        Recipients whose answer was final are not tried again with the others; this is kept
        in memory, so that a restart may bring one of several recipients the same mail (and
        Message-ID) twice, never nothing.
        """
        known = self._known.pop(message.message_id, {})
        if known.keys() >= set(message.recipients):  # whoever else there was wants no mail by now
            return answers.together(known)
        try:
            answered = await self._send(message, known)
        except MailError as error:
            return Outcome(OutcomeKind.PERMANENT, error.code)
        except Unreachable as error:
            self._remember(message, known)
            return Outcome(OutcomeKind.UNREACHABLE, error.reason)
        except OverLimit:
            self._remember(message, known)
            return Outcome(OutcomeKind.UNREACHABLE, OVER_LIMIT)
        outcomes = {**known, **answered}
        outcome = answers.together(outcomes)
        if outcome.kind not in FINAL:
            final = {name: each for name, each in outcomes.items() if each.kind in FINAL}
            self._remember(message, final)
        return outcome

    async def _send(self, message: Message, known: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
        """One attempt for those whose outcome is not known."""
        left = [name for name in message.recipients if name not in known]
        mail = self._mail(message)
        share = self._limits.take(left, len(message.content))
        answered: Mapping[str, Outcome] = {}
        try:
            if share.recipients:
                sender = message.return_path
                if sender is None:
                    sender = str(self._section.sender.address)
                envelope = Envelope(sender, share.recipients, mail, self._seal)
                answered = await self._way.send(envelope)
        finally:
            final = {name for name, outcome in answered.items() if outcome.kind in FINAL}
            self._limits.give_back(share, set(share.recipients) - final)
        return {**answered, **dict.fromkeys(share.put_off, PUT_OFF)}

    def _seal(self, mail: compose.Mail) -> compose.Mail:
        return mail_dkim.sign(mail, self._signers) if self._signers else mail

    def _mail(self, message: Message) -> compose.Mail:
        if isinstance(message, Prepared):
            return message.mail
        sender = str(self._section.sender)
        extra = [Field(*each) for each in message.fields]
        if message.surb_id is not None:
            return compose.reply(
                message.content,
                message.surb_id,
                sender=sender,
                recipient=message.recipients[0],
                message_id=message.message_id,
                date=message.date,
                extra=extra,
            )
        policy = self._section.mail_policy
        return compose.outgoing(
            message.content,
            sender=sender,
            recipients=message.recipients,
            message_id=message.message_id,
            date=message.date,
            policy=replace(policy, footer=below(policy.footer, message.footer)),
            extra=extra,
        )

    def _remember(self, message: Message, outcomes: Mapping[str, Outcome]) -> None:
        if outcomes:
            self._known[message.message_id] = outcomes
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


def make(name: str, section: Section, environment: ExitEnvironment) -> SmtpExit:
    """See :class:`mixminion.interfaces.IExitModule`.

    :raises mixminion.errors.OperatorError: a file that the section names cannot be used.
    """
    keys = dkim.load(section.domain, section.dkim_keys)
    limits = Limits(section, environment.reactor, environment.random)
    return SmtpExit(name, section, _way(section, environment), keys, limits)


def _way(section: Section, environment: ExitEnvironment) -> Way:
    if section.transport == SENDMAIL:
        return Sendmail(environment.reactor, section.command, section.final_timeout)
    if section.transport == MX:
        return _mx(section, environment)
    return _relay(section, environment)


def _mx(section: Section, environment: ExitEnvironment) -> Mx:
    asked = section.resolver
    servers = [(asked.host, asked.port)] if asked else mx_names.system_servers()
    terms = Terms(
        port=section.mx_port,
        connect_timeout=section.connect_timeout,
        sessions=section.destination_sessions,
        source=section.source,
        source6=section.source6,
        internal=section.internal_addresses,
        dane=section.dane,
    )
    reactor = environment.reactor
    names = Names(lambda: mx_names.resolver(reactor, servers))
    checked: TlsMaker = lambda host: smtp_tls.client(smtp_tls.REQUIRED, host, section.ca_file)  # noqa: E731
    policies = None
    if section.mta_sts:
        fetch = HttpsFetch(reactor, names, checked, internal=section.internal_addresses)
        cache = DiskCache(section.mta_sts_file, Threads(reactor))
        policies = Policies(reactor, names, fetch, cache)
    return Mx(
        reactor,
        environment.random,
        names,
        terms,
        _manner(section, environment),
        section.client_tls,
        checked,
        policies,
    )


def _manner(section: Section, environment: ExitEnvironment) -> Manner:
    return Manner(
        hello=section.hello or environment.host_name,
        timeouts=Timeouts(section.timeout, section.final_timeout, section.idle_timeout),
        required=section.tls in smtp_tls.CHECKED,
    )


def _relay(section: Section, environment: ExitEnvironment) -> Relay:
    tls = section.client_tls(section.relay.host)
    manner = replace(
        _manner(section, environment),
        tls=tls,
        implicit=section.implicit,
        credentials=section.credentials(),
    )
    endpoint = section.endpoint(environment.reactor, section.relay, tls)
    return Relay(environment.reactor, endpoint, manner)
