"""``spool-commit-16``: taking packets in, against LMDB alone doing the same puts and commits.

Ours goes the whole way: Deferreds, the store's thread and its transactions, results given
back to the reactor's side, the next packets queued meanwhile.  The bound is a loop, in a
thread of its own as well, because the C library's allocator is a fifth slower in the main
thread, whose heap it trims after each commit.  Both write to the folder the command runs
in and take turns; a figure is the median of all turns.  What both stores hold at the end is
counted.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, Protocol

import lmdb
from twisted.internet.task import Clock
from typing_extensions import override

from mixminion.crypto.rng import SystemRandom
from mixminion.store import InlineExecutor, Store, ThreadExecutor
from mixminion.store.jobs import Job

PACKET = 32_768
COMMIT = 16  #: packets in one
TURN = 40  #: commits in one
MAP = 2**30


def run(turns: int = 16) -> list[dict[str, Any]]:
    """The row; RuntimeError when a packet is missing or too many."""
    packets = [os.urandom(PACKET) for _ in range(COMMIT)]
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="bench-") as folder:
        sides: list[_Side] = [_Ours(Path(folder) / "ours"), _Bare(Path(folder) / "bare")]
        rates: list[list[float]] = [[], []]
        for turn in range(turns):
            for which in (turn % 2, 1 - turn % 2):
                start = time.perf_counter()
                sides[which].turn(packets)
                rates[which].append(TURN * COMMIT / (time.perf_counter() - start))
        counts = [side.end() for side in sides]
        if counts != [turns * TURN * COMMIT] * 2:
            raise RuntimeError(f"the stores hold {counts} packets")
    value, bound = map(statistics.median, rates)
    return [
        {
            "name": "spool-commit-16",
            "value": round(value),
            "unit": "messages/s",
            "bound": round(bound),
            "ratio": round(value / bound, 3),
        }
    ]


class _Side(Protocol):
    def turn(self, packets: list[bytes]) -> None: ...

    def end(self) -> int: ...


class _Reactor:
    """As much of a reactor as the store's thread needs."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., Any], Any]] = SimpleQueue()

    def callFromThread(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Have the other thread make this call."""
        self._calls.put((function, arguments))

    def turn(self) -> None:
        """Make one call."""
        function, arguments = self._calls.get()
        function(*arguments)


class _Sixteen(ThreadExecutor):
    """Groups of the size that is measured, not of what happens to be queued."""

    @override
    def _group(self) -> list[Job | None]:
        first = self._queue.get()
        if first is None:
            return [None]
        return [first, *(self._queue.get() for _ in range(COMMIT - 1))]


class _Ours:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._reactor = _Reactor()
        executor = _Sixteen(self._reactor)  # type: ignore[arg-type]
        self._store = Store.open(path, map_size=MAP, in_thread=executor, random=SystemRandom())

    def turn(self, packets: list[bytes]) -> None:
        ids: list[int] = []
        for commit in range(TURN):
            taken = [self._store.take_in(p).addCallback(ids.append) for p in packets]
            if commit:
                self._reactor.turn()
        self._reactor.turn()
        if not all(each.called for each in taken) or len(set(ids)) != TURN * COMMIT:
            raise RuntimeError("a packet was not taken in")

    def end(self) -> int:
        closed = self._store.close()
        while not closed.called:
            self._reactor.turn()
        clock = Clock()
        executor = InlineExecutor(clock)
        store = Store.open(self._path, map_size=MAP, in_thread=executor, random=SystemRandom())
        count: list[int] = []
        counted = store.counts().addCallback(lambda counts: count.append(counts.incoming))
        closed = store.close()
        clock.advance(0)
        assert counted.called and closed.called
        return count[0]


class _Bare:
    def __init__(self, path: Path) -> None:
        path.mkdir()
        self._environment = lmdb.open(os.fspath(path), map_size=MAP, max_dbs=1)
        self._packets = self._environment.open_db(b"packets")
        self._number = 0

    def turn(self, packets: list[bytes]) -> None:
        thread = Thread(target=self._work, args=(packets,))
        thread.start()
        thread.join()

    def _work(self, packets: list[bytes]) -> None:
        for _ in range(TURN):
            with self._environment.begin(write=True) as txn:
                for packet in packets:
                    self._number += 1
                    txn.put(self._number.to_bytes(8), packet, append=True, db=self._packets)

    def end(self) -> int:
        with self._environment.begin() as txn:
            count = txn.stat(self._packets)["entries"]
        self._environment.close()
        return count
