"""What each mail brings along for its one recipient: how to get no more, and where it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mixminion.exits.templates import Templates
from mixminion.exits.tokens import Tokens
from mixminion.interfaces import Clock, Message

UNSUBSCRIBE = "List-Unsubscribe"
UNSUBSCRIBE_POST = "List-Unsubscribe-Post"
ONE_CLICK = "List-Unsubscribe=One-Click"

OPT_OUT = "opt-out"
"""Who is written to by those who want no more mail, in each exit's domain."""
BOUNCE = "bounce"
"""The beginning of the address that bounces of one mail come to; ``+`` and a token follow."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is put into mails.  *url* is the page's, *mail* whether mail to the exits' domains
    comes in here."""

    tokens: Tokens
    templates: Callable[[], Templates]
    clock: Clock
    contact: str
    url: str | None
    mail: bool

    def __bool__(self) -> bool:
        return self.url is not None or self.mail

    def mark(self, message: Message, entry: bytes, domain: str) -> Message:
        """*message*, which has one recipient, whose entry is *entry*, as it leaves *domain*."""
        token = self.tokens.link(entry, message.message_id)
        ways, fields, footer, sender = [], [], "", None
        if self.url is not None:
            link = f"{self.url}/{token}"
            ways.append(f"<{link}>")
            footer = self.templates().fill(
                "footer.txt", domain=domain, contact=self.contact, link=link
            )
        if self.mail:
            ways.append(f"<mailto:{OPT_OUT}@{domain}?subject={token}>")
            sender = f"{BOUNCE}+{self.tokens.bounce(entry, self.clock.seconds())}@{domain}"
        fields.append((UNSUBSCRIBE, ", ".join(ways)))
        if self.url is not None:
            fields.append((UNSUBSCRIBE_POST, ONE_CLICK))
        return replace(
            message, fields=tuple(fields), footer=footer.rstrip("\n"), return_path=sender
        )
