"""``cli-help`` and ``idle-memory``: what it costs to be there."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mixminion.testing.network import LocalNetwork

RUNS = 15


def run() -> list[dict[str, Any]]:
    """Both rows."""
    return [cli_help(), idle_memory()]


def cli_help() -> dict[str, Any]:
    """Wall time of ``mixminion --help``, against that of a Python that imports nothing."""
    help_times, bare_times = [], []
    for _ in range(RUNS):
        help_times.append(_timed([sys.executable, "-m", "mixminion", "--help"]))
        bare_times.append(_timed([sys.executable, "-c", "pass"]))
    value, bound = statistics.median(help_times), statistics.median(bare_times)
    return {
        "name": "cli-help",
        "value": round(value * 1e3, 1),
        "unit": "ms",
        "bound": round(bound * 1e3, 1),
        "ratio": round(value / bound, 2),
    }


def idle_memory() -> dict[str, Any]:
    """Anonymous memory of an idle server: the network process and its worker together."""
    with tempfile.TemporaryDirectory() as folder:
        network = LocalNetwork(Path(folder) / "network")
        network.make()
        server = network.mixes[0]
        server.start()
        try:
            pids = server.ask("status")["pids"]
            value = sum(map(anonymous, pids)) / 2**20
        finally:
            network.stop()
    return {
        "name": "idle-memory",
        "value": round(value, 1),
        "unit": "MiB",
        "bound": None,
        "ratio": None,
    }


def _timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def anonymous(pid: int) -> int:
    """Octets of anonymous memory of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)
