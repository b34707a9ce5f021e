"""Stores that break their promises, to see whether a test would find it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import lmdb
from twisted.internet.defer import Deferred, gatherResults, succeed

from mixminion.mix.intake import Intake
from mixminion.store import REPLAY, Step, Store, Verdict

Work = Callable[[Sequence[Step]], Awaitable[list[Verdict]]]


def unsynced() -> None:
    """LMDB is told not to sync."""
    module: Any = lmdb
    real = module.open
    module.open = lambda *args, **kwargs: real(*args, **kwargs, sync=False)


def early_answer() -> None:
    """A packet is acknowledged before it is stored."""
    owner: Any = Intake
    receive = owner.receive

    def answer(intake: Intake, packet: bytes) -> Deferred[None]:
        _ = receive(intake, packet)
        return succeed(None)

    owner.receive = answer


def tag_later() -> None:
    """The tag is written in the transaction after the one that pools."""
    _split(_pool_all, _take_back)


def tag_earlier() -> None:
    """The tag is written in the transaction before the one that pools."""
    _split(_tag_all, _pool_new)


FAULTS: dict[str, Callable[[], None]] = {
    "unsynced": unsynced,
    "early-answer": early_answer,
    "tag-later": tag_later,
    "tag-earlier": tag_earlier,
}


def _split(first: Any, second: Any) -> None:
    """Have two transactions do what one does: *first* gets the store and the steps, *second*
    what the first returned as well; the verdicts are its result."""
    owner: Any = Store
    unwrapped = owner.unwrapped

    async def in_two(store: Store, steps: Sequence[Step]) -> list[Verdict]:
        def work(steps: Sequence[Step]) -> Any:
            return unwrapped(store, steps)

        early = await first(store, work, steps)
        result: list[Verdict] = await second(store, work, steps, early)
        return result

    owner.unwrapped = lambda store, steps: Deferred.fromCoroutine(in_two(store, steps))


async def _pool_all(store: Store, work: Work, steps: Sequence[Step]) -> list[Verdict]:
    """Pool every packet, whatever its tag."""
    return await work([_other_tag(step) for step in steps])


async def _tag_all(store: Store, work: Work, steps: Sequence[Step]) -> list[Verdict]:
    """Write the tags of packets that stay where they are; REPLAY for those that are known."""
    taken = await gatherResults([store.take_in(b"trial") for _ in steps])
    trials = zip(steps, taken, strict=True)
    return await work([replace(step, incoming=id, pooled=None) for step, id in trials])


async def _take_back(
    store: Store, work: Work, steps: Sequence[Step], pooled: list[Verdict]
) -> list[Verdict]:
    """Write the tags, and remove again what was pooled and is a replay."""
    verdicts = []
    for known, verdict in zip(await _tag_all(store, work, steps), pooled, strict=True):
        if known is REPLAY and isinstance(verdict, int):
            await store.delete([verdict])
        verdicts.append(REPLAY if known is REPLAY else verdict)
    return verdicts


async def _pool_new(
    store: Store, work: Work, steps: Sequence[Step], known: list[Verdict]
) -> list[Verdict]:
    """Pool what was not known."""
    verdicts = await work(
        [
            Step(step.incoming) if one is REPLAY else _other_tag(step)
            for step, one in zip(steps, known, strict=True)
        ]
    )
    both = zip(known, verdicts, strict=True)
    return [REPLAY if one is REPLAY else verdict for one, verdict in both]


def _other_tag(step: Step) -> Step:
    return step if step.tag is None else replace(step, tag=os.urandom(16))
