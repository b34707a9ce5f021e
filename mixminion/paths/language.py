"""The path language.

A path is a list of elements with commas between them, the exit last and counted as a hop:
a server, ``a|b|c`` for one of several servers, ``?`` for one random server, ``*n`` for *n* of
them, ``~n`` for a number drawn around *n*.  A server is its nickname, or a file with its
descriptor: whatever has a ``/`` in it or stands in quotation marks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from typing_extensions import override

from mixminion.paths.errors import BadPath

GREATEST = 255
"""The largest *n*; a header never has room for more."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,19}", re.ASCII)
_FILE = re.compile(r"""'([^']+)'|"([^"]+)"|([^\s,|'"]*/[^\s,|'"]*)""")
_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
_BLANK = re.compile(r"[ \t]*", re.ASCII)
_ELEMENT = "a server's name, ?, *n or ~n"


@dataclass(frozen=True, slots=True)
class Named:
    """The server of that nickname."""

    name: str

    @override
    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class File:
    """The server whose descriptor is in that file."""

    name: str

    @override
    def __str__(self) -> str:
        return f'"{self.name}"' if "'" in self.name else f"'{self.name}'"


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of several servers, whichever fits."""

    servers: tuple[Named | File, ...]

    @override
    def __str__(self) -> str:
        return "|".join(map(str, self.servers))


@dataclass(frozen=True, slots=True)
class Some:
    """Exactly that many random servers (``?`` and ``*n``)."""

    count: int

    @override
    def __str__(self) -> str:
        return "?" if self.count == 1 else f"*{self.count}"


@dataclass(frozen=True, slots=True)
class Around:
    """A number of random servers drawn around ``mean`` (``~n``)."""

    mean: int

    @override
    def __str__(self) -> str:
        return f"~{self.mean}"


Element = Named | File | OneOf | Some | Around


@dataclass(frozen=True, slots=True)
class PathSpec:
    """A parsed path: elements from the entry to the exit."""

    elements: tuple[Element, ...]

    @override
    def __str__(self) -> str:
        """What :func:`parse` reads."""
        return ",".join(map(str, self.elements))

    @property
    def files(self) -> Iterator[File]:
        """Every file in it."""
        for element in self.elements:
            for server in element.servers if isinstance(element, OneOf) else (element,):
                if isinstance(server, File):
                    yield server

    def without_files(self, name: Callable[[File], str]) -> PathSpec:
        """The same path with nicknames for files."""

        def named(server: Element) -> Element:
            if isinstance(server, OneOf):
                names = dict.fromkeys(
                    Named(name(each)) if isinstance(each, File) else each for each in server.servers
                )
                return OneOf(tuple(names))
            return Named(name(server)) if isinstance(server, File) else server

        return PathSpec(tuple(map(named, self.elements)))


def parse(text: str) -> PathSpec:
    """Read a path.

    :raises BadPath: with the position, counted from 1, and what was expected there.
    """
    elements: list[Element] = []
    position = 0
    while True:
        element, position = _element(text, _skip(text, position))
        elements.append(element)
        position = _skip(text, position)
        if position == len(text):
            return PathSpec(tuple(elements))
        if text[position] != ",":
            raise _bad(text, position, "a comma or the path's end")
        position += 1


def ending_at(text: str, name: str, usual: int) -> str:
    """The path *text* with the server *name* as its last hop, once: added, unless it is the last
    one or one of those that may be.  An empty path is one of *usual* hops.

    :raises BadPath: *text* is no path.
    """
    if not text:
        return name if usual < 2 else f"*{usual - 1},{name}"
    *others, last = parse(text).elements
    servers = last.servers if isinstance(last, OneOf) else (last,)
    if any(isinstance(each, Named) and each.name.lower() == name.lower() for each in servers):
        return str(PathSpec((*others, Named(name)))) if isinstance(last, OneOf) else text
    return f"{text},{name}"


def closing_at(path: PathSpec, name: str) -> PathSpec:
    """The same path, no longer than it is, with the server *name* in the place of its last hop."""
    *others, last = path.elements
    match last:
        case Some(n) if n > 1:
            others.append(Some(n - 1))
        case Around(mean):
            others.append(Around(max(mean - 1, 1)))
    return PathSpec((*others, Named(name)))


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
    first, position = _server(text, start, _ELEMENT)
    servers = [first]
    while (bar := _skip(text, position)) < len(text) and text[bar] == "|":
        begins = _skip(text, bar + 1)
        server, position = _server(text, begins, "a server's name")
        if server in servers:
            raise _bad(text, begins, "a server that is not in this choice yet")
        servers.append(server)
    return (first if len(servers) == 1 else OneOf(tuple(servers))), position


def _server(text: str, start: int, expected: str) -> tuple[Named | File, int]:
    file = _FILE.match(text, start)
    if file is not None:
        return File(file[1] or file[2] or file[3]), file.end()
    name = _NAME.match(text, start)
    if name is None:
        raise _bad(text, start, expected)
    return Named(name[0]), name.end()


def _skip(text: str, position: int) -> int:
    blank = _BLANK.match(text, position)
    return position if blank is None else blank.end()


def _bad(text: str, position: int, expected: str) -> BadPath:
    return BadPath(text=text, position=position + 1, expected=expected)
