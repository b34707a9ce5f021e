"""Bodies that cannot travel as they are: re-encoded where that changes nothing for the reader.

A body has to be re-encoded when it has a line over 998 octets or a NUL, or when it is 8-bit
and the next server offers no 8BITMIME (RFC 6152).  One part is made quoted-printable.  The
parts of a multipart or an enclosed message are left alone, since something inside may be
signed: such a mail is refused instead.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence

from mixminion.mail.data import LONGEST_LINE, longest_line
from mixminion.mail.fields import Field

IDENTITY_ENCODINGS = frozenset({"", "7bit", "8bit", "binary"})


def must_encode(body: bytes) -> bool:
    """Whether no server may be given this canonical body."""
    return b"\0" in body or longest_line(body) > LONGEST_LINE


def quoted_printable(fields: Sequence[Field], body: bytes) -> tuple[list[Field], bytes] | None:
    """The same part in quoted-printable, or None where it may not be touched."""
    if value(fields, "content-type").startswith(("multipart/", "message/")):
        return None
    if value(fields, "content-transfer-encoding") not in IDENTITY_ENCODINGS:
        return None
    lines = (
        binascii.b2a_qp(line, quotetabs=False, istext=True).replace(b"=\n", b"=\r\n")
        for line in body.split(b"\r\n")
    )
    kept = [field for field in fields if field.name.lower() != "content-transfer-encoding"]
    kept.append(Field("Content-Transfer-Encoding", "quoted-printable"))
    return kept, b"\r\n".join(lines)


def value(fields: Sequence[Field], name: str) -> str:
    """The value of the field called *name* (lower case) in lower case; empty when absent."""
    found = (field.value for field in fields if field.name.lower() == name)
    return next(found, "").lower()
