"""The footer that an exit adds to a mail, outside everything that may be signed.

A text alone gets the footer as its last lines, in its own transfer encoding.  Any other mail
becomes the first part of a multipart/mixed as it is, and the footer the second.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mixminion.mail import lists, mime, transfer
from mixminion.mail.data import canonical
from mixminion.mail.fields import Field, join

MOST_LINES = 20
LONGEST_LINE = 78
SEPARATOR = b"-- \r\n"
_ARMOR = re.compile(rb"(?m)^-----BEGIN ")
_ASCII_IN_IT = re.compile(
    # not those whose octets below 128 may be parts of other characters
    r"us-ascii|utf-8|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|gb2312|euc-\w+"
)
_ORDINARY = frozenset({"content-type", "content-transfer-encoding", "content-language"})


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
    part = mime.walk(header, body)
    charset = part.content_type.parameters.get("charset", "us-ascii").lower()
    names = {field.name.lower() for field in header}
    plain = part.content_type.type == "text/plain" and names & lists.MIME <= _ORDINARY
    if part.closed or not plain:
        return None
    if not _ASCII_IN_IT.fullmatch(charset):
        return None
    if not footer.isascii() and (charset != "utf-8" or part.encoding in ("", "7bit")):
        return None
    decoded = transfer.decode(body, part.encoding)
    if decoded is None or _ARMOR.search(decoded):
        return None
    end = b"" if not decoded or decoded.endswith(b"\n") else b"\r\n"
    lines = end + SEPARATOR + footer
    if part.encoding == "base64":
        return transfer.encode(decoded + lines, "base64")
    if part.encoding == "quoted-printable":
        # A soft line break at the end swallows a line end; with nothing after it, it is none.
        soft = b"\r\n" if re.search(rb"=[ \t]*\r\n\Z", body) else b""
        return body + soft + transfer.encode(SEPARATOR + footer, part.encoding)
    return body + SEPARATOR + footer


def _wrapped(
    header: Sequence[Field], body: bytes, footer: bytes, boundary: str
) -> tuple[list[Field], bytes]:
    while boundary.encode() in body:
        boundary += "_"
    inner = [field for field in header if field.name.lower() in lists.MIME]
    outer = [field for field in header if field.name.lower() not in lists.MIME]
    outer.append(Field("Content-Type", f'multipart/mixed; boundary="{boundary}"'))
    if not body.isascii():
        outer.append(Field("Content-Transfer-Encoding", "8bit"))
    charset, encoding = "us-ascii", "7bit"
    if not footer.isascii():
        charset, encoding = "utf-8", "quoted-printable"
        footer = transfer.encode(footer, encoding)
    below = [
        Field("Content-Type", f"text/plain; charset={charset}"),
        Field("Content-Transfer-Encoding", encoding),
        Field("Content-Disposition", "inline"),
    ]
    delimiter = f"--{boundary}".encode()
    parts = [b"", join(lists.arrange(inner), body), join(below, footer), b"--\r\n"]
    made = (b"\r\n" + delimiter + b"\r\n").join(parts[:3]) + b"\r\n" + delimiter + parts[3]
    return outer, made.removeprefix(b"\r\n")
