"""The footer that an exit adds to a mail, outside everything that may be signed.

A text alone gets the footer as its last lines, in its own transfer encoding.  Any other mail
becomes the first part of a multipart/mixed as it is, and the footer the second.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mixminion.mail import adding, mime, transfer
from mixminion.mail.data import canonical
from mixminion.mail.fields import Field

MOST_LINES = 20
LONGEST_LINE = 78
SEPARATOR = b"-- \r\n"
_ARMOR = re.compile(rb"(?m)^-----BEGIN ")


def is_footer(text: str) -> bool:
    """Whether *text* can be one: a few printable lines that no program folds."""
    lines = text.split("\n")
    short = all(len(line) <= LONGEST_LINE and line.isprintable() for line in lines)
    return bool(text.strip()) and short and len(lines) <= MOST_LINES


def below(*texts: str) -> str:
    """One footer from several texts, of which any may be empty."""
    return "\n".join(filter(None, texts))


def add(
    header: Sequence[Field], body: bytes, text: str, boundary: str
) -> tuple[list[Field], bytes]:
    """The mail of *header* and canonical *body* with *text* below it.

    *boundary* is used where the mail is wrapped; it is lengthened while the body has it.
    """
    footer = canonical(text.encode())
    written = _written(header, body, footer)
    if written is not None:
        return list(header), written
    return _wrapped(header, body, footer, boundary)


def _written(header: Sequence[Field], body: bytes, footer: bytes) -> bytes | None:
    """*body* with the footer's lines at its end; None where that is not safe."""
    text = adding.text_of(header, body)
    if text is None or _ARMOR.search(text):
        return None
    if not footer.isascii():
        encoding = mime.walk(header, body).encoding
        if adding.charset_of(header, body) != "utf-8" or encoding in ("", "7bit"):
            return None
    return adding.below(header, body, SEPARATOR + footer)


def _wrapped(
    header: Sequence[Field], body: bytes, footer: bytes, boundary: str
) -> tuple[list[Field], bytes]:
    charset, encoding = "us-ascii", "7bit"
    if not footer.isascii():
        charset, encoding = "utf-8", "quoted-printable"
        footer = transfer.encode(footer, encoding)
    below = [
        Field("Content-Type", f"text/plain; charset={charset}"),
        Field("Content-Transfer-Encoding", encoding),
        Field("Content-Disposition", "inline"),
    ]
    return adding.beside(header, body, (below, footer), boundary)
