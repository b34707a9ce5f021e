"""Pingers' figures: how many of a server's pings came back, and what follows for its use.

Each operator of pingers counts once, whatever he says.  The median of three or more decides,
so that one who lies moves nobody.  A server is usable from 900 per mille on, and stays so until
it falls below 800.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixminion.authority.errors import UnusableFigures

ENOUGH = 3
"""Operators whose figures make one of them."""
GOOD = 900
STILL_GOOD = 800
LONGEST = 16 * 2**20
"""Octets of a file."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one operator's pingers found: per mille by identity."""

    operator: str
    figures: Mapping[bytes, int]
    written: float = 0.0  #: when its file changed last, Unix seconds


@dataclass(frozen=True, slots=True)
class Figures:
    """The reports that count now."""

    reports: Sequence[Report] = field(default_factory=tuple)

    def reliability(self, identity: bytes) -> int | None:
        """The median of a server's figures, the lower one of two; None for fewer than three."""
        found = [r.figures[identity] for r in self.reports if identity in r.figures]
        return statistics.median_low(found) if len(found) >= ENOUGH else None

    def fresh(self, now: float, expiry: float) -> Figures:
        """Without those that were written more than *expiry* seconds before *now*."""
        return Figures(tuple(r for r in self.reports if now - r.written < expiry))


def usable(reliability: int | None, was_usable: bool) -> bool:
    """Whether paths may use a server with that median; *was_usable*: in the last consensus."""
    if reliability is None:
        return True
    return reliability >= (STILL_GOOD if was_usable else GOOD)


def read(octets: bytes, path: Path, written: float = 0.0) -> Report:
    """A report from its file's octets.

    :raises UnusableFigures: they are something else.
    """
    try:
        value: Any = json.loads(octets)
        operator, found = value["operator"], value["figures"]
        figures = {bytes.fromhex(identity): figure for identity, figure in found.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        problem = 'expected {"operator": TEXT, "figures": {IDENTITY: 0 to 1000, ...}}'
        raise UnusableFigures(path=path, problem=problem) from None
    if not isinstance(operator, str) or not operator.strip():
        raise UnusableFigures(path=path, problem="its operator is no text")
    if any(len(identity) != 32 for identity in figures):
        raise UnusableFigures(path=path, problem="an identity has not 64 hexadecimal digits")
    if any(type(each) is not int or not 0 <= each <= 1000 for each in figures.values()):
        raise UnusableFigures(path=path, problem="a figure is no whole number from 0 to 1000")
    return Report(operator.strip().lower(), figures, written)


def gather(paths: Sequence[Path]) -> Figures:
    """Read all files; blocks on the disk.

    :raises UnusableFigures: one cannot be read, or an operator has two.
    """
    reports: list[Report] = []
    for path in paths:
        try:
            written = path.stat().st_mtime
            with open(path, "rb") as file:
                octets = file.read(LONGEST + 1)
        except OSError as error:
            raise UnusableFigures(path=path, problem=error.strerror) from None
        if len(octets) > LONGEST:
            raise UnusableFigures(path=path, problem=f"longer than {LONGEST} octets")
        report = read(octets, path, written)
        if any(report.operator == other.operator for other in reports):
            problem = f"another file is of the operator {report.operator}, who counts once"
            raise UnusableFigures(path=path, problem=problem)
        reports.append(report)
    return Figures(tuple(reports))
