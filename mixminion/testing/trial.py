"""``python -m mixminion.testing.trial``: trial as this project runs it.

A coroutine that failed and that nobody awaited is seen only when it is collected, so the
garbage is collected around every test, as with ``trial --force-gc``.  What the imports
left behind is frozen first: 27 s for 300 tests become 0.9.

With ``--jobs`` several processes share the modules: each takes the next one when it is through
with the one before.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from twisted.python.modules import getModule
from twisted.trial._asyncrunner import _ForceGarbageCollectionDecorator
from twisted.trial.itrial import ITestCase
from twisted.trial.reporter import TreeReporter
from twisted.trial.runner import TestLoader, TrialRunner
from twisted.trial.unittest import decorate
from typing_extensions import override

RECORD = 128
"""Octets of a module's name in the file that processes share; they share its position, too."""

SUMMARY = re.compile(r"(?:PASSED|FAILED)(?: \((.*)\))?")
GOOD = {"successes", "skips", "expectedFailures"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tests named in *arguments*; 0 when all passed, 1 when not."""
    options = _parser().parse_args(arguments)
    if options.share is not None:
        return _run(Shared(options.share), options)
    names = [name for name in options.names for name in expand(name, options.without)]
    if options.jobs > 1:
        return in_processes(names, options.jobs, options.folder)
    return _run(TestLoader().loadByNames(names, recurse=True), options)


def _run(suite: unittest.TestSuite, options: argparse.Namespace) -> int:
    gc.collect()
    gc.freeze()
    runner = TrialRunner(
        TreeReporter,
        workingDirectory=options.folder,
        forceGarbageCollection=True,
        exitFirst=options.exitfirst,
    )
    return 0 if runner.run(suite).wasSuccessful() else 1


def expand(name: str, without: Iterable[str]) -> Iterator[str]:
    """*name*, or when something below it is left out, the modules that stay."""
    inner = [path for path in without if path.startswith(f"{name}.")]
    if any(f"{name}.".startswith(f"{path}.") for path in without):
        return
    if not inner:
        yield name
    else:
        for module in sorted(getModule(name).iterModules(), key=lambda module: module.name):
            yield from expand(module.name, inner)


# -- in several processes ------------------------------------------------------------------------


class Shared(unittest.TestSuite):
    """The tests of whichever modules this process is first to take from the open file *share*."""

    def __init__(self, share: int) -> None:
        super().__init__()
        self._share = share

    @override
    def run(self, result: Any, debug: bool = False) -> Any:
        """Until none is left."""
        loader = TestLoader()
        while name := os.read(self._share, RECORD).decode().rstrip():
            suite = decorate(loader.loadByName(name, recurse=True), ITestCase)
            gc.collect()
            gc.freeze()
            decorate(suite, _ForceGarbageCollectionDecorator).run(result)
        return result


def modules(name: str) -> Iterator[str]:
    """The modules with tests of the package, or the module, test case or method *name*."""
    try:
        found = [each.name for each in getModule(name).walkModules()]
    except KeyError:
        found = []
    tests = [each for each in found if each.rpartition(".")[2].startswith("test_")]
    yield from sorted(tests) or [name]


def in_processes(names: Iterable[str], jobs: int, folder: str) -> int:
    """Run them in so many processes at a time; 0 when all passed."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as share, ThreadPoolExecutor(jobs) as threads:
        for name in names:
            for module in modules(name):
                share.write(module.encode().ljust(RECORD))
        share.seek(0)
        running = [threads.submit(_process, share.fileno(), f"{folder}-{n}") for n in range(jobs)]
        counted = [each.result() for each in running]
    total: Counter[str] = sum(counted, Counter())
    bad = sum(number for word, number in total.items() if word not in GOOD)
    print(
        f"In {jobs} processes, {time.monotonic() - started:.0f} s: {total['successes']} passed,"
        f" {bad} failed, {total['skips']} skipped"
    )
    return 1 if bad else 0


def _process(share: int, folder: str) -> Counter[str]:
    """One process, whose lines are shown a module at a time; trial's counts.  One that died, or
    said nothing, counts as an error."""
    command = [sys.executable, "-m", __spec__.name, "--share", str(share), "--folder", folder]
    counted: Counter[str] = Counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=[share], text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            if line.startswith("tests.") and lines:
                _show(lines)
            lines.append(line)
            if found := SUMMARY.fullmatch(line.rstrip()):
                for each in (found[1] or "").split(", "):
                    word, _, number = each.partition("=")
                    counted[word] += int(number or 0)
        _show(lines)
    bad = any(number for word, number in counted.items() if word not in GOOD)
    if not counted or (process.returncode and not bad):
        _show([f"A process of the tests ended with {process.returncode}.\n"])
        counted["errors"] += 1
    return counted


def _show(lines: list[str]) -> None:
    sys.stdout.write("".join(lines))
    sys.stdout.flush()
    lines.clear()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mixminion.testing.trial", description="Run tests with trial."
    )
    parser.add_argument("names", nargs="*", help="packages, modules, classes, methods")
    parser.add_argument("--without", action="append", default=[], help="leave this module out")
    parser.add_argument("--folder", default="_trial_temp", help="where the tests run")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the modules")
    parser.add_argument("--share", type=int, help=argparse.SUPPRESS)
    parser.add_argument("-x", "--exitfirst", action="store_true", help="stop at a failure")
    return parser


if __name__ == "__main__":
    sys.exit(main())
