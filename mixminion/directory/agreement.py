"""What several authorities agree on: the rules by which single members of votes are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

H = TypeVar("H", bound=Hashable)


def majority(authorities: Sequence[bytes]) -> int:
    """How many of all authorities, whether they voted or not, are more than half of them."""
    return len(set(authorities)) // 2 + 1


def low_median(values: Iterable[int]) -> int:
    """The middle value, the lower of two; one that the greater part agrees on, if it does."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


def most(values: Iterable[H], tie: Callable[[H], Any]) -> H:
    """The value with the most votes; of several the one for which *tie* is least."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], tie(value)))


def agreed(values: Iterable[H], needed: int) -> H | None:
    """The value that at least *needed* of *values* are, which is more than half of them."""
    found = named_by(([value] for value in values), needed)
    return found.pop() if found else None


def named_by(lists: Iterable[Iterable[H]], needed: int) -> set[H]:
    """What at least *needed* of *lists* name; each list names a thing once."""
    counts = Counter(each for one in lists for each in set(one))
    return {each for each, count in counts.items() if count >= needed}
