"""Where a secret comes from that does not stand in the configuration itself."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from typing_extensions import override


class Kind(enum.StrEnum):
    """The first word of a source."""

    FILE = "file"
    DESCRIPTOR = "descriptor"
    PROMPT = "prompt"


@dataclass(frozen=True, slots=True)
class SecretSource:
    """``file PATH``, ``descriptor NUMBER`` or ``prompt``."""

    kind: Kind
    path: Path = Path()
    number: int = -1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one; raises :class:`ValueError`."""
        word, _, rest = text.partition(" ")
        kind, rest = Kind(word), rest.strip()
        if kind is Kind.FILE and rest and not rest.startswith("~") and rest.isprintable():
            return cls(kind, path=Path(rest))
        if kind is Kind.DESCRIPTOR and rest.isdecimal() and rest.isascii() and len(rest) < 5:
            return cls(kind, number=int(rest))
        if kind is Kind.PROMPT and not rest:
            return cls(kind)
        raise ValueError

    def under(self, home: Path) -> Self:
        """The same, a relative path put under *home*."""
        return replace(self, path=home / self.path) if self.kind is Kind.FILE else self

    @override
    def __str__(self) -> str:
        rest = {Kind.FILE: f" {self.path}", Kind.DESCRIPTOR: f" {self.number}", Kind.PROMPT: ""}
        return self.kind.value + rest[self.kind]
