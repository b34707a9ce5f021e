"""The examples on a page: commands behind a prompt, and what they print.

In a literal block a line ``$ command`` is run (``alice$ command`` by Alice, with a home of her
own), lines beginning with ``> `` go on with it, and the other lines up to the next prompt are
what it printed.  Of that, whatever is another each time may differ: see :func:`general`; a line
``...`` stands for any lines, and ``...`` in a line for any characters.

Comments prepare what the reader would have: ``.. before`` has lines that are run and not
compared, ``.. later`` above a block says that what it shows takes a while to come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_PROMPT = re.compile(r"(?P<who>[a-z]*)\$ (?P<command>.+)")
_SAME = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "TIME"),
    (re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d(?::\d\d)?)?"), "TIME"),
    (re.compile(r"(?<![\w-])[\w-]{43}(?![\w-])", re.ASCII), "KEY"),
    (re.compile(r"\b[0-9a-f]{8}(?: [0-9a-f]{8})+\b"), "DIGITS"),
    (re.compile(r"\b[0-9a-f]{4}(?: [0-9a-f]{4}){15}\b"), "DIGITS"),
    (re.compile(r"\b[0-9a-f]{12,}\b"), "DIGITS"),
    (re.compile(r"\b(?:[A-Z2-7]{4,8}[ -]){3,}[A-Z2-7]{4,8}\b"), "GROUPS"),
    (re.compile(r"\bmix\d+\b"), "MIX"),
    (re.compile(r"\d+(?:,\d{3})*"), "N"),
    (re.compile(r"\b(?:second|minute|hour|day)s?\b"), "SPAN"),
    (re.compile(r"[ \t]+"), " "),
)


@dataclass(slots=True)
class Example:
    """A command and what it prints; ``who`` is empty on a page with one person."""

    line: int
    who: str
    command: str
    shown: list[str] = field(default_factory=list)
    later: bool = False
    silent: bool = False


def examples(text: str) -> Iterator[Example]:
    """All of a page, in order."""
    later = False
    before = inside = False
    example: Example | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if line and not line.startswith(" "):
            before = line == ".. before"
            later = line == ".. later" or (later and not before and example is None)
            if example is not None and not example.silent:
                yield _trimmed(example)
                later = line == ".. later"
            example, inside = None, False
            continue
        stripped = line.strip()
        if before:
            if stripped:
                yield Example(number, *_who(stripped), silent=True)
            continue
        found = _PROMPT.fullmatch(stripped)
        if found:
            if example is not None:
                yield _trimmed(example)
            example = Example(number, found["who"], found["command"], later=later)
            inside = True
        elif example is not None and not example.shown and (stripped + " ").startswith("> "):
            example.command += "\n" + stripped.removeprefix(">").removeprefix(" ")
        elif example is not None and inside:
            example.shown.append(stripped)
    if example is not None:
        yield _trimmed(example)


def _who(line: str) -> tuple[str, str]:
    found = _PROMPT.fullmatch(line)
    return (found["who"], found["command"]) if found else ("", line)


def _trimmed(example: Example) -> Example:
    while example.shown and not example.shown[-1]:
        example.shown.pop()
    return example


def general(line: str) -> str:
    """A line without what is another each time: moments, keys, names of servers, numbers."""
    for pattern, word in _SAME:
        line = pattern.sub(word, line)
    return line.strip()


def agrees(shown: Sequence[str], printed: str) -> bool:
    """Whether a command printed what the page shows."""
    return _lines([general(line) for line in shown], [*map(general, _kept(printed))])


def _kept(printed: str) -> Iterator[str]:
    """Lines without blanks at the end, and not the empty ones after the last."""
    yield from printed.rstrip().splitlines()


def _lines(shown: Sequence[str], printed: Sequence[str]) -> bool:
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(_lines(shown[1:], printed[n:]) for n in range(len(printed) + 1))
    return bool(printed) and _line(shown[0], printed[0]) and _lines(shown[1:], printed[1:])


def _line(shown: str, printed: str) -> bool:
    pattern = ".*".join(map(re.escape, shown.split("...")))
    return re.fullmatch(pattern, printed) is not None
