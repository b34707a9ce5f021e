"""Texts in header fields: encoded words (RFC 2047) and parameters (RFC 2231).

Fields leave in ASCII.  UTF-8 that stands in a header as it is (RFC 6532) is put into the
older forms here, which every mail program reads; addresses that are not ASCII have none.
"""

from __future__ import annotations

import re
from email.errors import MessageError
from email.header import Header, decode_header, make_header
from email.utils import formataddr, getaddresses
from urllib.parse import quote

from mixminion.mail.errors import BadField
from mixminion.mail.fields import Field, Raw

_TEXTS = frozenset({"subject", "comments", "content-description"})
_ADDRESSES = frozenset({"from", "reply-to", "to", "cc"})
_PARAMETERS = frozenset({"content-type", "content-disposition"})
_PARAMETER = re.compile(r';[ \t]*([^\s=;*]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s;"]+)')


def encode(text: str) -> str:
    """*text*, printable and on one line, as the value of a field; in encoded words if it
    needs them."""
    if text.isascii() and "=?" not in text:
        return text
    return Header(text, "utf-8", maxlinelen=75).encode(linesep="").strip()


def decode(value: str) -> str | None:
    """The text that a field's value stands for; None when an encoded word cannot be read."""
    try:
        return str(make_header(decode_header(value)))
    except (MessageError, LookupError, ValueError):
        return None


def mailbox(name: str, address: str) -> str:
    """``name <address>`` with the name quoted or encoded as it needs; the address alone
    without a name."""
    if name.isascii() and "=?" not in name:
        return formataddr((name, address))
    return f"{encode(name)} <{address}>"


def seven_bit(raw: Raw) -> Field:
    """A field that may be written in UTF-8, in ASCII.

    :raises BadField: it is not UTF-8, or has UTF-8 where no older form exists.
    """
    if raw.value.isascii():
        return raw.field()
    try:
        text = raw.value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        raise BadField(name=raw.name, why="it is neither ASCII nor UTF-8") from None
    if not text.replace("\t", " ").isprintable():
        raise BadField(name=raw.name, why="it has control characters")
    low = raw.name.lower()
    if low in _TEXTS:
        return Field(raw.name, encode(text))
    if low in _ADDRESSES:
        return Field(raw.name, _addresses(raw.name, text))
    if low in _PARAMETERS:
        return Field(raw.name, _PARAMETER.sub(_parameter, text))
    return raw.field()  # which says that it is not ASCII


def _addresses(name: str, text: str) -> str:
    try:
        found = getaddresses([text])
    except RecursionError:  # comments within comments
        found = []
    if not found or not all(address and address.isascii() for _, address in found):
        raise BadField(name=name, why="its addresses are not plain ASCII")
    return ", ".join(mailbox(shown, address) for shown, address in found)


def _parameter(match: re.Match[str]) -> str:
    name, value = match[1], match[2]
    if value.isascii():
        return match[0]
    if value.startswith('"'):
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    return f"; {name}*=utf-8''{quote(value, safe='')}"
