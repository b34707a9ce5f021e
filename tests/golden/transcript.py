"""A transcript: command lines with what they print.

::

    # A line for people.
    % stop mix1
    $ echo Hello | mixminion send -t drop -q
    > a line of standard output
    ! a line of standard error
    = 75

``%`` is done to the network, ``$`` is run by bash in a home that has joined it, whose name is
that of nobody else; then come what it printed, and its exit code.  The same line more than
once in a row is there once: which servers are asked, and how many, is another each time; so is
whether a server that a path names is one of the entries that are kept.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
from click.core import ParameterSource

from mixminion.cli.main import mixminion

_SAME = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"), "<TIME>"),
    (re.compile(r"[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000"), "<TIME>"),
    (re.compile(r"https?://127\.\d\.0\.1:\d+/?"), "<SOURCE>"),
    (re.compile(r"127\.\d\.0\.1:\d+"), "<PLACE>"),
    (re.compile(r"\b(?:[0-9a-f]{4,8} ){3,}[0-9a-f]{4,8}\b"), "<FINGERPRINT>"),
    (re.compile(r"\b[0-9a-f]{16,}\b"), "<HEX>"),
    (
        re.compile(r"(?:(?<=\\n)|(?<![^\s\"]))[A-Za-z0-9+/]{32,}={0,2}(?![A-Za-z0-9+/=.])"),
        "<BASE64>",
    ),
    (re.compile(r"(?<=mailbox:)[A-Za-z0-9_-]{43}"), "<CAPABILITY>"),
    (re.compile(r"\b\d{4} days\b"), "<N> days"),
    (re.compile(r"\bprocess \d+"), "process <N>"),
    (re.compile(r"\bmix[1-5]\b"), "mixN"),
    (re.compile(r"\babout \d+ (seconds?|minutes?)"), "about <SPAN>"),
    (re.compile(r"\b\d+(\.\d+)+(\.?(dev|a|b|rc)\d+)?\b"), "<VERSION>"),
    (re.compile(r'(?<="packet-length": )\d+'), "<N>"),
    (re.compile(r'\{"code":"path-entry-named"[^}]*\},?'), ""),
)
_CHANCE = "is none of the entries that you keep"
"""What a line says or not, because entries are drawn."""


@dataclass
class Case:
    """One command line and what it printed."""

    line: str
    printed: list[str] = field(default_factory=list)


def read(text: str) -> Iterator[str | Case]:
    """The cases of a file, and between them its other lines as they are."""
    case: Case | None = None
    for line in text.splitlines():
        if case is not None and line[:1] in (">", "!", "="):
            case.printed.append(line)
            continue
        if case is not None:
            yield case
            case = None
        if line.startswith("$ "):
            case = Case(line[2:])
        elif case is None or line:
            yield line
    if case is not None:
        yield case


def cases(folder: Path) -> Iterator[Case]:
    """Those of all files."""
    for path in sorted(folder.glob("*.txt")):
        yield from (each for each in read(path.read_text("utf-8")) if isinstance(each, Case))


def shown(out: str, err: str, code: int, home: str) -> list[str]:
    """What a command printed, in the form of a transcript, without what is another each time."""
    lines = [*_marked(">", out, home), *_marked("!", err, home), f"= {code}"]
    return [line for line, before in zip(lines, [None, *lines], strict=False) if line != before]


def _marked(mark: str, text: str, home: str) -> Iterator[str]:
    for line in text.splitlines():
        if _CHANCE in line and not line.startswith("{"):
            continue
        said = line.replace(home, "~")
        for pattern, word in _SAME:
            said = pattern.sub(word, said)
        yield f"{mark} {said}".rstrip()


Use = tuple[tuple[str, ...], frozenset[str]]


def name_of(parameter: click.Parameter) -> str:
    """Its name; that of --help depends on what is above the command."""
    return "help" if "--help" in parameter.opts else str(parameter.name)


def uses(line: str) -> Iterator[Use]:
    """Each command that *line* calls, with the names of the parameters it is given."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&()<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if set(word) <= set("|;&()"):
            while words and (words[0] in _SHELL or "=" in words[0]):
                del words[0]
            if words and words[0] in ("mixminion", "mixminion-sendmail"):
                yield from _uses(words)
            words = []
        else:
            words.append(word)


_SHELL = ("do", "if", "then", "until", "while")


def _uses(words: Sequence[str]) -> Iterator[Use]:
    kept = list(words)
    for mark in (">", "<", ">>", "<<<"):
        while mark in kept:
            del kept[kept.index(mark) : kept.index(mark) + 2]
    if kept[0] != "mixminion":
        yield (kept[0],), frozenset()
        return
    command: click.Command = mixminion
    names: list[str] = ["mixminion"]
    arguments = kept[1:]
    parent = None
    while True:
        context = click.Context(
            command, parent, info_name=names[-1], resilient_parsing=True, allow_extra_args=True
        )
        try:
            rest = command.parse_args(context, list(arguments))
        except click.UsageError:
            return
        given = {
            name_of(parameter)
            for parameter in command.get_params(context)
            if context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
        }
        rest = [*context._protected_args, *rest] if isinstance(command, click.Group) else rest
        found = (
            command.get_command(context, rest[0])
            if isinstance(command, click.Group) and rest
            else None
        )
        yield tuple(names), frozenset(given)
        if found is None:
            return
        names.append(rest[0])
        command, arguments, parent = found, list(rest[1:]), context
