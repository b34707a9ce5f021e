"""A server's store and key store, as its configuration has them, and what was found there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from twisted.logger import Logger

from mixminion.app.checks import store_folder
from mixminion.app.init import published
from mixminion.app.keystore import key_store
from mixminion.config import Config
from mixminion.directory.parameters import Parameters
from mixminion.directory.view import View
from mixminion.disk.keystore import Kind
from mixminion.errors import OperatorError, render
from mixminion.interfaces import Random
from mixminion.mix.config import ServerSection
from mixminion.mix.periods import KeyPeriods
from mixminion.mix.retirement import PacketKeysRetired, retire
from mixminion.mix.storagecare import storage_period
from mixminion.store import Executor, Store
from mixminion.store.keyring import Keyring
from mixminion.store.opening import FIRST
from mixminion.store.witness import Witness

log = Logger()

PROMISES = {
    Kind.DISK: "survives a loss of power; what was erased may be found again in the disk itself",
    Kind.RAM: "does not survive a loss of power; what was erased is gone",
}
SWAPPABLE = (
    "The key store's memory may be written to a swap device: mount it with noswap, use ramfs, or "
    "set MemorySwapMax=0 for this service."
)


def published_start(descriptor: bytes) -> int:
    """The start number in a descriptor of our own; 1, a new server's, in one that is none."""
    known = published(descriptor)
    return FIRST if known is None else known.start


class Storage:
    """The store of the server of *config*."""

    def __init__(self, config: Config, random: Random) -> None:
        self._config = config
        self._random = random
        self.keys = key_store(config)
        self.start = 0  #: the number of this start, once the store is open
        self._found: list[OperatorError] = []

    def period(self, parameters: Parameters) -> float:
        """Seconds of a storage period in a network of these parameters."""
        return self._config[ServerSection].storage_period or float(parameters.key_period)

    def prepare(self, parameters: Parameters, *, now: float) -> None:
        """Read the storage keys, and write what a start needs and is not there yet, before the
        fork: what is wrong with keys or disk is known then.

        Raises :class:`~mixminion.disk.errors.KeyDamaged`,
        :class:`~mixminion.disk.errors.WriteFailed` and what
        :meth:`~mixminion.disk.keystore.KeyStore.open` does.
        """
        Keyring(self.keys, self._random, storage_period(now, self.period(parameters)))
        Witness(self.keys).close()

    def open(self, executor: Executor, view: View, *, published: int, now: float) -> Store:
        """Open the store, before workers start; *published* is the start number in the
        descriptor.  Packet keys whose tags are in doubt are erased.  What was found is logged."""
        store = Store.open(
            store_folder(self._config),
            map_size=self._config[ServerSection].store_limit,
            in_thread=executor,
            random=self._random,
            keys=self.keys,
            period=storage_period(now, self.period(view.parameters)),
            published=published,
        )
        self.start = store.started.number
        self._found = [*store.started.findings]
        if store.started.doubtful:
            used = max(KeyPeriods.of(view).accepted(now))  # later ones have not been
            if count := retire(self.keys, last=used):
                self._found.append(PacketKeysRetired(count=count))
        for sentence in self.found():
            log.warn("{sentence}", sentence=sentence)
        return store

    def found(self) -> Iterator[str]:
        """What the start found, in sentences."""
        return map(render, self._found)

    def attention(self) -> Iterator[str]:
        """What an operator should know."""
        yield from self.found()
        if self.keys.swappable:
            yield SWAPPABLE

    def status(self) -> Mapping[str, Any]:
        """The key store, as JSON values."""
        return {
            "kind": str(self.keys.kind),
            "folder": str(self.keys.folder),
            "promise": PROMISES[self.keys.kind],
            "start": self.start,
        }
