"""The section on who gets no mail from this server, whatever exit it would leave by."""

from __future__ import annotations

from pathlib import Path

from mixminion.config import option, section, values


@section("Abuse")
class AbuseSection:
    """What keeps the exits to mail from harming anybody."""

    rules: tuple[Path, ...] = option(
        values.list_of(values.path),
        default=(),
        doc="""Files that say who gets no mail, or who alone does: lines such as deny domain
        example.org.  They are read again by mixminion server reload.""",
    )
    block_lists: tuple[str, ...] = option(
        values.list_of(values.mail_domain),
        default="zen.spamhaus.org, bl.spamcop.net",
        doc="The DNS block lists that mixminion server exit check asks.",
    )
