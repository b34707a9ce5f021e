"""How many servers each element of a path stands for."""

from __future__ import annotations

from statistics import NormalDist

from mixminion.interfaces import Random
from mixminion.paths.errors import NeverFits, PathTooLong, PathTooShort
from mixminion.paths.language import Around, Element, PathSpec, Some

SPREAD = 1.5
"""Standard deviation of the normal distribution around the *n* of ``~n``."""
_DRAWS = 1000


def draw_counts(
    spec: PathSpec, *, least: int, usual: int, most: int, random: Random
) -> tuple[int, ...]:
    """Servers for each element of *spec*.

    ``~n`` is drawn again, all of them together, until the path has *least* to *usual* hops;
    a path without it may have up to *most*, which is what a header holds.

    :raises PathTooLong: more than *most*, or *usual* of those that are not drawn.
    :raises PathTooShort: fewer than *least*.
    :raises NeverFits: no draw came near.
    """
    fixed = sum(_fixed(element) for element in spec.elements)
    drawn = any(isinstance(element, Around) for element in spec.elements)
    room = usual if drawn else most
    if fixed > room:
        raise PathTooLong(hops=fixed, most=room)
    for _ in range(_DRAWS):
        counts = tuple(
            _around(element.mean, random) if isinstance(element, Around) else _fixed(element)
            for element in spec.elements
        )
        if least <= sum(counts) <= room:
            return counts
        if not drawn:
            raise PathTooShort(hops=fixed, least=least)
    raise NeverFits(least=least, most=room)


def _fixed(element: Element) -> int:
    match element:
        case Some(count):
            return count
        case Around():
            return 0
        case _:
            return 1


def _around(mean: int, random: Random) -> int:
    """Normal around *mean*, rounded, not below zero."""
    middle = (random.uniform() + 2**-54) * (1 - 2**-53)  # never 0 or 1
    return max(0, round(NormalDist(mean, SPREAD).inv_cdf(middle)))
