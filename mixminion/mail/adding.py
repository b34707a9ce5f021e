"""Adding lines or a part to a mail without changing an octet of what is in it.

For footers, which exits add, and for reply blocks, which senders do.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mixminion.mail import lists, mime, transfer
from mixminion.mail.fields import Field, join

_ASCII_IN_IT = re.compile(
    # not those whose octets below 128 may be parts of other characters
    r"us-ascii|utf-8|iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|gb2312|euc-\w+"
)
_ORDINARY = frozenset({"content-type", "content-transfer-encoding", "content-language"})


def text_of(header: Sequence[Field], body: bytes) -> bytes | None:
    """The decoded text of a mail to which ASCII lines can be added; None for any other mail."""
    part = mime.walk(header, body)
    names = {field.name.lower() for field in header}
    plain = part.content_type.type == "text/plain" and names & lists.MIME <= _ORDINARY
    if part.closed or not plain or not _ASCII_IN_IT.fullmatch(charset_of(header, body)):
        return None
    return transfer.decode(body, part.encoding)


def charset_of(header: Sequence[Field], body: bytes) -> str:
    """The charset that a mail of text names, in small letters."""
    part = mime.walk(header, body)
    return part.content_type.parameters.get("charset", "us-ascii").lower()


def below(header: Sequence[Field], body: bytes, lines: bytes) -> bytes | None:
    """The canonical *body* of a plain text with canonical *lines* at its end, in its own transfer
    encoding; None where that is not safe.  The lines are of its charset and as many bits."""
    decoded = text_of(header, body)
    if decoded is None:
        return None
    encoding = mime.walk(header, body).encoding
    if encoding == "base64":
        end = b"" if not decoded or decoded.endswith(b"\n") else b"\r\n"
        return transfer.encode(decoded + end + lines, "base64")
    if encoding == "quoted-printable":
        # A soft line break at the end swallows a line end; with nothing after it, it is none.
        soft = b"\r\n" if re.search(rb"=[ \t]*\r\n\Z", body) else b""
        return body + soft + transfer.encode(lines, encoding)
    return body + lines


def beside(
    header: Sequence[Field], body: bytes, part: tuple[Sequence[Field], bytes], boundary: str
) -> tuple[list[Field], bytes]:
    """The mail as the first part of a multipart/mixed, *part* as the second.

    *boundary* is lengthened while the body has it.
    """
    while boundary.encode() in body:
        boundary += "_"
    inner = [field for field in header if field.name.lower() in lists.MIME]
    outer = [field for field in header if field.name.lower() not in lists.MIME]
    outer.append(Field("Content-Type", f'multipart/mixed; boundary="{boundary}"'))
    if not body.isascii():
        outer.append(Field("Content-Transfer-Encoding", "8bit"))
    delimiter = f"--{boundary}".encode()
    parts = [b"", join(lists.arrange(inner), body), join(*part), b"--\r\n"]
    made = (b"\r\n" + delimiter + b"\r\n").join(parts[:3]) + b"\r\n" + delimiter + parts[3]
    return outer, made.removeprefix(b"\r\n")


def one_more(
    header: Sequence[Field], body: bytes, part: tuple[Sequence[Field], bytes]
) -> bytes | None:
    """The body of a multipart/mixed with *part* as its last one; None for any other mail."""
    root = mime.walk(header, body)
    if root.closed or root.content_type.type != "multipart/mixed" or not root.children:
        return None
    boundary = root.content_type.parameters["boundary"].encode("latin-1", "replace")
    end = root.children[-1].stop
    if not body.startswith(b"\r\n--" + boundary + b"--", end):
        return None
    return (
        body[:end] + b"\r\n--" + boundary + b"\r\n" + join(*part).removesuffix(b"\r\n") + body[end:]
    )
