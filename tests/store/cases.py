"""Stores on a clock that the test moves, each in a folder of the test's own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mixminion.crypto.rng import SystemRandom
from mixminion.disk.keystore import KeyStore, Kind
from mixminion.store import InlineExecutor, Pooled, Step, Store
from mixminion.testing.cases import SyncTestCase

NODE = b"n" * 32
PACKET = 32768
MAP = 16 * 2**20

T = TypeVar("T")


class StoreCase(SyncTestCase):
    """Waits for stores by moving the clock to what they asked it for."""

    def setUp(self) -> None:
        self.clock = Clock()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.path = Path(folder) / "store"
        self.keys = KeyStore(Kind.DISK, Path(folder) / "keys")

    def open(
        self,
        map_size: int = MAP,
        free_reserve: int = 0,
        period: int = 1,
        published: int = 1,
        keys: KeyStore | None = None,
    ) -> Store:
        """A store that is closed when the test ends."""
        store = Store.open(
            self.path,
            map_size=map_size,
            in_thread=InlineExecutor(self.clock),
            random=SystemRandom(),
            keys=keys or self.keys,
            period=period,
            published=published,
            free_reserve=free_reserve,
        )
        self.addCleanup(lambda: self.result(store.close()))
        return store

    def result(self, deferred: Deferred[T]) -> T:
        """Let the store work; what came of it."""
        self.clock.advance(0)
        return self.successResultOf(deferred)

    def results(self, deferreds: Sequence[Deferred[Any]]) -> list[Any]:
        """Of several, done as one group."""
        self.clock.advance(0)
        return [self.successResultOf(deferred) for deferred in deferreds]

    def pooled(self, store: Store, record: bytes = b"record", due_ms: int = 1) -> int:
        """The id of a record that went all the way into the pool."""
        incoming = self.result(store.take_in(b"packet"))
        steps = [Step(incoming, 1, os.urandom(16), Pooled(NODE, due_ms, record))]
        [verdict] = self.result(store.unwrapped(steps))
        assert isinstance(verdict, int)
        return verdict
