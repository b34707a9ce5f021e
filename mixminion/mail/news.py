"""Articles of Usenet (RFC 5536): what they have beside what mail has, and what they may not be."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mixminion.mail import compose, lists
from mixminion.mail.compose import STRICT, Mail
from mixminion.mail.errors import RefusedField
from mixminion.mail.fields import Field
from mixminion.mail.policy import Policy

LONGEST_GROUP = 200

_GROUP = re.compile(r"[A-Za-z0-9+_-]+(\.[A-Za-z0-9+_-]+)*", re.ASCII)
_RESERVED = frozenset({"control", "to", "poster", "junk"})
_RESERVED_ANYWHERE = frozenset({"all", "ctl"})
_CONTROL = "cmsg "
"""How the subject of a control message begins for servers that still look there."""


def is_group(name: str) -> bool:
    """Whether *name* can be a newsgroup's, and is none of those that steer servers
    (RFC 5536, 3.1.4)."""
    parts = name.lower().split(".")
    return (
        len(name) <= LONGEST_GROUP
        and _GROUP.fullmatch(name) is not None
        and parts[0] not in _RESERVED
        and not _RESERVED_ANYWHERE.intersection(parts)
    )


def article(
    content: bytes,
    *,
    sender: str,
    groups: Sequence[str],
    message_id: str,
    date: int,
    policy: Policy = STRICT,
) -> Mail:
    """A sender's message as an article for *groups*, see :func:`mixminion.mail.compose.article`.

    :raises mixminion.mail.errors.MailError: it is none, or one that would steer servers.
    """
    made = compose.article(
        content, sender=sender, groups=groups, message_id=message_id, date=date, policy=policy
    )
    for field in made.fields:
        if field.name == "Subject" and field.value.lower().startswith(_CONTROL):
            raise RefusedField(name="Subject")
    return made


def reply(
    payload: bytes, surb_id: bytes, *, sender: str, group: str, message_id: str, date: int
) -> Mail:
    """The article that brings a reply's sealed *payload* to a *group* where its owner reads."""
    mail = compose.reply(
        payload, surb_id, sender=sender, recipient="", message_id=message_id, date=date
    )
    kept = [field for field in mail.fields if field.name != "To"]
    return Mail(lists.arrange([*kept, Field("Newsgroups", group)]), mail.body)
