"""The path language.

A path is a list of elements with commas between them, the exit last and counted as a hop:
a server's nickname, ``?`` for one random server, ``*n`` for *n* of them, ``~n`` for a
number drawn around *n*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mixminion.paths.errors import BadPath

GREATEST = 255
"""The largest *n*; a header never has room for more."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_BLANK = re.compile(r"[ \t]*", re.ASCII)
_ELEMENT = "a server's name, ?, *n or ~n"


@dataclass(frozen=True, slots=True)
class Named:
    """The server of that nickname."""

    name: str


@dataclass(frozen=True, slots=True)
class Some:
    """Exactly that many random servers (``?`` and ``*n``)."""

    count: int


@dataclass(frozen=True, slots=True)
class Around:
    """A number of random servers drawn around ``mean`` (``~n``)."""

    mean: int


Element = Named | Some | Around


@dataclass(frozen=True, slots=True)
class PathSpec:
    """A parsed path: elements from the entry to the exit."""

    elements: tuple[Element, ...]


def parse(text: str) -> PathSpec:
    """Read a path.

    :raises BadPath: with the position, counted from 1, and what was expected there.
    """
    elements: list[Element] = []
    position = 0
    while True:
        position = _skip(text, position)
        element, position = _element(text, position)
        elements.append(element)
        position = _skip(text, position)
        if position == len(text):
            return PathSpec(tuple(elements))
        if text[position] != ",":
            raise _bad(text, position, "a comma or the path's end")
        position += 1


def ending_at(text: str, name: str, usual: int) -> str:
    """The path *text* with the server *name* as its last hop, once; an empty one is a path of
    *usual* hops.

    :raises BadPath: *text* is no path.
    """
    if not text:
        return name if usual < 2 else f"*{usual - 1},{name}"
    last = parse(text).elements[-1]
    if isinstance(last, Named) and last.name.lower() == name.lower():
        return text
    return f"{text},{name}"


def _element(text: str, start: int) -> tuple[Element, int]:
    sign = text[start : start + 1]
    if sign == "?":
        return Some(1), start + 1
    if sign in ("*", "~") and sign:
        number = _NUMBER.match(text, start + 1)
        if number is None or not 1 <= int(number[0]) <= GREATEST:
            raise _bad(text, start + 1, f"a number from 1 to {GREATEST}")
        n = int(number[0])
        return (Some(n) if sign == "*" else Around(n)), number.end()
    name = _NAME.match(text, start)
    if name is None:
        raise _bad(text, start, _ELEMENT)
    return Named(name[0]), name.end()


def _skip(text: str, position: int) -> int:
    blank = _BLANK.match(text, position)
    return position if blank is None else blank.end()


def _bad(text: str, position: int, expected: str) -> BadPath:
    return BadPath(text=text, position=position + 1, expected=expected)
