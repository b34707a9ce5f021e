"""A look at a closed store: all that can be known of it, and what its next start will find.

Nothing is changed, not even a number: the file is read without LMDB, the files beside the keys
are not mapped, no key is made or erased.  Nobody else may work with the store meanwhile.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mixminion.disk import private
from mixminion.disk.errors import PrivateFileError
from mixminion.disk.keystore import KeyStore
from mixminion.errors import OperatorError
from mixminion.store import upgrade
from mixminion.store.environment import (
    CUT_SHORT,
    DATA,
    DATABASES_MAX,
    FORMAT,
    FORMAT_KEY,
    LOCK,
    META,
    START_KEY,
    format_of,
    number_of,
)
from mixminion.store.errors import StoreDamaged, StoreUnusable
from mixminion.store.findings import (
    KeysUnfinished,
    PagesDamaged,
    RecordsDamaged,
    RecordsForeign,
    RecordsLate,
    RecordsLost,
    RecordsUnchecked,
    StoreNew,
    StoreOld,
    StoreSetAside,
    TagsDamaged,
    UpgradeInterrupted,
)
from mixminion.store.keyring import FILES, UNFINISHED, StorageKey, Unsealing, read_key
from mixminion.store.opening import compare
from mixminion.store.pages import DamagedPage, NoPages, Pages, Progress, Tree, is_cut_short
from mixminion.store.records import Examination, Held
from mixminion.store.room import MAP_MIN, Room
from mixminion.store.witness import Noted


@dataclass(slots=True)
class Inspection:
    """What was found.  Without a store that can be read there is nothing in ``held``."""

    found: list[OperatorError] = field(default_factory=list)
    format: int = 0  #: 0 when there is no store
    start: int = 0  #: the number of its newest start
    held: Held | None = None
    used: int = 0  #: octets
    limit: int = 0  #: octets from which on it takes nothing in
    map_limit: int = 0  #: the same, if its disk had all the room that its map allows


def inspect(
    path: Path,
    *,
    map_size: int,
    keys: KeyStore,
    published: int,
    now_ms: int,
    progress: Progress = lambda done, of: None,
) -> Inspection:
    """Look at the store in the folder *path*, as :meth:`mixminion.store.store.Store.open` would
    open it; *now_ms* is what time it is, Unix milliseconds.  Whatever is wrong is found, nothing
    is raised for it."""
    return _Look(path, map_size, keys, published, now_ms, progress).all()


class _Look:
    """One look, which collects what it finds."""

    def __init__(
        self,
        path: Path,
        map_size: int,
        keys: KeyStore,
        published: int,
        now_ms: int,
        progress: Progress,
    ) -> None:
        self._path = path
        self._map_size = max(map_size, MAP_MIN)
        self._keys = keys
        self._published = published
        self._now_ms = now_ms
        self._progress = progress
        self._result = Inspection()
        self._complete = True  # all storage keys could be read

    def all(self) -> Inspection:
        """Keys, files, numbers, records, in this order."""
        unsealing = Unsealing(self._storage_keys())
        self._files()
        try:
            with self._open() as pages:
                if pages is None:
                    self._numbers(0)
                else:
                    self._content(pages, unsealing)
        except (NoPages, StoreDamaged) as error:
            problem = error.fields["problem"] if isinstance(error, StoreDamaged) else str(error)
            self._found(StoreSetAside(path=self._path, problem=problem))
        except DamagedPage as error:
            self._found(PagesDamaged(path=self._path, problem=str(error)))
        except StoreUnusable as error:  # its kind for newer ones, too
            self._found(error)
        except OSError as error:
            self._found(StoreUnusable(path=self._path, problem=error.strerror))
        return self._result

    def _found(self, *findings: OperatorError) -> None:
        self._result.found += findings

    # -- files ---------------------------------------------------------------------------------

    def _storage_keys(self) -> Iterator[StorageKey]:
        folder = self._keys.folder
        with self._finding():
            self._keys.check()
        for path in sorted(folder.glob(FILES)):
            try:
                yield read_key(path)
            except OperatorError as error:
                self._complete = False
                self._found(error)
        if count := len([*folder.glob(UNFINISHED)]):
            self._found(KeysUnfinished(count=count, keys=folder))

    def _files(self) -> None:
        for path in (self._path, self._path / DATA, self._path / LOCK):
            with self._finding():
                private.check(path)
        beside = upgrade.beside_of(self._path)
        if beside.exists():
            self._found(UpgradeInterrupted(path=beside))

    @contextmanager
    def _finding(self) -> Iterator[None]:
        """What is wrong with a file is found; none there is nothing wrong."""
        try:
            yield
        except FileNotFoundError:
            pass
        except OperatorError as error:
            self._found(error)

    @contextmanager
    def _open(self) -> Iterator[Pages | None]:
        """The pages of the file; None when there are none."""
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self._path / DATA, flags)
        except FileNotFoundError:
            yield None
            return
        try:
            state = os.fstat(descriptor)
            if not stat.S_ISREG(state.st_mode):
                raise StoreUnusable(path=self._path, problem="it is not an ordinary file")
            if not state.st_size:
                yield None
                return
            pages = Pages(descriptor, self._progress)
            if pages.short and is_cut_short(descriptor, DATABASES_MAX):
                raise NoPages(CUT_SHORT)
            yield pages
        finally:
            os.close(descriptor)

    # -- what the store says of itself ---------------------------------------------------------

    def _content(self, pages: Pages, keys: Unsealing) -> None:
        result, path = self._result, self._path
        trees = pages.trees(DATABASES_MAX)
        meta = _meta(pages, trees.pop(META, None))
        result.format = format_of(path, meta.get(FORMAT_KEY))
        result.start = number_of(path, "start", meta.get(START_KEY))
        self._numbers(pages.transaction)
        examination = Examination(pages, trees, keys, complete=self._complete, now_ms=self._now_ms)
        if 0 < result.format < FORMAT:
            self._found(StoreOld(path=path, found=result.format, known=FORMAT))
            held = examination.plain(upgrade.INCOMING, upgrade.POOL)
        else:
            held = examination.sealed()
        result.held = held
        result.used = held.pages * pages.page_size
        room = Room(path / DATA, self._map_size)
        result.limit, result.map_limit = room.limit(), room.map_limit
        self._found(*_remarks(path, held))

    def _numbers(self, commits: int) -> None:
        """Compare the store's numbers with those beside the keys and in the descriptor."""
        result = self._result
        try:
            noted = Noted.read(self._keys)
        except PrivateFileError as error:
            self._found(error)
            return
        found = [*compare(self._path, result.format, result.start, commits, noted, self._published)]
        if not found and not result.format:
            found.append(StoreNew(path=self._path))
        self._found(*found)


def _meta(pages: Pages, tree: Tree | None) -> dict[bytes, bytes]:
    if tree is None:
        return {}
    return {node.key: pages.data(node) for node in pages.nodes(tree)}


def _remarks(path: Path, held: Held) -> Iterator[OperatorError]:
    """What was found in the records."""
    incoming, pool = held.incoming, held.pool
    if held.problem is not None:
        yield PagesDamaged(path=path, problem=held.problem)
    if incoming.lost or pool.lost:
        yield RecordsLost(incoming=incoming.lost, pooled=pool.lost)
    if incoming.damaged or pool.damaged:
        yield RecordsDamaged(incoming=incoming.damaged, pooled=pool.damaged)
    if foreign := incoming.foreign + pool.foreign + held.foreign:
        yield RecordsForeign(count=foreign)
    if held.tags_damaged:
        yield TagsDamaged(count=held.tags_damaged)
    if unchecked := incoming.unchecked + pool.unchecked:
        yield RecordsUnchecked(count=unchecked)
    if held.late:
        yield RecordsLate(count=held.late)
