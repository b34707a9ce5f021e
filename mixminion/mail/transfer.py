"""Bodies that cannot travel as they are: re-encoded where that changes nothing for the reader.

Mail has lines of at most 998 octets and no NUL; to a server without 8BITMIME (RFC 6152) it
has 7 bits.  Parts that are otherwise are made quoted-printable or base64, at any depth.
What is signed or encrypted is left alone, and so is what cannot be read with certainty: a
mail that cannot travel for its sake does not.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

from mixminion.mail import fields as header_fields
from mixminion.mail import mime, words
from mixminion.mail.data import canonical, has_long_line
from mixminion.mail.errors import BadField, EightBit, LineTooLong
from mixminion.mail.fields import Field

_ENCODING = "content-transfer-encoding"
_QUOTED_LINE = 76
_BLOCK = 65_536
_UNSAFE = re.compile(rb"[^\r\n\t -<>-~]|[ \t](?=\r\n|\Z)|\r(?!\n)|(?<!\r)\n")
_PLAIN = bytes((*b"\t\r\n", *range(0x20, 0x7F)))
_BLANKS = b" \t\r\n"


def must_encode(body: bytes) -> bool:
    """Whether no server may be given this canonical body."""
    return b"\0" in body or has_long_line(body)


def fit(
    header: Sequence[Field], body: bytes, *, seven_bit: bool = False
) -> tuple[Sequence[Field], bytes]:
    """The same message fit to travel, octet for octet the same where it was fit already.

    :raises LineTooLong: it has a NUL or a long line where nothing may be changed.
    :raises EightBit: *seven_bit* is wanted, and it has 8 bits there.
    """
    eight = seven_bit and not body.isascii()
    if not eight and not must_encode(body) and value(header, _ENCODING) != "binary":
        return header, body
    fitting = _Fitting(body, seven_bit)
    header, body = fitting.of(header)
    if must_encode(body):
        raise LineTooLong
    if seven_bit and not body.isascii():
        raise EightBit
    return header, body


def plainest(octets: bytes) -> tuple[str, bytes]:
    """*octets* in quoted-printable, or in base64 if more than a third of them are not printable
    ASCII; and which it is."""
    strange = len(octets.translate(None, _PLAIN))
    encoding = "base64" if strange * 3 > len(octets) else "quoted-printable"
    return encoding, encode(octets, encoding)


def quoted_printable(octets: bytes) -> bytes:
    """*octets* in quoted-printable; their CRLFs stay the ends of lines.

    The standard library's encoder makes lines of 77 now and then, one too many.
    """
    made: list[bytes] = []
    at = 0
    while at < len(octets):  # a block of whole lines at a time: a list of all lines is large
        end = octets.find(b"\r\n", at + _BLOCK)
        end = len(octets) if end < 0 else end + 2
        quoted = _UNSAFE.sub(lambda match: b"=%02X" % ord(match[0]), octets[at:end])
        made.append(b"\r\n".join(map(_broken, quoted.split(b"\r\n"))))
        at = end
    return b"".join(made)


def decode(octets: bytes, encoding: str) -> bytes | None:
    """What *octets* stand for in a transfer encoding; None when that cannot be said."""
    if encoding in mime.IDENTITY_ENCODINGS:
        return octets
    if encoding == "quoted-printable":
        return binascii.a2b_qp(octets)
    if encoding == "base64":
        try:
            return base64.b64decode(octets.translate(None, _BLANKS), validate=True)
        except binascii.Error:
            return None
    return None


def encode(octets: bytes, encoding: str) -> bytes:
    """*octets* in base64 or quoted-printable, as canonical lines."""
    return _base64(octets) if encoding == "base64" else quoted_printable(octets)


def labelled(header: Sequence[Field], encoding: str) -> list[Field]:
    """*header* with another transfer encoding."""
    kept = [field for field in header if field.name.lower() != _ENCODING]
    return [*kept, Field("Content-Transfer-Encoding", encoding)]


class _Fitting:
    """The changes that one body needs, as spans and what is to stand there."""

    def __init__(self, octets: bytes, seven_bit: bool) -> None:
        self._octets = octets
        self._seven_bit = seven_bit
        self._changes: list[tuple[int, int, bytes]] = []

    def of(self, header: Sequence[Field]) -> tuple[Sequence[Field], bytes]:
        """The header and the body after all changes."""
        root = mime.walk(header, self._octets)
        for part in root.all():
            if part.closed:
                continue
            label = self._body(part)
            if part is not root:
                self._head(part, label)
            elif label is not None:
                header = labelled(header, label)
        made, at = [], 0
        for start, stop, octets in sorted(self._changes):
            made += [self._octets[at:start], octets]
            at = stop
        return header, b"".join([*made, self._octets[at:]])

    def _body(self, part: mime.Part) -> str | None:
        """Make the body of *part* fit; its new label, or None if that stays."""
        octets = self._octets[part.start : part.stop]
        identity = part.encoding in mime.IDENTITY_ENCODINGS
        if part.children:
            eight = not self._seven_bit and not octets.isascii()
            stale = part.encoding == "binary" or (part.encoding == "8bit" and not eight)
            return ("8bit" if eight else "7bit") if stale else None
        if must_encode(octets) or (self._seven_bit and not octets.isascii()):
            decoded = decode(octets, part.encoding)
            if decoded is None:
                return None
            label, encoded = plainest(decoded) if identity else (part.encoding, b"")
            self._change(part.start, part.stop, encoded or encode(decoded, label))
            return label
        if part.encoding == "binary":
            return "7bit" if octets.isascii() else "8bit"
        return None

    def _head(self, part: mime.Part, label: str | None) -> None:
        """Make the header of *part* fit, with *label* for its transfer encoding."""
        octets = self._octets[part.head : part.head_end]
        if self._seven_bit and not octets.isascii():
            octets = _ascii(octets)
        if label is not None:
            octets = _relabelled(octets, label)
        self._change(part.head, part.head_end, octets)

    def _change(self, start: int, stop: int, octets: bytes) -> None:
        if octets != self._octets[start:stop]:
            self._changes.append((start, stop, octets))


def _broken(quoted: bytes) -> bytes:
    """A line of quoted-printable with soft breaks where it is too long.  None of the lines that
    these begin may look like the delimiter of a multipart."""
    pieces, at, before = [], 0, b""
    while len(before) + len(quoted) - at > _QUOTED_LINE:
        stop = at + _QUOTED_LINE - 1 - len(before)
        cut = quoted.find(b"=", stop - 2, stop)  # of an octet that would be torn
        stop = cut if cut >= 0 else stop
        pieces.append(before + quoted[at:stop])
        before = b"=2D" if quoted.startswith(b"--", stop) else b""
        at = stop + (1 if before else 0)
    return b"=\r\n".join([*pieces, before + quoted[at:]])


def _lines(head: bytes) -> list[bytes]:
    """The fields of a header, folded as they are."""
    return re.findall(rb"[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", head)


def _relabelled(head: bytes, label: str) -> bytes:
    kept = [
        line
        for line in _lines(head)
        if line.partition(b":")[0].strip().lower() != _ENCODING.encode()
    ]
    return b"".join([*kept, f"Content-Transfer-Encoding: {label}\r\n".encode()])


def _ascii(head: bytes) -> bytes:
    """The same header in ASCII, as far as that can be done."""
    made = []
    for line in _lines(head):
        if not line.isascii():
            [raw], _ = header_fields.read(line + b"\r\n")
            try:
                line = words.seven_bit(raw).encode()
            except BadField:
                return head
        made.append(line)
    return b"".join(made)


def _base64(octets: bytes) -> bytes:
    return canonical(base64.encodebytes(octets))


def value(fields: Sequence[Field], name: str) -> str:
    """The value of the field called *name* (lower case) in lower case; empty when absent."""
    found = (field.value for field in fields if field.name.lower() == name)
    return next(found, "").lower()
