"""Can two kinds of octets be told apart?  A histogram's test, two classifiers, and how well they
do, in plain Python."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import mul

Features = list[int]
Score = Callable[[Features], float]
Numbers = list[float]
Train = Callable[[Sequence[Features], Sequence[Features]], Score]


def alike_z(first: Counter[int], second: Counter[int]) -> float:
    """How far two histograms are from being of one kind: chi-square as a normal deviate (Wilson
    and Hilferty)."""
    n, m = first.total(), second.total()
    chi_square, kinds = 0.0, 0
    for value in first.keys() | second.keys():
        a, b = first[value], second[value]
        kinds += 1
        chi_square += (a * math.sqrt(m / n) - b * math.sqrt(n / m)) ** 2 / (a + b)
    spread = 2 / (9 * (kinds - 1))
    return (math.cbrt(chi_square / (kinds - 1)) - (1 - spread)) / math.sqrt(spread)


def auc(low: Iterable[float], high: Iterable[float]) -> float:
    """How often one of *high* is above one of *low*, a tie counting half: 0.5 is a guess."""
    ranked = sorted([(value, 0) for value in low] + [(value, 1) for value in high])
    below, won, lows, highs = 0, 0.0, 0, 0
    at = 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        ups = sum(kind for _, kind in ranked[at:end])
        downs = end - at - ups
        won += ups * (below + downs / 2)
        below += downs
        lows, highs, at = lows + downs, highs + ups, end
    return won / (lows * highs)


def cross_validated(train: Train, low: Sequence[Features], high: Sequence[Features]) -> float:
    """The :func:`auc` of a classifier that is taught with one half of both kinds and tried on the
    other, both ways."""
    found = 0.0
    for mine in (0, 1):
        score = train(low[mine::2], high[mine::2])
        found += auc(map(score, low[1 - mine :: 2]), map(score, high[1 - mine :: 2]))
    return found / 2


def naive_bayes(low: Sequence[Features], high: Sequence[Features]) -> Score:
    """Each feature for itself, normal in both kinds."""
    means, variances = _moments([*low, *high])
    first, _ = _moments(low)
    second, _ = _moments(high)
    weights = [(b - a) / v for a, b, v in zip(first, second, variances, strict=True)]
    return lambda features: sum(map(mul, weights, _less(features, means)))


def logistic(low: Sequence[Features], high: Sequence[Features], *, rounds: int = 1) -> Score:
    """Logistic regression by stochastic gradient descent on standardized features."""
    means, variances = _moments([*low, *high])
    scales = [1 / math.sqrt(v) for v in variances]

    def standard(features: Features) -> Numbers:
        return list(map(mul, _less(features, means), scales))

    weights = [0.0] * len(means)
    pairs = [(standard(a), standard(b)) for a, b in zip(low, high, strict=False)]
    for turn in range(rounds):
        rate = 0.5 / (1 + turn) / len(means)
        for pair in pairs:
            for kind, features in enumerate(pair):
                guess = 1 / (1 + math.exp(-max(-30.0, min(30.0, sum(map(mul, weights, features))))))
                step = rate * (kind - guess)
                weights = [w + step * x for w, x in zip(weights, features, strict=True)]
    return lambda features: sum(map(mul, weights, standard(features)))


def _less(features: Features, means: Numbers) -> Iterable[float]:
    return (x - m for x, m in zip(features, means, strict=True))


def _moments(sample: Sequence[Features]) -> tuple[Numbers, Numbers]:
    """Mean and variance of each feature; a variance of nothing is 1."""
    n = len(sample)
    means = [sum(column) / n for column in zip(*sample, strict=True)]
    squares = [sum(map(mul, column, column)) / n for column in zip(*sample, strict=True)]
    return means, [(s - m * m) or 1.0 for s, m in zip(squares, means, strict=True)]
