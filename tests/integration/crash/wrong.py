"""Stores that break their promises, to see whether a test would find it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import lmdb

from mixminion.store import REPLAY, Step
from mixminion.store.jobs import Job
from mixminion.store.spool import Spool
from mixminion.store.transaction import Transaction

Work = Callable[[Any, Any], Any]


def unsynced() -> None:
    """LMDB is told not to sync."""
    module: Any = lmdb
    real = module.open
    module.open = lambda *args, **kwargs: real(*args, **kwargs, sync=False)


def tag_later() -> None:
    """The tag is written in the transaction after the one that pools."""
    _split(_pool_all, _take_back)


def tag_earlier() -> None:
    """The tag is written in the transaction before the one that pools."""
    _split(_tag_all, _pool_new)


FAULTS: dict[str, Callable[[], None]] = {
    "unsynced": unsynced,
    "tag-later": tag_later,
    "tag-earlier": tag_earlier,
}


def _split(first: Work, second: Callable[[Any, Any, Any], Any]) -> None:
    """Have two transactions do what one does: *first* gets the steps, *second* the steps
    and what the first returned; the verdicts are its result."""
    owner: Any = Spool
    perform = owner.perform

    def in_two(spool: Spool, jobs: list[Job]) -> None:
        for job in jobs:
            if job.function is Transaction.unwrapped:
                early = Job(first, job.argument, job.waiter)
                perform(spool, [early])
                job.argument = job.argument, early.result
                job.function = lambda work, both: second(work, *both)
        perform(spool, jobs)

    owner.perform = in_two


def _pool_all(work: Any, steps: Any) -> Any:
    """Pool every packet, whatever its tag."""
    return work.unwrapped([(_with(step, tag=os.urandom(16)), id) for step, id in steps])


def _tag_all(work: Any, steps: Any) -> Any:
    """Write the tags of packets that stay where they are; REPLAY for those that are known."""
    trials = [replace(step, incoming=work.take_in(b""), pooled=None) for step, _ in steps]
    return work.unwrapped([(trial, id) for trial, (_, id) in zip(trials, steps, strict=True)])


def _take_back(work: Any, steps: Any, pooled: Any) -> Any:
    """Write the tags, and remove again what was pooled and is a replay."""
    verdicts = []
    for known, verdict in zip(_tag_all(work, steps), pooled, strict=True):
        if known is REPLAY and isinstance(verdict, int):
            work.delete([verdict])
        verdicts.append(REPLAY if known is REPLAY else verdict)
    return verdicts


def _pool_new(work: Any, steps: Any, known: Any) -> Any:
    """Pool what was not known."""
    fresh = [
        (_with(step, tag=os.urandom(16)) if one is not REPLAY else Step(step.incoming), id)
        for (step, id), one in zip(steps, known, strict=True)
    ]
    verdicts = work.unwrapped(fresh)
    return [
        REPLAY if one is REPLAY else verdict for one, verdict in zip(known, verdicts, strict=True)
    ]


def _with(step: Step, tag: bytes) -> Step:
    return step if step.tag is None else replace(step, tag=tag)
