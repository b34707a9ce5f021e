"""``python -m mixminion.benchmarks.pool NETWORK WORKERS FILE...``: unwrap what the files hold with
mix1's key in a pool of worker processes.  Prints how many seconds it took."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred, DeferredList

from mixminion.benchmarks.parts import view_of
from mixminion.counters import Counters
from mixminion.mix.batches import Answer
from mixminion.mix.slots import AREAS, BATCH
from mixminion.mix.workers import WorkerProcesses


async def main(reactor: Any, folder: str, count: str, *files: str) -> None:
    """Unwrap them all."""
    view = view_of(Path(folder))
    length, server = view.packet_length, view.by_name("mix1")
    assert server is not None
    period = view.current_period(time.time())
    stored = b"".join(Path(file).read_bytes() for file in files)
    packets = [stored[at : at + length] for at in range(0, len(stored), length)]
    keys = Path(folder) / "mix1" / "keys"
    workers = WorkerProcesses(reactor, length, server.node_id, keys, int(count), Counters())
    workers.start()
    warm = [workers.unwrap([period], packets[:1]) for _ in range(4 * int(count))]
    await DeferredList(warm, fireOnOneErrback=True)
    start = time.monotonic()
    unwrapped = 0
    batches = (packets[at : at + BATCH] for at in range(0, len(packets), BATCH))

    async def feed() -> None:
        nonlocal unwrapped
        for batch in batches:
            answers = await workers.unwrap([period], batch)
            # Let go of, as a server does and the process alone: kept, every packet would be
            # new memory, whose page faults cost more than the pool.
            unwrapped += sum(isinstance(each, Answer) for each in answers)

    await DeferredList(
        [Deferred.fromCoroutine(feed()) for _ in range(1 + AREAS * int(count))],
        fireOnOneErrback=True,
    )
    took = time.monotonic() - start
    assert unwrapped == len(packets), unwrapped
    print(took)
    await workers.stop()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
