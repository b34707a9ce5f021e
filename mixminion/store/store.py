"""The store as the reactor sees it: every operation returns a Deferred that fires after the
commit, and fsync, of the transaction it was part of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, fail
from twisted.python.failure import Failure

from mixminion.disk.keystore import KeyStore, Kind
from mixminion.interfaces import Random
from mixminion.store.errors import StoreClosed
from mixminion.store.executors import Executor
from mixminion.store.jobs import Job
from mixminion.store.keyring import Keyring
from mixminion.store.spool import Spool
from mixminion.store.transaction import ID_MAX, START, Place, Transaction
from mixminion.store.values import Counts, Pooled, Step, Verdict, Waiting
from mixminion.store.witness import Witness

T = TypeVar("T")


class Store:
    """Spool and tags.

    What is queued together is committed together, without waiting for more; results of one
    transaction arrive in one turn of the reactor, in the order of the calls.  An operation
    that cannot be done fails with a :class:`~mixminion.store.errors.StoreError`, nothing of
    it is on disk, and its neighbours succeed.
    """

    def __init__(self, spool: Spool, in_thread: Executor, random: Random) -> None:
        self._spool = spool
        self._in_thread = in_thread
        self._random = random
        self._closed: Deferred[None] | None = None
        self._renewal = DeferredLock()  # two at once would erase what the other wraps under
        self.started = spool.started  #: the start's number, and what it found
        in_thread.start(spool.perform, _deliver)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        map_size: int,
        in_thread: Executor,
        random: Random,
        keys: KeyStore | None = None,
        period: int = 0,
        published: int = 1,
        free_reserve: int | None = None,
    ) -> Self:
        """Open the store in the folder *path*, which is made if need be; after the fork.

        Storage keys are in *keys*; *period* is the number of the storage period it is,
        *published* the start number in the server's descriptor.
        *map_size* is the disk limit in octets, 16 MiB at least.  *free_reserve* is what
        intake leaves free of the file system; None for 128 MiB, or an eighth of it.  Raises
        :class:`~mixminion.store.errors.StoreUnusable` and its kinds, and
        :class:`~mixminion.disk.errors.PrivateFileError`.
        """
        keys = keys or KeyStore(Kind.DISK, path.parent / "keys")
        keyring = Keyring(keys, random, period)
        spool = Spool(path, map_size, free_reserve, keyring, Witness(keys), published)
        return cls(spool, in_thread, random)

    # -- operations ------------------------------------------------------------------------

    def take_in(self, packet: bytes) -> Deferred[int]:
        """Keep a packet; its incoming id, once it is on disk.  Fails with
        :class:`~mixminion.store.errors.StoreFull` while only the reserve is left."""
        return self._queue(Transaction.take_in, packet)

    def barrier(self, octets: int) -> Deferred[None]:
        """What padding waits for: the same commit, and the same refusal, as a packet of so many
        octets."""
        return self._queue(Transaction.barrier, octets)

    def unwrapped(self, steps: Sequence[Step]) -> Deferred[list[Verdict]]:
        """Do all *steps* in one transaction, or none; a verdict for each, in order.

        Incoming packets are removed, new tags written, and what had a new tag is pooled.
        Shuffle the steps before: pool and incoming are written in their order.
        """
        drawn = zip(steps, self._ids(len(steps)), strict=True)
        return self._queue(Transaction.unwrapped, list(drawn))

    def exchange(self, added: Sequence[Pooled], removed: Iterable[int]) -> Deferred[list[int]]:
        """Pool the records *added* and remove the pooled ones *removed*, in one transaction; the
        new ones' ids."""
        drawn = zip(added, self._ids(len(added)), strict=True)
        return self._queue(Transaction.exchange, (list(drawn), list(removed)))

    def read(self, ids: Sequence[int]) -> Deferred[list[bytes | None]]:
        """Pooled records, None for one that is gone."""
        return self._queue(Transaction.read, ids)

    def read_incoming(self, ids: Sequence[int]) -> Deferred[list[bytes | None]]:
        """Incoming packets, None for one that is gone."""
        return self._queue(Transaction.read_incoming, ids)

    def delete(self, ids: Iterable[int]) -> Deferred[None]:
        """Remove pooled records; those that are gone do not matter."""
        return self._queue(Transaction.delete, list(ids))

    def waiting(self) -> Deferred[Waiting]:
        """All that is held; for the start."""
        return self._queue(Transaction.waiting, None)

    def drop_tags(self, key: int) -> Deferred[None]:
        """Forget the tags of a packet key that has been erased."""
        return self._queue(Transaction.drop_tags, key)

    def counts(self) -> Deferred[Counts]:
        """How much is held, and how much of the limit that takes."""
        return self._queue(Transaction.counts, None)

    # -- storage keys ----------------------------------------------------------------------

    async def renew_storage_key(self, period: int) -> bool:
        """Wrap under a key of *period*, bring what is held under it, erase the keys before it;
        whether there was anything to do.

        In many small transactions, between which everything else goes on.  It may be ended at
        any point, by a crash too, and is finished when it is called again.
        """
        async with self._renewal:
            if not await self._queue(Transaction.new_storage_key, period):
                return False
            place: Place | None = START
            while place is not None:
                place = await self._queue(Transaction.rewrap, place)
            await self._queue(Transaction.erase_storage_keys, None)
            return True

    # -- the end ---------------------------------------------------------------------------

    def close(self) -> Deferred[None]:
        """Do what is queued, then let go of the files.  What is asked later fails with
        :class:`~mixminion.store.errors.StoreClosed`."""
        if self._closed is None:
            self._closed = self._in_thread.stop().addCallback(lambda _: self._spool.close())
        return self._closed

    def _ids(self, count: int) -> Iterator[int]:
        drawn = self._random.octets(8 * count)
        return (int.from_bytes(drawn[n : n + 8]) & ID_MAX for n in range(0, len(drawn), 8))

    def _queue(self, function: Callable[[Transaction, Any], T], argument: Any) -> Deferred[T]:
        if self._closed is not None:
            return fail(StoreClosed())
        waiter: Deferred[T] = Deferred()
        self._in_thread.submit(Job(function, argument, waiter))
        return waiter


def _deliver(jobs: list[Job]) -> None:
    """Tell everybody who waited."""
    for job in jobs:
        if job.error is None:
            job.waiter.callback(job.result)
        else:
            job.waiter.errback(Failure(job.error))
