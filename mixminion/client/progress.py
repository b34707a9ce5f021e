"""What a client tells while it works: values for programs, sentences are the command's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mixminion.directory.consensus import Server
from mixminion.paths.deviations import Deviation


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Header fields of a whole message that do not leave."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fetching:
    """There is no valid directory here; one is being fetched."""


@dataclass(frozen=True, slots=True)
class PathChosen:
    """The servers the packet goes through, and what is unusual about them."""

    path: tuple[Server, ...]
    warnings: tuple[Deviation, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The packet is in the outbox: from here on nothing is lost."""

    id: int


@dataclass(frozen=True, slots=True)
class Sent:
    """The entry has the packet on its disk; the sender is not needed any more."""

    id: int
    entry: str  #: nickname
    path: tuple[str, ...]  #: nicknames, entry first
    delay: float  #: seconds until it arrives, on average
    expected: float  #: when that is, Unix seconds


Event = LeftOut | Fetching | PathChosen | Kept | Sent
Progress = Callable[[Event], None]


def silent(event: Event) -> None:
    """Tell nothing."""
