"""A start of the store: what is there is upgraded, compared with what is known of it, and
what cannot be read is set aside.

Each start has a number, one more than any that is known: in the store, beside the keys, in
the descriptor that was published.  It is written to the store first and then beside the
keys, so that after a crash the store is at most one ahead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import lmdb

from mixminion.disk import private
from mixminion.store.environment import (
    FORMAT,
    FORMAT_KEY,
    META,
    START_KEY,
    found_format,
    number_of,
    open_environment,
)
from mixminion.store.errors import StoreDamaged, StoreUnusable
from mixminion.store.findings import (
    Finding,
    KeysMissing,
    KeysPutBack,
    RecordsLost,
    Restored,
    StoreMissing,
    StorePutBack,
    StoreSetAside,
)
from mixminion.store.keyring import Keyring
from mixminion.store.shelf import Shelf
from mixminion.store.transaction import Databases
from mixminion.store.upgrade import upgrade
from mixminion.store.witness import Noted, Witness

REHEARSALS = 4  #: after three transactions LMDB finds the pages that the first gave back
FIRST = 1  #: the number in the descriptor of a server that never ran
BROKEN = (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.BadTxnError, lmdb.BadValsizeError)


@dataclass(frozen=True, slots=True)
class Started:
    """How the store started: the number of the start, and what was found."""

    number: int
    findings: tuple[Finding, ...]

    @property
    def doubtful(self) -> bool:
        """Whether tags may be missing: packet keys that were used have to go."""
        return any(finding.doubtful for finding in self.findings)


def check(path: Path, map_size: int) -> None:
    """Open the store, write as :func:`start` does and change nothing: raises what that will raise.

    A damaged one is no reason not to start: it is set aside then.
    """
    with suppress(StoreDamaged, *BROKEN):
        environment = open_environment(path, map_size)
        try:
            for _ in range(REHEARSALS):
                with environment.begin(write=True) as txn:
                    meta = environment.open_db(META, txn=txn)
                    before = number_of(path, "start", txn.get(START_KEY, db=meta))
                    Databases(environment, txn)
                    txn.put(START_KEY, b"%d" % before, db=meta)
        except (lmdb.Error, OSError) as error:
            if isinstance(error, BROKEN):
                raise
            raise StoreUnusable(path=path, problem=str(error)) from error
        finally:
            environment.close()


def start(
    path: Path, map_size: int, keyring: Keyring, witness: Witness, published: int
) -> tuple[lmdb.Environment, Started]:
    """Open the store in *path*; *published* is the start number in the server's descriptor.

    Raises :class:`~mixminion.store.errors.StoreUnusable`, and of its kinds
    :class:`~mixminion.store.errors.StoreTooNew`.
    """
    try:
        return _start(path, map_size, keyring, witness, published, [])
    except StoreDamaged as error:
        aside = _set_aside(path)
        damaged = StoreSetAside(path=path, aside=aside, problem=error.fields["problem"])
        return _start(path, map_size, keyring, witness, published, [damaged])


def _start(
    path: Path,
    map_size: int,
    keyring: Keyring,
    witness: Witness,
    published: int,
    found: list[Finding],
) -> tuple[lmdb.Environment, Started]:
    environment = open_environment(path, map_size)
    try:
        with environment.begin(write=True) as txn:
            known = found_format(path, txn, environment.open_db(META, txn=txn))
        if known and known < FORMAT:
            environment.close()
            upgrade(path, map_size, keyring)
            environment = open_environment(path, map_size)
        commits = environment.info()["last_txnid"]
        with environment.begin(write=True) as txn:
            meta = environment.open_db(META, txn=txn)
            before = number_of(path, "start", txn.get(START_KEY, db=meta))
            noted = witness.noted
            findings = found or [*compare(path, known, before, commits, noted, published)]
            databases = Databases(environment, txn)
            lost = [
                Shelf(txn, pair, keyring).forget_unreadable()
                for pair in (databases.incoming, databases.pool)
            ]
            number = max(before, noted.start, published, FIRST) + 1
            txn.put(START_KEY, b"%d" % number, db=meta)
            txn.put(FORMAT_KEY, b"%d" % FORMAT, db=meta)
    except BaseException as error:
        environment.close()
        if isinstance(error, BROKEN):
            raise StoreDamaged(path=path, problem="its pages do not fit together") from error
        if isinstance(error, lmdb.Error | OSError):  # a full disk, for one
            raise StoreUnusable(path=path, problem=str(error)) from error
        raise
    witness.start = number
    witness.commits = environment.info()["last_txnid"]
    if any(lost):
        findings.append(RecordsLost(incoming=lost[0], pooled=lost[1]))
    return environment, Started(number, tuple(findings))


def compare(
    path: Path, known: int, before: int, commits: int, noted: Noted, published: int
) -> Iterator[Finding]:
    """What the store's numbers say beside those that are known elsewhere: *known* is its format,
    *before* the number of its newest start, *published* that in the descriptor."""
    if not known:
        if noted.start or noted.commits:
            yield StoreMissing(path=path)
        elif published > FIRST:
            yield KeysMissing(keys=noted.keys.folder, kind=noted.keys.kind)
    elif before < noted.start or commits < noted.commits:
        yield StorePutBack(path=path)
    elif noted.start and before > noted.start + 1:
        yield KeysPutBack(keys=noted.keys.folder)
    elif not noted.start and (before > FIRST + 1 or published > FIRST):
        yield KeysMissing(keys=noted.keys.folder, kind=noted.keys.kind)
    elif published > max(before, noted.start, FIRST):
        yield Restored()


def _set_aside(path: Path) -> Path:
    """Move the store's folder to a name that nothing has."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    private.sync_folder(path.parent)
    return aside
