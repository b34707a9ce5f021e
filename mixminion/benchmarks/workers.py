"""``workers-2``: our pool with two workers, against two unwrapping processes that share nothing.

Both unwrap the same packets, in turns: first the one, then the other, several times.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mixminion.benchmarks.relay import Program, make_packets
from mixminion.testing.network import LocalNetwork

PACKETS = 4_000
ROUNDS = 5


def run(packets: int = PACKETS, rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """The row: packets a second, and the ratio to the independent processes."""
    pooled, independent = [], []
    with tempfile.TemporaryDirectory(prefix="mixminion-bench-") as name:
        network = LocalNetwork(Path(name), mixes=2)
        network.make()
        files = make_packets(network, ["mix1", "mix2"], packets)
        for _ in range(rounds):
            pooled.append(packets / float(_output(Program("pool", name, "2", *files))))
            alone = [Program("alone", name, file) for file in files]
            spans = [tuple(map(float, _output(each).split())) for each in alone]
            first, last = min(start for start, _ in spans), max(end for _, end in spans)
            independent.append(packets / (last - first))
    value, bound = statistics.median(pooled), statistics.median(independent)
    ratios = [ours / theirs for ours, theirs in zip(pooled, independent, strict=True)]
    return [
        {
            "name": "workers-2",
            "value": round(value, 1),
            "unit": "packets/s",
            "bound": round(bound, 1),
            "ratio": round(statistics.median(ratios), 3),
        }
    ]


def _output(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{process.args!r} failed")
    return output
