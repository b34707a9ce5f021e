"""The shape of a configuration file, before anything is known about its keys.

``[Section]`` or ``[Section name]`` on a line of its own, ``key = value`` below it; a line that
begins with a blank continues the value above; ``#`` or ``;`` at the start of a line makes a
comment (never behind a value).  Nothing is interpolated.  Everything else is an error, and
every error is collected with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mixminion.config.errors import Position, Problem

_HEADER = re.compile(r"\[\s*([A-Za-z][A-Za-z0-9-]*)(?:\s+([^\]\s]+))?\s*\]", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_KEY = re.compile(r"[a-z][a-z0-9-]*", re.ASCII)


@dataclass(slots=True)
class Entry:
    """One key with its text; continuation lines are joined by line feeds."""

    key: str
    text: str
    position: Position


@dataclass(slots=True)
class Block:
    """One section as written."""

    kind: str
    name: str | None
    position: Position
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """``[Kind]`` or ``[Kind name]``."""
        return f"[{self.kind}]" if self.name is None else f"[{self.kind} {self.name}]"


def read(text: str, filename: str) -> tuple[list[Block], list[Problem]]:
    """All sections of *text* in order, and what is wrong with its shape."""
    blocks: dict[tuple[str, str | None], Block] = {}
    problems: list[Problem] = []
    block: Block | None = None
    entry: Entry | None = None
    lost = False  # below a header that could not be read, keys belong nowhere
    for number, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        at = Position(filename, number)
        line = raw.removesuffix("\r").rstrip(" \t")
        stripped = line.lstrip(" \t")
        if not stripped:
            entry = None
            continue
        if stripped[0] in "#;":
            continue
        if not stripped.replace("\t", " ").isprintable():
            problems.append(Problem(at, "", "expected printable text in UTF-8"))
            entry = None
        elif line[0] in " \t":
            if entry is not None:
                entry.text = f"{entry.text}\n{stripped}".lstrip("\n")
            elif not lost:
                problems.append(
                    Problem(at, "", "a line that begins with a blank continues nothing")
                )
        elif line.startswith("["):
            entry = None
            new = _header(line, at)
            lost = new is None
            if new is None:
                problems.append(Problem(at, "", "expected [Section] or [Section name]"))
                continue
            block = blocks.setdefault((new.kind, new.name), new)
            if block is not new:
                first = f"this section began at line {block.position.line} already"
                problems.append(Problem(at, new.title, f"{first}; put all its keys there"))
        else:
            entry = None
            key, equals, value = (part.strip(" \t") for part in line.partition("="))
            if not equals or not _KEY.fullmatch(key):
                problems.append(Problem(at, "", "expected key = value, the key in small letters"))
            elif lost:
                continue
            elif block is None:
                problems.append(Problem(at, key, "stands before the first [Section]"))
            else:
                entry = Entry(key, value, at)
                first_entry = block.entries.setdefault(key, entry)
                if first_entry is not entry:
                    where = f"was given at line {first_entry.position.line} already"
                    problems.append(Problem(at, f"{block.title} {key}", where))
    return list(blocks.values()), problems


def _header(line: str, at: Position) -> Block | None:
    match = _HEADER.fullmatch(line)
    if match is None or (match[2] is not None and not _NAME.fullmatch(match[2])):
        return None
    return Block(match[1], match[2], at)
