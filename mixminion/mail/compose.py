"""The mails that an exit hands over.

A sender's fields are sorted by :mod:`mixminion.mail.lists`, whatever his client did; the
exit's policy says which of those that allow to answer or name the sender pass; From, Date
and Message-ID are the exit's own.  See ``doc/spec/exits.rst``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from mixminion.mail import fields, footer, lists, transfer, words
from mixminion.mail.data import canonical
from mixminion.mail.errors import BadField
from mixminion.mail.fields import Field
from mixminion.mail.policy import Policy
from mixminion.util import armor

REPLY_KIND = "MIXMINION REPLY"
REPLY_SUBJECT = "A reply to one of your reply blocks"

STRICT = Policy()

_IDENTIFIER = re.compile(r"<[^<>\s]+>")
_GROUP = r"[A-Za-z0-9][A-Za-z0-9+_.-]*"
_GROUPS = re.compile(rf"{_GROUP}([ \t]*,[ \t]*{_GROUP})*")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail ready for the far side: ordered fields and a canonical body."""

    fields: tuple[Field, ...]
    body: bytes

    @property
    def eight_bit(self) -> bool:
        """Whether the far side has to offer 8BITMIME."""
        return not self.body.isascii()

    def head(self) -> bytes:
        """The header with the empty line; raises BadField."""
        return fields.join(self.fields, b"")

    def octets(self) -> bytes:
        """The whole message, lines ended by CRLF, dots not stuffed; raises BadField."""
        return self.head() + self.body

    def parts(self) -> tuple[bytes, bytes]:
        """The same in two, header with the empty line and body, without a copy of the body."""
        return self.head(), self.body

    def seven_bit(self) -> Mail:
        """The same mail for a far side without 8BITMIME; raises :class:`EightBit`."""
        if not self.eight_bit:
            return self
        return _mail(*transfer.fit(self.fields, self.body, seven_bit=True))


def outgoing(
    content: bytes,
    *,
    sender: str,
    recipients: Sequence[str],
    message_id: str,
    date: int,
    policy: Policy = STRICT,
    extra: Sequence[Field] = (),
) -> Mail:
    """A sender's message as an exit hands it over; raises :class:`MailError`.

    *sender* is the From field's value, *recipients* the envelope's addresses, *message_id*
    has its angle brackets, *date* is Unix seconds; *extra* are fields of the exit's own, such
    as List-Unsubscribe.
    """
    made, body = _read(content, policy)
    if "to" not in made:
        made["to"] = Field("To", _to(recipients))
    return _finish(made, body, sender, message_id, date, policy, extra)


def article(
    content: bytes,
    *,
    sender: str,
    groups: Sequence[str],
    message_id: str,
    date: int,
    policy: Policy = STRICT,
    extra: Sequence[Field] = (),
) -> Mail:
    """A sender's message as an article for *groups* (RFC 5536); otherwise as :func:`outgoing`.

    What it says of mail's recipients is left out, and a subject there has to be.
    """
    made, body = _read(content, policy)
    made.pop("to", None)
    made.pop("cc", None)
    made["newsgroups"] = Field("Newsgroups", ",".join(groups))
    if "subject" not in made:
        raise BadField(name="Subject", why="an article has to have one")
    return _finish(made, body, sender, message_id, date, policy, extra)


def reply(
    payload: bytes,
    surb_id: bytes,
    *,
    sender: str,
    recipient: str,
    message_id: str,
    date: int,
    extra: Sequence[Field] = (),
) -> Mail:
    """The mail that brings a reply's sealed *payload* to the owner of its reply block."""
    text = armor.encode(REPLY_KIND, {"SURB-ID": surb_id.hex()}, payload)
    own = (
        Field("From", sender),
        Field("To", recipient),
        Field("Subject", REPLY_SUBJECT),
        Field("Date", _date(date)),
        Field("Message-ID", message_id),
        Field("Content-Type", "text/plain; charset=us-ascii"),
        Field("Content-Transfer-Encoding", "7bit"),
        *extra,
    )
    return _mail(own, canonical(text.encode("ascii")))


def normal(field: Field) -> Field | None:
    """An allowed field in the one form in which it leaves, None if nothing is left of it;
    raises BadField.  Programs differ in what is free here, and should not show by it."""
    match field.name.lower():
        case "in-reply-to" | "references":
            found = _IDENTIFIER.findall(field.value)
            return Field(field.name, " ".join(found)) if found else None
        case "newsgroups" | "followup-to":
            if not _GROUPS.fullmatch(field.value):
                raise BadField(name=lists.spell(field.name), why="it is no list of newsgroups")
            return Field(field.name, re.sub(r"[ \t]", "", field.value))
        case "mime-version":
            return Field(field.name, "1.0")
    return field


def _read(content: bytes, policy: Policy) -> tuple[dict[str, Field], bytes]:
    """What passes of the sender's fields, From as it is written, and the body."""
    written, body = fields.read(content)
    made = {
        name: kept
        for name, field in lists.sort(written).kept.items()
        if (kept := normal(field)) is not None
    }
    answers = policy.answers(made.pop("reply-to", None))
    if answers is not None:
        made["reply-to"] = answers
    if "subject" not in made and policy.default_subject:
        made["subject"] = Field("Subject", words.encode(policy.default_subject))
    return made, body


def _finish(
    made: dict[str, Field],
    body: bytes,
    sender: str,
    message_id: str,
    date: int,
    policy: Policy,
    extra: Sequence[Field],
) -> Mail:
    own = [
        policy.sender(sender, made.pop("from", None)),
        Field("Date", _date(date)),
        Field("Message-ID", message_id),
        *extra,
    ]
    passed: Sequence[Field] = [*made.values(), *own]
    if policy.footer:
        passed, body = footer.add(passed, body, policy.footer, _boundary(message_id))
    return _mail(*transfer.fit(passed, body))


def _mail(made: Iterable[Field], body: bytes) -> Mail:
    kept = list(made)
    names = {field.name.lower() for field in kept}
    if "mime-version" not in names and not names.isdisjoint(lists.MIME):
        kept.append(Field("MIME-Version", "1.0"))
    return Mail(lists.arrange(kept), body)


def _boundary(message_id: str) -> str:
    """The same at every attempt, and not to be known beforehand."""
    return "=_" + re.sub("[^0-9A-Za-z]", "", message_id.partition("@")[0])[:60]


def _to(recipients: Sequence[str]) -> str:
    return recipients[0] if len(recipients) == 1 else "undisclosed-recipients:;"


def _date(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC))
