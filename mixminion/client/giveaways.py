"""What in a mail may give its sender away: as far as a program can tell, which is not all.

Remarks, never refusals.  The mail is the sender's own; even so nothing is unpacked beyond a limit.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mixminion.mail import mime, transfer
from mixminion.mail.fields import Field
from mixminion.mail.mime import Part


@dataclass(frozen=True, slots=True)
class Remark:
    """One of them: a code for programs and a sentence for people."""

    code: str
    sentence: str


LONGEST_LINE = 998
"""Octets of a line that mail takes as it is (RFC 5322 2.1.1)."""
MOST = 2**20
"""Octets that are looked at of one part's inside."""

_LINK = re.compile(r"https?://[^\s<>\"')\]]+", re.IGNORECASE)
_TOKEN = re.compile(r"[?&#][^=\s]{1,40}=|[A-Za-z0-9_-]{24,}|//[^/@\s]+@")
_SIGNATURE = re.compile(r"^-- ?\r?$", re.MULTILINE)
_SIGNED = frozenset(
    {"multipart/signed", "application/pgp-signature", "application/pkcs7-signature"}
)
_PDF = re.compile(rb"/(Author|Creator|Producer)[ \t]*[(<]|<(?:dc:creator|pdf:Producer)")
_CORE = re.compile(rb"<(dc:creator|cp:lastModifiedBy|meta:initial-creator)>([^<]+)<")


def in_header(header: Sequence[Field]) -> Iterator[Remark]:
    """Of the fields that leave."""
    for field in header:
        match field.name.lower():
            case "from":
                yield Remark("name-shown", f"The recipient reads this name: {field.value}.")
            case "reply-to":
                yield Remark("reply-to-shown", f"The recipient reads this address: {field.value}.")
            case "in-reply-to" | "references":
                yield Remark(
                    "thread",
                    f"{field.name} says which mail is answered: whoever wrote it, and whoever read"
                    " it on its way, can tell who had it.",
                )


def in_text(text: str) -> Iterator[Remark]:
    """Of what people read, and type."""
    if _SIGNATURE.search(text):
        yield Remark("signature", "There is a signature below the text (a line with --).")
    found = sum(1 for link in _LINK.findall(text) if _TOKEN.search(link))
    if found:
        links = "A link has" if found == 1 else f"{found} links have"
        yield Remark(
            "link-tokens",
            f"{links} something in it that looks made for one reader: who made it may know to"
            " whom it was given.",
        )


def in_lines(body: bytes) -> Iterator[Remark]:
    """Of the form of a body."""
    longest = max(map(len, body.split(b"\r\n")), default=0)
    if longest > LONGEST_LINE:
        yield Remark(
            "long-lines",
            f"A line has {longest:,} octets and mail takes {LONGEST_LINE}: it is encoded anew.",
        )


def in_mail(header: Sequence[Field], body: bytes) -> Iterator[Remark]:
    """All of them, each once."""
    yield from dict.fromkeys((*in_header(header), *in_lines(body), *_in_parts(header, body)))


def _in_parts(header: Sequence[Field], body: bytes) -> Iterator[Remark]:
    for part in mime.walk(header, body).all():
        kind = part.content_type
        if kind.type in _SIGNED:
            yield Remark("signed", "The mail is signed: the signature says who wrote it.")
        if kind.composite:
            if "boundary" in kind.parameters:
                yield Remark(
                    "mime-form", "The order and borders of its parts show which program made it."
                )
            continue
        octets = transfer.decode(body[part.start : part.stop], part.encoding)
        yield from _in_part(part, b"" if octets is None else octets)


def _in_part(part: Part, octets: bytes) -> Iterator[Remark]:
    kind = part.content_type
    name = kind.parameters.get("name", "")
    if name:
        yield Remark("file-name", f"The recipient reads the file's name: {name}.")
    if kind.type.startswith("text/"):
        charset = kind.parameters.get("charset", "us-ascii").lower()
        if charset not in ("utf-8", "us-ascii"):
            yield Remark("charset", f"The text is in {charset}, which few use: it says where from.")
        try:
            yield from in_text(octets.decode(charset, "replace"))
        except LookupError:
            yield from in_text(octets.decode("latin-1"))
        if kind.type == "text/html":
            yield Remark("html", "HTML shows which program made it; pictures in it may be fetched.")
        return
    for what, inside in _INSIDE:
        if inside(octets):
            whose = f"The file {name}" if name else "An attachment"
            yield Remark("metadata", f"{whose} has {what} in it.")


def _exif(octets: bytes) -> bool:
    jpeg = octets.startswith(b"\xff\xd8") and b"Exif\0\0" in octets[:MOST]
    png = octets.startswith(b"\x89PNG") and b"eXIf" in octets
    return jpeg or png or octets.startswith((b"II*\0", b"MM\0*"))


def _png_text(octets: bytes) -> bool:
    chunks = (b"tEXt", b"iTXt", b"zTXt", b"tIME")
    return octets.startswith(b"\x89PNG") and any(each in octets for each in chunks)


def _xmp(octets: bytes) -> bool:
    return b"http://ns.adobe.com/xap/" in octets or b"<x:xmpmeta" in octets


def _pdf(octets: bytes) -> bool:
    return octets.startswith(b"%PDF-") and _PDF.search(octets) is not None


def _office(octets: bytes) -> bool:
    if not octets.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            for name in ("docProps/core.xml", "meta.xml"):
                if name in archive.namelist():
                    with archive.open(name) as file:
                        if _CORE.search(file.read(MOST)):
                            return True
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError):
        pass
    return False


_INSIDE: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("what a camera wrote (EXIF: the device, the time, perhaps the place)", _exif),
    ("texts beside the picture (what made it, when)", _png_text),
    ("metadata (XMP)", _xmp),
    ("its author, or the program that made it (PDF)", _pdf),
    ("its author's name (office document)", _office),
)
