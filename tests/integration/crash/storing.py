"""A process with a store and packets for it without end, to be killed.

``python -m tests.integration.crash.storing FOLDER FIRST [--fault NAME]``: it says on its
output what was promised, ``taken N`` and ``pooled N``, and ``deleting N`` before it asks for
that.
Packets, tags and records follow from their numbers, so that somebody else can tell what has
become of them.  Some packets are taken in twice, as when an acknowledgement was lost.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred

from mixminion.crypto.rng import SystemRandom
from mixminion.store import Executor, Pooled, Step, Store, ThreadExecutor
from tests.integration.crash import wrong

LENGTH = 32_768
KEY = 7
AT_ONCE = 64
KEPT = 20  #: records in the pool before they are deleted again


def octets(kind: bytes, n: int) -> bytes:
    """The content of packet or record number *n*."""
    return n.to_bytes(8) + hashlib.shake_128(kind + n.to_bytes(8)).digest(LENGTH - 8)


def tag(n: int) -> bytes:
    """Its tag."""
    return hashlib.sha256(b"tag" + n.to_bytes(8)).digest()[:16]


def say(what: str, n: int) -> None:
    """One line, at once."""
    os.write(1, b"%s %d\n" % (what.encode(), n))


def open_store(folder: Path, in_thread: Executor) -> Store:
    """The store of this process, and of whoever looks at what it left."""
    return Store.open(
        folder,
        map_size=256 * 2**20,
        in_thread=in_thread,
        random=SystemRandom(),
        free_reserve=0,
    )


class Storing:
    """Keeps the store busy with packets from number *first* on."""

    def __init__(self, store: Store, first: int) -> None:
        self._store = store
        self._next = first
        self._pool: list[tuple[int, int]] = []

    def start(self) -> None:
        """Begin; there is no end."""
        for _ in range(AT_ONCE):
            _ = Deferred.fromCoroutine(self._one()).addErrback(self._failed)

    async def _one(self) -> None:
        while True:
            n, self._next = self._next, self._next + 1
            ids = [await self._store.take_in(octets(b"packet", n))]
            say("taken", n)
            if n % 3 == 0:
                ids.append(await self._store.take_in(octets(b"packet", n)))
            pooled = Pooled(b"n" * 32, 1, octets(b"record", n))
            for incoming in ids:
                [verdict] = await self._store.unwrapped([Step(incoming, KEY, tag(n), pooled)])
                if isinstance(verdict, int):
                    say("pooled", n)
                    self._pool.append((n, verdict))
            if len(self._pool) > KEPT:
                number, id = self._pool.pop(0)
                say("deleting", number)
                await self._store.delete([id])

    def _failed(self, failure: Any) -> None:
        os.write(2, failure.getTraceback().encode())
        os._exit(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("first", type=int)
    parser.add_argument("--fault", choices=sorted(wrong.FAULTS))
    chosen = parser.parse_args(arguments)
    if chosen.fault:
        wrong.FAULTS[chosen.fault]()
    store = open_store(chosen.folder, ThreadExecutor(reactor))  # type: ignore[arg-type]
    reactor.callWhenRunning(Storing(store, chosen.first).start)
    reactor.run()


if __name__ == "__main__":
    main()
