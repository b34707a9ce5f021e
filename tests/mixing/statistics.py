"""Is this sample from that distribution?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence


def ks_p(sample: Sequence[float], cdf: Callable[[float], float]) -> float:
    """The p-value of the Kolmogorov-Smirnov test (its limit for large samples)."""
    n = len(sample)
    at = [cdf(x) for x in sorted(sample)]
    distance = max(max((i + 1) / n - f, f - i / n) for i, f in enumerate(at))
    scaled = (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n)) * distance
    terms = ((-1.0) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * math.fsum(terms)))


def uniform_z(sample: Iterable[Hashable], kinds: int) -> float:
    """How far a sample is from uniform on *kinds* values: chi-square as a normal deviate (Wilson
    and Hilferty); beyond 3.1 is p < 0.001."""
    counts = Counter(sample)
    expected = counts.total() / kinds
    seen = sum((n - expected) ** 2 / expected for n in counts.values())
    chi_square = seen + (kinds - len(counts)) * expected
    degrees = kinds - 1
    spread = 2 / (9 * degrees)
    return (math.cbrt(chi_square / degrees) - (1 - spread)) / math.sqrt(spread)


def chi_square_p(counts: Mapping[int, int], share: Callable[[int], float]) -> float:
    """The p-value of the chi-square test of *counts* of 1, 2, ... against the distribution
    *share*, values of fewer than 10 expected together (Wilson and Hilferty)."""
    total, degrees = sum(counts.values()), 0
    cells: list[tuple[int, float]] = []  # seen, expected
    while (expected := total * share(degrees + 1)) >= 10:
        degrees += 1
        cells.append((counts.get(degrees, 0), expected))
    cells.append((total - sum(n for n, _ in cells), total - sum(e for _, e in cells)))
    chi_square = sum((n - expected) ** 2 / expected for n, expected in cells)
    spread = 2 / (9 * degrees)
    z = (math.cbrt(chi_square / degrees) - (1 - spread)) / math.sqrt(spread)
    return math.erfc(z / math.sqrt(2)) / 2
