"""The section on who gets no mail from this server, whatever exit it would leave by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mixminion.config import option, section, values
from mixminion.config.values import Value
from mixminion.exits.mail_section import mailbox
from mixminion.mail.address import Mailbox


def _endpoint(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*:[!-~]+", text):
        raise ValueError
    return text


endpoint: Value[str] = Value(
    "an endpoint such as tcp:8081:interface=127.0.0.1 or unix:/run/mixminion/lmtp", _endpoint
)


def _https(text: str) -> str:
    # A link is a line of a footer and a word of a header field.
    if (
        not re.fullmatch(r"https://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/-]*)?", text)
        or len(text) > 200
    ):
        raise ValueError
    return text.rstrip("/")


https: Value[str] = Value("an address such as https://mix.example.org/no-more-mail", _https)


@section("Abuse")
class AbuseSection:
    """What keeps the exits to mail from harming anybody."""

    rules: tuple[Path, ...] = option(
        values.list_of(values.path),
        default=(),
        doc="""Files that say who gets no mail, or who alone does: lines such as deny domain
        example.org.  They are read again by mixminion server reload.""",
    )
    opt_out_url: str | None = option(
        https,
        default=None,
        doc="""Where people reach the page that opt-out-listen serves.  With it each mail has a link
        by which its recipient gets no more of them: at the mail's end, and in fields that mail
        programs make a button of (RFC 8058).""",
    )
    opt_out_listen: str | None = option(
        endpoint,
        default=None,
        doc="""Where the page is served: HTTP on tcp: or unix: for a proxy that does TLS, or HTTPS
        on ssl: with privateKey= and certKey=.""",
    )
    mail_listen: str | None = option(
        endpoint,
        default=None,
        doc="""Where the operator's mail server hands over mail for the exits' domains, by LMTP:
        what comes back, people who want no more mail, complaints.  With it each mail leaves from
        an address of its own, and can be answered by who wants no more of them.  Whoever reaches
        this port can say anything: let it be 127.0.0.1 or a socket.""",
    )
    complaints_to: Mailbox | None = option(
        mailbox,
        default=None,
        doc="Who gets what is written to abuse@ and postmaster@ of the exits' domains.",
    )
    templates: Path | None = option(
        values.path,
        default=None,
        doc="""A folder with texts of your own for the link's page, the footer and answers, in place
        of the shipped ones.  They are read again by mixminion server reload.""",
    )
    block_lists: tuple[str, ...] = option(
        values.list_of(values.mail_domain),
        default="zen.spamhaus.org, bl.spamcop.net",
        doc="The DNS block lists that mixminion server exit check asks.",
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """What only several keys together show."""
        if (self.opt_out_url is None) != (self.opt_out_listen is None):
            yield "opt-out-listen", "expected opt-out-url and opt-out-listen together"
        if (self.mail_listen is None) != (self.complaints_to is None):
            yield "complaints-to", "expected mail-listen and complaints-to together"
