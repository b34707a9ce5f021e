"""The keys of every exit whose messages become mails: what senders may say of themselves,
and what the operator says in their place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mixminion.config import BadValue, option, section, values
from mixminion.config.values import Value
from mixminion.exits.section import ExitSection
from mixminion.mail import address, footer
from mixminion.mail.address import Mailbox
from mixminion.mail.errors import BadAddress
from mixminion.mail.policy import Policy


def _mailbox(text: str) -> Mailbox:
    try:
        return address.parse_mailbox(text)
    except BadAddress as error:
        raise BadValue(f"expected {mailbox.expected}: {error.fields['why']}") from None


def _subject(text: str) -> str:
    if not text.isprintable():
        raise ValueError
    return values.text_up_to(200).parse(text)


def _footer(text: str) -> str:
    if not footer.is_footer(text):
        raise ValueError
    return text


mailbox: Value[Mailbox] = Value("a mailbox such as Anonymous <anonymous@mix.example>", _mailbox)
subject: Value[str] = Value("a printable text on one line, of at most 200 characters", _subject)
lines: Value[str] = Value(
    f"up to {footer.MOST_LINES} printable lines of at most {footer.LONGEST_LINE} characters;"
    " further lines begin with a blank",
    _footer,
)


@section("Exit", named=True)
class MailSection(ExitSection):
    """An exit to mail."""

    allow_from: bool = option(
        values.boolean,
        default="no",
        doc="""Whether mail is shown under the name that its sender wrote; the address beside
        it is always the exit's own.  Published.""",
    )
    allow_reply_to: bool = option(
        values.boolean,
        default="no",
        doc="Whether the sender's address for answers passes, as Reply-To.  Published.",
    )
    reply_to: Mailbox | None = option(
        mailbox,
        default=None,
        doc="The Reply-To of a mail that has no other.",
    )
    subject: str | None = option(subject, default=None, doc="The subject of a mail that has none.")
    footer: str | None = option(
        lines,
        default=None,
        doc="""Lines below each mail, outside what is signed: what this server is, and whom to
        ask.""",
    )

    @property
    def mail_policy(self) -> Policy:
        """The keys above as one value."""
        return Policy(
            names=self.allow_from,
            reply_to=self.allow_reply_to,
            default_reply_to="" if self.reply_to is None else str(self.reply_to),
            default_subject=self.subject or "",
            footer=self.footer or "",
        )

    @property
    def published(self) -> Mapping[str, Any]:
        """What senders have to know of it, for the descriptor."""
        return {"allow-from": self.allow_from, "allow-reply-to": self.allow_reply_to}
