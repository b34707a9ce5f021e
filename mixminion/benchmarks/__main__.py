"""Run every benchmark, or those named; print a table and write ``build/bench.json``."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

ROOMS = {
    "primitives": ("unwrap-xwing", "unwrap-x25519", "build-xwing", "build-x25519", "lioness"),
    "spool": ("spool-commit-16",),
    "relay": ("relay-1",),
    "measures": (
        "relay-2",
        "relay-slow-disk",
        "relay-without-sync",
        "relay-without-sealing",
    ),
    "workers": ("workers-2",),
    "networks": ("network-3", "hop-latency", "hop-latency-p99"),
    "footprint": ("cli-help", "idle-memory"),
    "fragments": ("large-message-memory", "large-message-rate"),
    "directory": ("directory-10k-verify", "directory-10k-path", "directory-10k-memory"),
    "hourly": ("directory-10k-hourly",),
    "voting": ("directory-10k-tally",),
    "register": (
        "directory-10k-register",
        "directory-10k-vote",
        "directory-10k-authority-memory",
    ),
}
"""The modules here, and the names each measures."""

Row = dict[str, Any]


def machine() -> str:
    """What the figures were measured on, as far as they depend on it."""
    flags = Path("/proc/cpuinfo")
    sha = "sha_ni" in flags.read_text("ascii", "replace") if flags.exists() else None
    says = {True: "with SHA-NI", False: "without SHA-NI", None: "SHA-NI unknown"}[sha]
    return f"{platform.python_implementation()} {platform.python_version()}, {says}"


def table(rows: Iterable[Row]) -> str:
    """The rows for people."""
    lines = [f"{'name':<32}{'value':>12}  {'unit':<12}{'bound':>12}{'ratio':>8}"]
    for row in rows:
        bound = "" if row["bound"] is None else f"{row['bound']:.1f}"
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3f}"
        lines.append(
            f"{row['name']:<32}{row['value']:>12.1f}  {row['unit']:<12}{bound:>12}{ratio:>8}"
        )
    return "\n".join(lines)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m mixminion.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="names to measure (default: all)")
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    asked = parser.parse_args()
    known = {name for names in ROOMS.values() for name in names}
    unknown = set(asked.names) - known
    if unknown:
        there = ", ".join(sorted(known))
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {there}")
    rows: list[Row] = []
    for room, names in ROOMS.items():
        if asked.names and not set(asked.names) & set(names):
            continue
        print(f"{room} ...", file=sys.stderr, flush=True)
        run: Callable[[], list[Row]] = import_module(f"mixminion.benchmarks.{room}").run
        rows += run()
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(json.dumps(rows, indent=1) + "\n")
    print(machine())
    print(table(rows))


if __name__ == "__main__":
    main()
