"""A mail as programs give it to sendmail(8): where it ends, its header, for whom it is.

Nothing but recipients is read here; what leaves of a header is decided where it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.policy import default
from typing import Any

from mixminion.cli.errors import NoRecipients

_DOT = re.compile(rb"^\.\r?$", re.MULTILINE)
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
_EMPTY = re.compile(rb"^\r?\n", re.MULTILINE)
_BCC = re.compile(rb"^(?:resent-)?bcc[ \t]*:.*(?:\n[ \t].*)*\n?", re.MULTILINE | re.IGNORECASE)
_SHOWN = re.compile(rb"^(to|cc|bcc)[ \t]*:(.*(?:\n[ \t].*)*)", re.MULTILINE | re.IGNORECASE)


def ended(octets: bytes) -> bytes:
    """What stands before the first line that is a dot and nothing else."""
    found = _DOT.search(octets)
    return octets if found is None else octets[: found.start()]


def with_header(octets: bytes) -> bytes:
    """A mail whose header may be empty: plain text has none, and a header may be all there is."""
    first = octets.partition(b"\n")[2] if octets.startswith(b"From ") else octets
    if not _FIELD.match(first) and not _EMPTY.match(first):
        return b"\n" + octets
    return octets if _EMPTY.search(first) else octets.rstrip(b"\r\n") + b"\n\n"


def recipients(mail: bytes) -> list[str]:
    """Everybody in To, Cc and Bcc, each once.

    :raises NoRecipients: there is nobody, or one of the fields cannot be read.
    """
    found = dict.fromkeys(_recipients(_header(mail)))
    if not found:
        raise NoRecipients(why="nobody stands in To, Cc or Bcc")
    return list(found)


def without_bcc(mail: bytes) -> bytes:
    """*mail* without those that it does not show."""
    header = _header(mail)
    return _BCC.sub(b"", header) + mail[len(header) :]


def _header(mail: bytes) -> bytes:
    end = _EMPTY.search(mail)
    return mail if end is None else mail[: end.start()]


def _recipients(header: bytes) -> Iterator[str]:
    for name, value in _SHOWN.findall(header):
        text = re.sub(r"\r?\n[ \t]", " ", value.decode("utf-8", "replace")).strip()
        if not text:
            continue
        field: Any = default.header_factory(name.decode(), text)
        if not field.addresses and not field.groups:
            raise NoRecipients(why=f"the field {name.decode()} cannot be read")
        for address in field.addresses:
            if not address.domain:
                raise NoRecipients(why=f"{address} in the field {name.decode()} has no @")
            yield address.addr_spec
