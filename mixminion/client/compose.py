"""The content of a message: plain text as people type it, or a whole one of a mail program.

A message for mail leaves with only the header fields that an exit lets pass: every other
one would tell the exit about its sender.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from email.header import Header

from mixminion.client.addresses import Address
from mixminion.client.errors import BadSubject, NoHeader, NotText
from mixminion.mail import fields, transfer
from mixminion.mail.data import canonical
from mixminion.mail.fields import Field

_PASSES = frozenset({"to", "subject", "mime-version"})


@dataclass(frozen=True, slots=True)
class Composed:
    """What the exit gets, and the names of the header fields that were left out of it."""

    content: bytes
    left_out: tuple[str, ...] = ()


def from_text(address: Address, body: bytes, subject: str | None = None) -> Composed:
    """*body* as a mail of plain text; for an exit that does not take mail, as it is.

    :raises NotText: *body* is for mail and not UTF-8.
    :raises BadSubject: the subject has control characters in it.
    :raises NoHeader: there is a subject, and no mail to carry it.
    """
    if not address.mail:
        if subject is not None:
            raise NoHeader(exit=address.exit)
        return Composed(body)
    made = [Field("To", each) for each in address.recipients[:1] if "@" in each]
    if subject is not None:
        made.append(Field("Subject", _subject(subject)))
    made += [Field("MIME-Version", "1.0"), Field("Content-Type", "text/plain; charset=utf-8")]
    return Composed(fields.join(*_encode(made, body)))


def from_message(address: Address, message: bytes) -> Composed:
    """A whole RFC 5322 message; the body keeps its octets, but for line ends.

    :raises MailError: it is no message.
    :raises NoHeader: the address does not take mail.
    """
    if not address.mail:
        raise NoHeader(exit=address.exit)
    written, body = fields.split(message)
    kept = [field for field in written if _passes(field.name)]
    left_out = dict.fromkeys(field.name for field in written if not _passes(field.name))
    return Composed(fields.join(kept, body), tuple(left_out))


def _passes(name: str) -> bool:
    return name.lower() in _PASSES or name.lower().startswith("content-")


def _subject(subject: str) -> str:
    """*subject* as a field's value: as it is, or in encoded words (RFC 2047)."""
    if not subject.isprintable():
        raise BadSubject
    if subject.isascii() and "=?" not in subject:
        return subject
    return Header(subject, "utf-8", maxlinelen=75).encode(linesep="").strip()


def _encode(made: list[Field], body: bytes) -> tuple[list[Field], bytes]:
    """The plainest transfer encoding that carries *body* (RFC 2045 6), and the body in it."""
    try:
        ascii_only = body.decode("utf-8").isascii()
    except UnicodeDecodeError as error:
        raise NotText(position=error.start) from None
    lines = canonical(body)
    if not transfer.must_encode(lines):
        bits = "7bit" if ascii_only else "8bit"
        return [*made, Field("Content-Transfer-Encoding", bits)], lines
    quoted = transfer.quoted_printable(made, lines)
    in_base64 = canonical(base64.encodebytes(lines))
    if quoted is not None and len(quoted[1]) <= len(in_base64):
        return quoted
    return [*made, Field("Content-Transfer-Encoding", "base64")], in_base64
