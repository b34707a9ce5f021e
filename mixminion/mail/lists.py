"""Which of a sender's header fields leave, which are removed, and which are refused.

Client and exit sort by these lists alike: a client says beforehand what an exit would do,
an exit does it again and trusts no client.  See ``doc/spec/exits.rst``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mixminion.mail.errors import RefusedField, RepeatedField
from mixminion.mail.fields import Field, Raw

ORDER = (
    "From",
    "Reply-To",
    "To",
    "Cc",
    "Newsgroups",
    "Followup-To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Comments",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Disposition",
    "Content-Description",
    "Content-ID",
    "Content-Location",
    "Content-Language",
    "Content-Alternative",
    "Content-Duration",
    "Content-Features",
    "Content-MD5",
)
"""The order and the spelling in which fields leave; what an exit adds besides follows."""

MIME = frozenset(name.lower() for name in ORDER if name.startswith("Content-"))
_ALLOWED = MIME | {
    *("from", "reply-to", "to", "cc", "newsgroups", "followup-to", "subject"),
    *("in-reply-to", "references", "mime-version"),
}
_REFUSED = frozenset(
    {
        *("control", "also-control", "approved", "supersedes", "cancel-key"),
        *("return-path", "dkim-signature", "domainkey-signature"),
    }
)
_REFUSED_BEGINNINGS = ("resent-", "arc-")


class Fate(enum.Enum):
    """What becomes of a field."""

    ALLOWED = "allowed"
    REMOVED = "removed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Sorted:
    """The fields that leave, by their names in lower case, and the names of those removed."""

    kept: dict[str, Field]
    removed: tuple[str, ...]


def fate(name: str) -> Fate:
    """What becomes of the field called *name*."""
    low = name.lower()
    if low in _REFUSED or low.startswith(_REFUSED_BEGINNINGS):
        return Fate.REFUSED
    return Fate.ALLOWED if low in _ALLOWED else Fate.REMOVED


def sort(written: Iterable[Raw], read: Callable[[Raw], Field] = Raw.field) -> Sorted:
    """The fields of a message by the lists; a field without a value is as good as none.

    Only what leaves is looked into, by *read*.

    :raises RefusedField: one of them has no business in a sender's message.
    :raises RepeatedField: one that leaves is there twice.
    :raises BadField: one that leaves cannot be sent.
    """
    kept: dict[str, Field] = {}
    removed: dict[str, None] = {}
    for raw in written:
        low = raw.name.lower()
        match fate(low):
            case Fate.REFUSED:
                raise RefusedField(name=raw.name)
            case Fate.REMOVED:
                removed[raw.name] = None
            case Fate.ALLOWED if low in kept:
                raise RepeatedField(name=spell(low))
            case Fate.ALLOWED if raw.value:
                kept[low] = read(raw)
    return Sorted(kept, tuple(removed))


def arrange(made: Iterable[Field]) -> tuple[Field, ...]:
    """Fields in the one order and spelling."""
    return tuple(
        Field(spell(field.name), field.value)
        for field in sorted(made, key=lambda field: _place(field.name))
    )


def spell(name: str) -> str:
    """The field's name as it is spelt in every mail."""
    return _SPELLING.get(name.lower()) or "-".join(map(str.capitalize, name.split("-")))


def _place(name: str) -> tuple[int, str]:
    return _PLACES.get(name.lower(), len(ORDER)), name.lower()


_SPELLING = {name.lower(): name for name in ORDER}
_PLACES = {name.lower(): place for place, name in enumerate(ORDER)}
