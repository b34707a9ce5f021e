"""Many inputs for many targets, in several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.fuzz.driver import Report, fuzz
from tests.fuzz.targets import TARGETS

_SHARD = 25_000
"""Inputs of one task; each has its own seed, and learns for itself."""


def run(names: Sequence[str], inputs: int, seed: int, processes: int) -> Iterator[Report]:
    """Each target's report as soon as it is whole."""
    reports = {name: Report(name) for name in names}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        tasks = [
            pool.submit(_shard, name, min(_SHARD, inputs - begin), seed + begin)
            for begin in range(0, inputs, _SHARD)
            for name in names
        ]
        left = dict.fromkeys(names, len(tasks) // len(names))
        for task in as_completed(tasks):
            part = task.result()
            _add(reports[part.target], part)
            left[part.target] -= 1
            if not left[part.target]:
                yield reports[part.target]


def _shard(name: str, inputs: int, seed: int) -> Report:
    """A part of a target's inputs, in a process of its own."""
    return fuzz(TARGETS[name], inputs, seed)


def _add(whole: Report, part: Report) -> None:
    """Sum up."""
    whole.inputs += part.inputs
    whole.accepted += part.accepted
    whole.seconds += part.seconds
    whole.edges = max(whole.edges, part.edges)
    known = {finding.problem for finding in whole.findings}
    whole.findings += [each for each in part.findings if each.problem not in known]
