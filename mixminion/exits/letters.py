"""Reading mail that comes in: as little of it as is needed, and nothing that can go wrong.

Whatever comes is text that somebody else wrote; expressions here are linear in its length, of
which only the beginning is looked at.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

from mixminion.exits.tokens import LINK
from mixminion.mail import address, fields
from mixminion.mail.address import Address
from mixminion.mail.errors import BadAddress, MailError
from mixminion.mail.fields import Field, Raw

LOOKED_AT = 256 * 1024
"""Octets of a bounce."""

_ACTION = re.compile(rb"(?im)^Action:[ \t]*failed[ \t]*\r$")
_STATUS = re.compile(rb"(?im)^Status:[ \t]*([245])\.([0-9]{1,3})\.([0-9]{1,3})[ \t(\r]")
_RECIPIENT = re.compile(
    rb"(?im)^(?:Final|Original)-Recipient:[ \t]*rfc822;[ \t]*<?([!-~]{3,254})\r$"
)
_TOKEN = re.compile(rf"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{{{LINK}}}(?![A-Za-z0-9_-])", re.ASCII)
_GONE = frozenset({b"5.0.0", b"5.2.1"})


class Bounce(enum.Enum):
    """What came back says of the recipient."""

    GONE = "gone"  #: there is no such mailbox, or none in use
    REFUSED = "refused"  #: it was not taken, for what it is
    LATER = "later"  #: delays, and what cannot be told


def bounce(octets: bytes) -> Bounce:
    """What a delivery status (RFC 3464) says."""
    seen = octets[:LOOKED_AT]
    if not _ACTION.search(seen):
        return Bounce.LATER
    codes = [b".".join(found.groups()) for found in _STATUS.finditer(seen)]
    if any(code in _GONE or code.startswith(b"5.1.") for code in codes):
        return Bounce.GONE
    return Bounce.REFUSED if any(code.startswith(b"5") for code in codes) else Bounce.LATER


def returned_to(octets: bytes) -> Iterator[str]:
    """The addresses that a delivery status names."""
    for found in _RECIPIENT.finditer(octets[:LOOKED_AT]):
        yield found[1].decode("ascii").rstrip(">")


class Letter:
    """A mail that people write, read for its header alone; *readable* is whether it has one."""

    def __init__(self, octets: bytes) -> None:
        try:
            self._raw, _ = fields.read(octets)
            self.readable = True
        except MailError:
            self._raw = []
            self.readable = False

    def get(self, name: str) -> str:
        """The first field called *name*; empty when there is none that can be read."""
        for raw in self._raw:
            if raw.name.lower() == name:
                return _value(raw)
        return ""

    @property
    def tokens(self) -> list[str]:
        """What may be a token in the subject."""
        return _TOKEN.findall(self.get("subject"))

    @property
    def automatic(self) -> bool:
        """Whether a program wrote it, or a list sent it: nobody answers that (RFC 3834)."""
        submitted = self.get("auto-submitted").lower().partition(";")[0].strip()
        return (
            submitted not in {"", "no"}
            or self.get("precedence").lower() in {"bulk", "list", "junk"}
            or any(raw.name.lower().startswith("list-") for raw in self._raw)
        )

    @property
    def author(self) -> Address | None:
        """The one address in From."""
        try:
            return address.parse_mailbox(self.get("from")).address
        except BadAddress:
            return None


def _value(raw: Raw) -> str:
    try:
        field: Field = raw.field()
    except MailError:
        return ""
    return field.value
