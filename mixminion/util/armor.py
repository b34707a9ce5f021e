"""Octets as text that survives mail: ``-----BEGIN KIND-----``, headers, base64, an end line.

A text may hold several such blocks with anything round them; blanks at line ends and any
kind of line end are taken.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mixminion.errors import EX_DATAERR, UserError

_COLUMNS = 64
_KIND = re.compile(r"[A-Z0-9]+(?: [A-Z0-9]+)*", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9-]{1,40}", re.ASCII)
_BLOCK = re.compile(
    r"^-----BEGIN (?P<kind>[A-Z0-9 ]+)-----$\n(?P<inside>.*?)^-----END (?P=kind)-----$",
    re.ASCII | re.MULTILINE | re.DOTALL,
)


class BadArmor(UserError):
    """An armored block is damaged.  Field: ``why``."""

    code = "bad-armor"
    sentence = "The armored text is damaged: {why}. Copy it whole, from its first line to its last."
    exit_code = EX_DATAERR


@dataclass(frozen=True, slots=True)
class Armored:
    """One block: what it is, its headers, its octets."""

    kind: str
    headers: Mapping[str, str]
    octets: bytes


def encode(kind: str, headers: Mapping[str, str], octets: bytes) -> str:
    """The block as text, lines ended by LF.  *kind* is capitals, digits and single blanks;
    header names are letters, digits and hyphens, values printable ASCII on one line.

    :raises ValueError: one of them is not.
    """
    if not _KIND.fullmatch(kind):
        raise ValueError("kind")
    for name, value in headers.items():
        if not (_NAME.fullmatch(name) and value.isascii() and value.isprintable()):
            raise ValueError("header")
    text = base64.b64encode(octets).decode("ascii")
    lines = [f"-----BEGIN {kind}-----"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append("")
    lines += [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
    lines.append(f"-----END {kind}-----")
    return "\n".join([*lines, ""])


def decode(text: str) -> list[Armored]:
    """Every block in *text*, in order.

    :raises BadArmor: a block is damaged or has no end.
    """
    lines = re.sub(r"[ \t]*(?:\r\n|\r|\n|\Z)", "\n", text)
    found = [_block(match["kind"], match["inside"]) for match in _BLOCK.finditer(lines)]
    begun = len(re.findall(r"^-----BEGIN [A-Z0-9 ]+-----$", lines, re.ASCII | re.MULTILINE))
    if begun != len(found):
        raise BadArmor(why="a block has no end")
    return found


def _block(kind: str, inside: str) -> Armored:
    head, blank, body = inside.partition("\n\n") if inside[:1] != "\n" else ("", "\n", inside)
    if not blank:
        raise BadArmor(why="there is no empty line below its headers")
    headers: dict[str, str] = {}
    for line in filter(None, head.split("\n")):
        name, colon, value = line.partition(": ")
        if not colon or not _NAME.fullmatch(name) or name in headers:
            raise BadArmor(why="one of its headers cannot be read")
        headers[name] = value
    try:
        octets = base64.b64decode(body.replace("\n", ""), validate=True)
    except (binascii.Error, ValueError):
        raise BadArmor(why="its base64 cannot be read") from None
    return Armored(kind, headers, octets)
