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
_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----", re.ASCII)
_LINE_END = re.compile(r"\r\n|\r|\n")


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
    found: list[Armored] = []
    kind: str | None = None
    inside: list[str] = []
    # Line by line: a search for blanks at line ends takes the square of a long run of them.
    for line in (each.rstrip(" \t") for each in _LINE_END.split(text)):
        begin = _BEGIN.fullmatch(line)
        if begin is not None:
            if kind is not None:
                break
            kind, inside = begin[1], []
        elif kind is None:
            continue
        elif line == f"-----END {kind}-----":
            found.append(_block(kind, inside))
            kind = None
        else:
            inside.append(line)
    if kind is not None:
        raise BadArmor(why="a block has no end")
    return found


def _block(kind: str, inside: list[str]) -> Armored:
    if "" not in inside:
        raise BadArmor(why="there is no empty line below its headers")
    blank = inside.index("")
    headers: dict[str, str] = {}
    for line in inside[:blank]:
        name, colon, value = line.partition(": ")
        if not colon or not _NAME.fullmatch(name) or name in headers:
            raise BadArmor(why="one of its headers cannot be read")
        headers[name] = value
    try:
        octets = base64.b64decode("".join(inside[blank + 1 :]), validate=True)
    except (binascii.Error, ValueError):
        raise BadArmor(why="its base64 cannot be read") from None
    return Armored(kind, headers, octets)
