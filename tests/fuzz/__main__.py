"""``python -m tests.fuzz``: many inputs for every target, on all cores.

Findings are written to ``build/fuzz/TARGET/``; the exit code is 1 when there are any.  With
``--again FILE...`` the inputs in those files (below a folder of the target's name) are run.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from click import echo

from tests.fuzz import campaign
from tests.fuzz.driver import Finding, Report, Run
from tests.fuzz.targets import TARGETS


def main(arguments: Sequence[str] | None = None) -> int:
    """See the module."""
    options = _parser().parse_args(arguments)
    if options.again:
        return again(options.again)
    names = options.targets or list(TARGETS)
    started = time.monotonic()
    inputs = findings = 0
    for report in campaign.run(names, options.inputs, options.seed, options.processes):
        tell(report)
        for finding in report.findings:
            keep(finding, options.folder)
        inputs += report.inputs
        findings += len(report.findings)
    echo(
        f"{len(names)} targets, {inputs} inputs, {time.monotonic() - started:.0f} s:"
        f" {findings} findings"
    )
    return 1 if findings else 0


def tell(report: Report) -> None:
    """One line for people."""
    echo(
        f"{report.target:16} {report.inputs:8} inputs {report.inputs / report.seconds:8.0f}/s"
        f" {100 * report.accepted / report.inputs:5.1f} % accepted {report.edges:5} edges"
        f" {len(report.findings)} findings",
    )


def keep(finding: Finding, folder: Path) -> None:
    """Write a finding's input where it can be looked at, and say what it did."""
    path = folder / finding.target / finding.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(finding.octets)
    echo(f"\n{finding.target}: {finding.problem}\n{path}: {finding.octets[:200]!r}")
    echo(finding.detail)


def again(paths: Sequence[Path]) -> int:
    """Run single inputs; what each did."""
    bad = 0
    for path in paths:
        target = TARGETS[path.parent.name]
        finding = Run(target, target.build()).alone(path.read_bytes())
        echo(f"{path}: {finding.detail if finding else 'fine'}")
        bad += finding is not None
    return 1 if bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz the parsers.")
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], help="all, unless named")
    parser.add_argument("--inputs", type=int, default=100_000, help="for each target")
    parser.add_argument("--seed", type=int, default=0, help="other inputs for another seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="for findings")
    parser.add_argument("--again", type=Path, nargs="+", default=[], help="inputs to run again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
