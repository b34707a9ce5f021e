"""Mail addresses, stricter than RFC 5321 allows.

What is refused here is refused before the queue.  The local part is a dot-atom without
``% ! / |`` and without a leading ``-``: these route through a relay that trusts us, or turn
into options and pipes further on.  The domain is a name of two labels or more; no literals.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formataddr, getaddresses

from typing_extensions import override

from mixminion.mail.errors import BadAddress

LONGEST_ADDRESS = 254
LONGEST_LOCAL_PART = 64
LONGEST_DOMAIN = 253

_ATOM = r"[A-Za-z0-9#$&'*+=?^_`{}~-]+"
_LOCAL_PART = re.compile(rf"(?!-){_ATOM}(\.{_ATOM})*")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?!\d+\Z){_LABEL}")


@dataclass(frozen=True, slots=True)
class Address:
    """``local_part@domain``, the domain in lower case."""

    local_part: str
    domain: str

    @override
    def __str__(self) -> str:
        return f"{self.local_part}@{self.domain}"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address with the name shown beside it, as in ``Anonymous <anonymous@example.org>``."""

    name: str
    address: Address

    @override
    def __str__(self) -> str:
        return formataddr((self.name, str(self.address)))


def parse_domain(text: str) -> str:
    """A domain name in lower case; raises :class:`BadAddress`."""
    if len(text) > LONGEST_DOMAIN or not _DOMAIN.fullmatch(text):
        raise BadAddress(why="its domain is not a name such as example.org")
    return text.lower()


def parse(text: str) -> Address:
    """The address in *text*, which holds nothing else; raises :class:`BadAddress`."""
    local_part, at, domain = text.rpartition("@")
    if not at:
        raise BadAddress(why="it has no @")
    if len(text) > LONGEST_ADDRESS or len(local_part) > LONGEST_LOCAL_PART:
        raise BadAddress(why="it is too long")
    if not _LOCAL_PART.fullmatch(local_part):
        raise BadAddress(why="what stands before the @ has characters that are not taken")
    return Address(local_part, parse_domain(domain))


def parse_mailbox(text: str) -> Mailbox:
    """``Name <user@domain>`` or a bare address, in printable ASCII; raises BadAddress."""
    if not (text.isascii() and text.isprintable()):
        raise BadAddress(why="only printable ASCII is taken")
    try:
        found = getaddresses([text])
    except RecursionError:  # comments within comments
        found = []
    if len(found) != 1:
        raise BadAddress(why="it is neither user@domain nor Name <user@domain>")
    [(name, address)] = found
    return Mailbox(name, parse(address))


def folded(address: Address) -> Address:
    """The one form of all addresses that reach the same mailbox: in lower case, and without the
    sub-address, which is everything from the first ``+`` on (unless nothing is before it).  Dots
    stay: only some providers ignore them."""
    user = address.local_part.lower()
    return Address(user.partition("+")[0] or user, address.domain.lower())


def enclosing(domain: str) -> Iterator[str]:
    """*domain* and every domain above it that has two labels or more."""
    labels = domain.split(".")
    for first in range(len(labels) - 1):
        yield ".".join(labels[first:])
