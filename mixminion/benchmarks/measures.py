"""What safety costs, and what a slow disk does: ``relay-1`` with one thing changed, and as it is,
in turns; the bound is ``relay-1`` as it is.

``relay-2``
    two workers
``relay-slow-disk``
    every commit takes 10 ms more
``relay-without-sync``, ``relay-without-sealing``
    a server that does not sync, or does not encrypt what it stores
"""

from __future__ import annotations

import statistics
from typing import Any

from mixminion.benchmarks.relay import PACKETS, round_of

ROUNDS = 3


def run(packets: int = PACKETS, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """All rows."""
    changes: dict[str, tuple[int, str | None]] = {
        "relay-2": (2, None),
        "relay-slow-disk": (1, "slow-disk"),
        "relay-without-sync": (1, "without-sync"),
        "relay-without-sealing": (1, "without-sealing"),
    }
    plain: list[float] = []
    rates: dict[str, list[float]] = {name: [] for name in changes}
    for _ in range(rounds):
        plain.append(round_of(packets, 1))
        for name, (workers, alteration) in changes.items():
            rates[name].append(round_of(packets, workers, alteration))
    bound = statistics.median(plain)
    return [
        {
            "name": name,
            "value": round(statistics.median(each), 1),
            "unit": "packets/s",
            "bound": round(bound, 1),
            "ratio": round(statistics.median(each) / bound, 3),
        }
        for name, each in rates.items()
    ]
