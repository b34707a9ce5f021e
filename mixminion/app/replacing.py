"""Packet keys that are erased before their time, of a server that does not run.

Its next start makes others, under a later start number, so that authorities take them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from mixminion.app import directories
from mixminion.app.keystore import key_store
from mixminion.config import Config
from mixminion.directory.consensus import OVERDUE
from mixminion.disk.keystore import KeyStore
from mixminion.disk.lock import HomeLock
from mixminion.mix.periods import KeyPeriods
from mixminion.mix.retirement import retire


@dataclass(frozen=True, slots=True)
class Replaced:
    """Of how many key periods the keys were erased, when the first of them begins, and by when
    the server has to run again; Unix seconds."""

    count: int
    begins: int
    deadline: int


def delete(config: Config) -> int:
    """Erase all packet keys; of how many periods there were some.

    :raises HomeInUse: the server runs.
    """
    with _keys(config) as keys:
        return retire(keys)


def rotate(config: Config, now: float) -> Replaced:
    """Erase the packet keys that nobody can have used when their periods begin.

    The last consensus with a key that is replaced may be made an interval after the server
    started again, and is used for a day after its end.

    :raises HomeInUse: the server runs.
    :raises OperatorError: of :mod:`mixminion.app.directories`, when no directory says which
        periods there are.
    """
    with _keys(config) as keys:
        view = directories.held(config, now)
        periods, parameters = KeyPeriods.of(view), view.parameters
        used = parameters.consensus_interval + parameters.consensus_valid + OVERDUE
        ahead = count(periods.current(now) + 1)
        first = next(number for number in ahead if periods.begins(number) - used > now)
        begins = periods.begins(first)
        return Replaced(retire(keys, first), begins, begins - used)


@contextmanager
def _keys(config: Config) -> Iterator[KeyStore]:
    """The key store, while no server uses it."""
    lock = HomeLock(config.home)
    lock.acquire()
    try:
        yield key_store(config)
    finally:
        lock.release()
