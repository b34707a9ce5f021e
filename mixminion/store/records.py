"""What a closed store holds, looked at record by record: every one is opened.

One pass over each sub-database, an index beside its records, so that the memory it takes does
not depend on how much there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from mixminion.store.keyring import WRAPPED, Unreadable, Unsealing
from mixminion.store.pages import DamagedPage, Node, Pages, Tree
from mixminion.store.shelf import ID
from mixminion.store.transaction import INCOMING, POOL, tags_key
from mixminion.store.values import TAG_LENGTH

EXIT = b"exit:"
NODE = 32  #: octets of a destination that is another mix
DUE = 8
DELAY_MAX_MS = 2**32  #: longer than any delay that a packet can ask for


@dataclass(slots=True)
class Shelved:
    """How many records of one kind there are, and how many that no server will read."""

    good: int = 0
    lost: int = 0  #: their storage key is gone
    damaged: int = 0  #: they do not open, or the record of an index's entry is missing
    foreign: int = 0  #: of no form that is written here, or in no index
    unchecked: int = 0  #: their storage key may be one that could not be read


@dataclass(slots=True)
class Held:
    """All that a store holds."""

    incoming: Shelved = field(default_factory=Shelved)
    pool: Shelved = field(default_factory=Shelved)
    mixes: int = 0  #: of the pool's good records, those for other mixes
    exits: int = 0  #: and those for exits
    oldest_ms: int | None = None  #: when the first of them is due, Unix milliseconds
    late: int = 0  #: of them, those due later than any delay allows
    tags: dict[int, int] = field(default_factory=dict)  #: how many, by packet key
    tags_damaged: int = 0
    foreign: int = 0  #: sub-databases that are none of ours
    pages: int = 0  #: in use
    problem: str | None = None  #: the first page that was found damaged


class Examination:
    """Looks at all sub-databases, *trees* by name, of an open file.  *complete* says whether
    *keys* are all storage keys there are, *now_ms* what time it is."""

    def __init__(
        self,
        pages: Pages,
        trees: Mapping[bytes, Tree],
        keys: Unsealing,
        *,
        complete: bool,
        now_ms: int,
    ) -> None:
        self._pages = pages
        self._trees = dict(trees)
        self._keys = keys
        self._complete = complete
        self._latest_ms = now_ms + DELAY_MAX_MS
        self._held = Held()

    def sealed(self) -> Held:
        """What a store of the present format holds."""
        for name, shelved in ((INCOMING, self._held.incoming), (POOL, self._held.pool)):
            with self._noting():
                self._shelf(name, shelved)
        return self._rest()

    def plain(self, incoming: bytes, pool: bytes) -> Held:
        """What a store of the first format holds in the sub-databases of these names."""
        with self._noting():
            for node in self._nodes(incoming):
                self._count(self._held.incoming, node.key[ID:], pooled=False)
        with self._noting():
            for node in self._nodes(pool):
                self._count(self._held.pool, node.key[ID:], pooled=True)
        return self._rest()

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """A damaged page ends what is inside, and is noted when it is the first."""
        try:
            yield
        except DamagedPage as error:
            self._held.problem = self._held.problem or str(error)

    # -- records -------------------------------------------------------------------------------

    def _shelf(self, name: bytes, shelved: Shelved) -> None:
        index, records = self._nodes(name + b"-index/2"), self._nodes(name + b"/2")
        for key, entry, record in _beside(index, records):
            if entry is None or len(key) != ID:
                shelved.foreign += 1
                continue
            octets = self._pages.data(entry)
            wrapped, bound = octets[:WRAPPED], octets[WRAPPED:]
            if self._keys.known(wrapped):
                self._open(name, key, shelved, wrapped, bound, record)
            elif self._complete:
                shelved.lost += 1
            else:
                shelved.unchecked += 1

    def _open(
        self,
        name: bytes,
        key: bytes,
        shelved: Shelved,
        wrapped: bytes,
        bound: bytes,
        record: Node | None,
    ) -> None:
        try:
            if record is None:
                raise Unreadable
            self._keys.open(name + key, bound, wrapped, self._pages.data(record))
        except Unreadable:
            shelved.damaged += 1
        else:
            self._count(shelved, bound, pooled=name == POOL)

    def _count(self, shelved: Shelved, bound: bytes, *, pooled: bool) -> None:
        """A record that is *bound* to a moment and a destination, or to nothing."""
        destination = bound[DUE:]
        for_exit = destination.startswith(EXIT)
        if not (for_exit or len(destination) == NODE) if pooled else bound:
            shelved.foreign += 1
            return
        shelved.good += 1
        if pooled:
            held, due_ms = self._held, int.from_bytes(bound[:DUE])
            held.exits += for_exit
            held.mixes += not for_exit
            held.late += due_ms > self._latest_ms
            held.oldest_ms = due_ms if held.oldest_ms is None else min(held.oldest_ms, due_ms)

    # -- the rest ------------------------------------------------------------------------------

    def _rest(self) -> Held:
        """Tags, sub-databases that nobody knows, and free pages."""
        held = self._held
        for name in list(self._trees):
            period = tags_key(name)
            with self._noting():
                if period is None:
                    held.foreign += 1
                    for _ in self._pages.nodes(self._trees[name]):
                        pass
                else:
                    self._tags(period, self._nodes(name))
        if held.problem is None:
            with self._noting():
                self._pages.examine_free()
        return held

    def _tags(self, period: int, nodes: Iterator[Node]) -> None:
        held = self._held
        held.tags[period] = 0
        for node in nodes:
            if len(node.key) == TAG_LENGTH and not node.length:
                held.tags[period] += 1
            else:
                held.tags_damaged += 1

    def _nodes(self, name: bytes) -> Iterator[Node]:
        """The entries of a sub-database of ours, which counts as looked at; none without one."""
        tree = self._trees.pop(name, None)
        if tree is None:
            return iter(())
        self._held.pages += tree.pages
        return self._pages.nodes(tree)


def _beside(
    index: Iterator[Node], records: Iterator[Node]
) -> Iterator[tuple[bytes, Node | None, Node | None]]:
    """Each key of one or both, in order, with the entry of the index and the record."""
    entry, record = next(index, None), next(records, None)
    while entry is not None or record is not None:
        if record is None or (entry is not None and entry.key < record.key):
            assert entry is not None
            yield entry.key, entry, None
            entry = next(index, None)
        elif entry is None or record.key < entry.key:
            yield record.key, None, record
            record = next(records, None)
        else:
            yield entry.key, entry, record
            entry, record = next(index, None), next(records, None)
