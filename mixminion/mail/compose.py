"""The mails that an exit hands over.

It passes To, Subject, MIME-Version and Content-*; removes every other field of the
sender; and adds From, Date and Message-ID of its own.  Fields leave in one fixed order and
spelling.  See ``doc/spec/exits.rst``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from mixminion.mail import fields, transfer
from mixminion.mail.data import canonical
from mixminion.mail.errors import EightBit, LineTooLong, RepeatedField
from mixminion.mail.fields import Field
from mixminion.util import armor

REPLY_KIND = "MIXMINION REPLY"
REPLY_SUBJECT = "A reply to one of your reply blocks"

_ORDER = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
)
_SPELLING = {name.lower(): name for name in (*_ORDER, "Content-ID", "Content-MD5")}
_PASSES = frozenset({"to", "subject", "mime-version"})


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail ready for the far side: ordered fields and a canonical body."""

    fields: tuple[Field, ...]
    body: bytes

    @property
    def eight_bit(self) -> bool:
        """Whether the far side has to offer 8BITMIME."""
        return not self.body.isascii()

    def octets(self) -> bytes:
        """The whole message, lines ended by CRLF, dots not stuffed."""
        return fields.join(self.fields, self.body)

    def seven_bit(self) -> Mail:
        """The same mail for a far side without 8BITMIME; raises :class:`EightBit`."""
        if not self.eight_bit:
            return self
        encoded = transfer.quoted_printable(self.fields, self.body)
        if encoded is None:
            raise EightBit
        return _mail(*encoded)


def outgoing(
    content: bytes, *, sender: str, recipients: Sequence[str], message_id: str, date: int
) -> Mail:
    """A sender's message as an exit hands it over; raises :class:`MailError`.

    *sender* is the From field's value, *recipients* the envelope's addresses, *message_id*
    has its angle brackets, *date* is Unix seconds.
    """
    written, body = fields.split(content)
    kept = _passing(written)
    if "to" not in kept:
        kept["to"] = Field("To", _to(recipients))
    own = [Field("From", sender), Field("Date", _date(date)), Field("Message-ID", message_id)]
    passed = [*kept.values(), *own]
    if not transfer.must_encode(body):
        return _mail(passed, body)
    encoded = transfer.quoted_printable(passed, body)
    if encoded is None:
        raise LineTooLong
    return _mail(*encoded)


def reply(
    payload: bytes, surb_id: bytes, *, sender: str, recipient: str, message_id: str, date: int
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
    )
    return _mail(own, canonical(text.encode("ascii")))


def _passing(written: Iterable[Field]) -> dict[str, Field]:
    kept: dict[str, Field] = {}
    for field in written:
        name = field.name.lower()
        if name not in _PASSES and not name.startswith("content-"):
            continue
        if name in kept:
            raise RepeatedField(name=_spell(name))
        kept[name] = field
    return kept


def _mail(made: Iterable[Field], body: bytes) -> Mail:
    spelt = {field.name.lower(): Field(_spell(field.name), field.value) for field in made}
    if any(name.startswith("content-") for name in spelt):
        spelt.setdefault("mime-version", Field("MIME-Version", "1.0"))
    order = {name.lower(): place for place, name in enumerate(_ORDER)}
    names = sorted(spelt, key=lambda name: (order.get(name, len(order)), name))
    return Mail(tuple(spelt[name] for name in names), body)


def _spell(name: str) -> str:
    return _SPELLING.get(name.lower()) or "-".join(map(str.capitalize, name.split("-")))


def _to(recipients: Sequence[str]) -> str:
    return recipients[0] if len(recipients) == 1 else "undisclosed-recipients:;"


def _date(seconds: int) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC))
