"""Files that say who gets mail from this server's exits.

A line is ``deny KIND VALUE`` or ``allow KIND VALUE``; ``#`` begins a comment.  Kinds: ``address``
(one mailbox, sub-addresses included), ``user`` (what stands before the @, in any domain),
``host`` (a domain alone), ``domain`` (a domain and all below it), ``pattern`` (a whole address
with ``*`` and ``?``).  ``deny everybody`` denies who is not allowed.  An allow line overrules every
deny line; case never matters.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mixminion.config import ConfigErrors, Position, Problem
from mixminion.disk import private
from mixminion.errors import MixminionError, render
from mixminion.mail import address
from mixminion.mail.address import Address
from mixminion.mail.errors import BadAddress

LONGEST_FILE = 16 * 2**20
"""Octets of one file."""

KINDS = ("address", "user", "host", "domain", "pattern")
EVERYBODY = "everybody"

_USER = re.compile(r"[A-Za-z0-9#$&'*+=?^_`{}~.-]{1,64}")
_PATTERN = re.compile(r"[A-Za-z0-9#$&'+=^_`{}~.@*?-]{1,254}")
_EXPECTED = {
    "address": "an address such as user@example.org",
    "user": "what stands before an @",
    "host": "a domain such as example.org",
    "domain": "a domain such as example.org",
    "pattern": "a pattern such as *-list@*.example.org",
}
_FORM = f"expected deny or allow; {', '.join(KINDS)}; a value; or deny {EVERYBODY}"


@dataclass(slots=True)
class _Matches:
    """What the lines of one verb name, in lower case."""

    exact: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in KINDS})
    patterns: list[re.Pattern[str]] = field(default_factory=list)

    def add(self, kind: str, value: str) -> None:
        if kind == "pattern":
            # Its translation is linear in the address, however many stars there are.
            self.patterns.append(re.compile(fnmatch.translate(value)))
        else:
            self.exact[kind].add(value)

    def has(self, given: Address) -> bool:
        folded, written = address.folded(given), str(given).lower()
        return (
            str(folded) in self.exact["address"]
            or bool(self.exact["user"] & {folded.local_part, given.local_part.lower()})
            or given.domain in self.exact["host"]
            or any(name in self.exact["domain"] for name in address.enclosing(given.domain))
            or any(pattern.match(written) for pattern in self.patterns)
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """What all files together say."""

    _denied: _Matches = field(default_factory=_Matches)
    _allowed: _Matches = field(default_factory=_Matches)
    closed: bool = False  #: whether nobody gets mail but who is allowed

    def refuse(self, given: Address) -> bool:
        """Whether *given* gets no mail."""
        return (self.closed or self._denied.has(given)) and not self._allowed.has(given)


def read(paths: Iterable[Path]) -> Rules:
    """The rules of these files; raises :class:`~mixminion.config.ConfigErrors` with everything
    that is wrong in them."""
    matches = {"deny": _Matches(), "allow": _Matches()}
    closed = False
    problems: list[Problem] = []
    for path in paths:
        text = _text(path, problems)
        for number, verb, kind, value in _lines(path, text, problems):
            if kind == EVERYBODY:
                closed = True
                continue
            try:
                matches[verb].add(kind, _value(kind, value))
            except ValueError:
                at = Position(str(path), number)
                problems.append(Problem(at, f"{verb} {kind}", f"expected {_EXPECTED[kind]}"))
    if problems:
        raise ConfigErrors(problems)
    return Rules(matches["deny"], matches["allow"], closed)


def _text(path: Path, problems: list[Problem]) -> str:
    try:
        private.check_unchangeable(path)
        with open(path, "rb") as file:
            octets = file.read(LONGEST_FILE + 1)
        if len(octets) > LONGEST_FILE:
            raise ValueError
        return octets.decode("ascii")
    except MixminionError as error:
        expected = render(error)
    except OSError as error:
        expected = f"cannot be read: {error.strerror}"
    except ValueError:
        expected = f"expected ASCII, at most {LONGEST_FILE // 2**20} MiB"
    problems.append(Problem(Position(str(path), 0), "", expected))
    return ""


def _lines(path: Path, text: str, problems: list[Problem]) -> Iterator[tuple[int, str, str, str]]:
    """Line number, verb, kind and value of each line that has this form."""
    for number, line in enumerate(text.split("\n"), 1):
        match line.partition("#")[0].split():
            case []:
                pass
            case ["deny", "everybody"]:
                yield number, "deny", EVERYBODY, ""
            case [("deny" | "allow") as verb, kind, value] if kind in KINDS:
                yield number, verb, kind, value
            case _:
                problems.append(Problem(Position(str(path), number), "", _FORM))


def _value(kind: str, text: str) -> str:
    """*text* as it is compared; a ValueError when it is none of its kind."""
    try:
        if kind == "address":
            return str(address.folded(address.parse(text)))
        if kind in {"host", "domain"}:
            return address.parse_domain(text)
    except BadAddress:
        raise ValueError from None
    form = _USER if kind == "user" else _PATTERN
    if not form.fullmatch(text):
        raise ValueError
    return text.lower()
