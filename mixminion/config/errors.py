"""What can be wrong with a configuration, all of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from mixminion.errors import EX_CONFIG, OperatorError


class BadValue(ValueError):
    """A text that is not a value of the wanted type; ``str()`` says what was expected.

    ``key`` names the key at fault when it is not the one being read.
    """

    def __init__(self, expected: str, *, key: str | None = None) -> None:
        super().__init__(expected)
        self.key = key


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A line of a file, counted from 1; 0 means the file as a whole."""

    filename: str
    line: int

    @override
    def __str__(self) -> str:
        return f"{self.filename}:{self.line}" if self.line else self.filename


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing wrong: where, with which key of which section, and what was expected."""

    position: Position
    key: str  #: ``[Section] key`` or ``[Section]``, empty for the file as a whole
    expected: str

    @override
    def __str__(self) -> str:
        return ": ".join(filter(None, (str(self.position), self.key, self.expected)))


class ConfigErrors(OperatorError):
    """Everything found wrong; ``problems`` in the order of the file."""

    code = "configuration"
    sentence = "The configuration has errors:\n{listing}"
    exit_code = EX_CONFIG

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__(listing="\n".join(f"  {problem}" for problem in self.problems))
