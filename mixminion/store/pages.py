"""LMDB's file, read without LMDB: every page is examined before what it says is followed.

LMDB trusts its file.  A damaged page makes it read outside its map, which ends the process, and
opening a file at all may write to it.  Here pages are read one by one from a descriptor that
nothing is written to, and each has to be what its place in the tree asks for.  The layout is
that of LMDB 0.9 (``mdb.c``), in the byte order and word size of this machine::

    page        number N | pad 2 | flags 2 | lower 2 | upper 2, or of an overflow run its pages 4
    meta        magic 4 | version 4 | address N | map size N | free tree | main tree
                | last page N | transaction N; page 0 and page 1, of which the younger holds
    tree        pad 4 | flags 2 | depth 2 | branch, leaf, overflow pages N N N | entries N | root N
    node        low 2 | high 2 | flags 2 | key's length 2 | key | data

A leaf's node has its data's length in *low* and *high*, a branch's the number of the page below.
Keys ascend; a branch's first key is not used.  Data that does not fit is in a run of overflow
pages, whose number the node has then.  The main tree has the named ones as data.  The free tree
has lists of free pages: a count and so many page numbers, each N.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

MAGIC = 0xBEEFC0DE
VERSION = 1
DEEPEST = 32  #: levels of a tree that LMDB can walk

_BRANCH, _LEAF, _OVERFLOW, _META = 1, 2, 4, 8  # a page's flags
_BIG, _TREE = 1, 2  # a node's flags
_INTEGER_KEYS = 8  # a tree's flag
_NONE = 2 ** (8 * struct.calcsize("@N")) - 1  # the root of an empty tree

_PAGE = struct.Struct("@N2H2H")
_RUN = struct.Struct("@N2HI")
_META_HEAD = struct.Struct("@IIPN")
_TREE_RECORD = struct.Struct("@I2H5N")
_META_TAIL = struct.Struct("@NN")
_NODE = struct.Struct("@4H")
_WORD = struct.Struct("@N")

META = _PAGE.size + _META_HEAD.size + 2 * _TREE_RECORD.size + _META_TAIL.size
SIZES = tuple(2**n for n in range(9, 17))  #: octets that a page may have
UNKNOWN_KIND = "a sub-database is of an unknown kind"
NOT_LMDB = "it is not an LMDB file"
TOLD = 1024  #: pages between two calls of *progress*

Progress = Callable[[int, int], object]
"""How many pages have been looked at, and of how many."""


class NoPages(Exception):
    """Not a file of LMDB's; ``str()`` says that."""


class DamagedPage(Exception):
    """A page that is not what it has to be; ``str()`` says which and why."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A sub-database: how many pages and entries its record says that it has, and its root."""

    pad: int
    flags: int
    depth: int
    branches: int
    leaves: int
    overflows: int
    entries: int
    root: int

    @property
    def pages(self) -> int:
        """All of its pages."""
        return self.branches + self.leaves + self.overflows


@dataclass(frozen=True, slots=True)
class Node:
    """An entry of a leaf: its key, and *length* octets of data, which are here, or in the run of
    overflow pages that begins at *page*."""

    key: bytes
    flags: int
    length: int
    data: bytes
    page: int = 0


@dataclass(frozen=True, slots=True)
class _Meta:
    """What a meta page says."""

    map_size: int
    free: Tree
    main: Tree
    last: int
    transaction: int

    @classmethod
    def read(cls, octets: bytes) -> Self:
        """Raises :class:`NoPages`."""
        at = _PAGE.size
        if len(octets) < META or not _PAGE.unpack_from(octets)[2] & _META:
            raise NoPages(NOT_LMDB)
        magic, version, _, map_size = _META_HEAD.unpack_from(octets, at)
        if (magic, version) != (MAGIC, VERSION):
            raise NoPages(NOT_LMDB)
        at += _META_HEAD.size
        free = Tree(*_TREE_RECORD.unpack_from(octets, at))
        main = Tree(*_TREE_RECORD.unpack_from(octets, at + _TREE_RECORD.size))
        last, transaction = _META_TAIL.unpack_from(octets, at + 2 * _TREE_RECORD.size)
        return cls(map_size, free, main, last, transaction)


class Pages:
    """The file behind *descriptor*, which stays the caller's.  One bit is kept for each page.

    Making one reads the two meta pages.  Raises :class:`NoPages` and :class:`DamagedPage`.
    """

    def __init__(self, descriptor: int, progress: Progress = lambda done, of: None) -> None:
        self._descriptor = descriptor
        self._progress = progress
        size = os.fstat(descriptor).st_size
        first = _Meta.read(os.pread(descriptor, META, 0))
        self.page_size = first.free.pad
        if self.page_size not in SIZES:
            raise NoPages(NOT_LMDB)
        second = _Meta.read(os.pread(descriptor, META, self.page_size))
        self._meta = max(first, second, key=lambda meta: meta.transaction)
        self.transaction = self._meta.transaction
        self.count = self._meta.last + 1  #: pages, the two meta pages included
        if self._meta.free.pad != self.page_size:
            raise NoPages(NOT_LMDB)
        if self.count * self.page_size > self._meta.map_size:
            raise DamagedPage("the last page is outside the map")
        self._there = size // self.page_size
        self._seen = bytearray(self._there // 8 + 1)
        self._looked_at = 0
        self._mark(0, 2)

    # -- what is in it -------------------------------------------------------------------------

    @property
    def short(self) -> bool:
        """Whether the file ends before its last page, which may well be a free one: LMDB does not
        write what it gives out and takes back in one transaction."""
        return self._there < self.count

    def trees(self, most: int) -> dict[bytes, Tree]:
        """The named sub-databases, of which there may be *most*.  Raises :class:`DamagedPage`."""
        found: dict[bytes, Tree] = {}
        for node in self.nodes(self._meta.main):
            if node.flags != _TREE or node.length != _TREE_RECORD.size:
                raise DamagedPage("what should be a sub-database is something else")
            if len(found) == most:
                raise DamagedPage("there are more sub-databases than there can be")
            tree = found[node.key] = Tree(*_TREE_RECORD.unpack(node.data))
            if tree.flags or tree.pad:
                raise DamagedPage(UNKNOWN_KIND)
        return found

    def nodes(self, tree: Tree) -> Iterator[Node]:
        """The entries of a tree in the order of their keys.

        Raises :class:`DamagedPage` where it is not what its record says, in its last step at the
        latest.  Each tree can be read once: a page that is met twice is a damaged one.
        """
        walk = _Walk(self, tree)
        yield from walk.nodes()
        walk.finish()

    def data(self, node: Node) -> bytes:
        """An entry's data.  Raises :class:`DamagedPage`."""
        if not node.page:
            return node.data
        return self._read(node.page * self.page_size + _PAGE.size, node.length)

    def examine_free(self) -> None:
        """See that no page is free and in use, or free twice; after all trees have been read.
        Raises :class:`DamagedPage`."""
        for node in self.nodes(self._meta.free):
            octets = self.data(node)
            words = len(octets) // _WORD.size
            count = _WORD.unpack_from(octets)[0] if words else 0
            if len(node.key) != _WORD.size or not words or count >= words:
                raise DamagedPage("a list of free pages is none")
            for number in struct.unpack_from(f"@{count}N", octets, _WORD.size):
                self._mark(number, 1)

    # -- pages ---------------------------------------------------------------------------------

    def page(self, number: int) -> bytes:
        """A page of a tree, which nothing has asked for before.  Raises :class:`DamagedPage`."""
        self._mark(number, 1)
        return self._read(number * self.page_size, self.page_size)

    def run(self, number: int, length: int) -> int:
        """How many overflow pages begin at *number*, for *length* octets of data."""
        if number >= self.count:
            raise DamagedPage(f"page {number} is not there")
        found, _, flags, pages = _RUN.unpack(self._read(number * self.page_size, _RUN.size))
        needed = (_RUN.size - 1 + length) // self.page_size + 1
        if found != number or flags != _OVERFLOW or pages < needed:
            raise DamagedPage(f"page {number} does not begin the data that it should")
        self._mark(number, pages)
        if number + pages > self._there:
            raise DamagedPage(f"page {number} ends behind the end of the file")
        return int(pages)

    def _read(self, at: int, length: int) -> bytes:
        number = at // self.page_size
        try:
            octets = os.pread(self._descriptor, length, at)
        except OSError as error:
            raise DamagedPage(f"page {number} cannot be read: {error.strerror}") from error
        if len(octets) != length:
            raise DamagedPage(f"page {number} is behind the end of the file")
        return octets

    def _mark(self, number: int, pages: int) -> None:
        """Note that pages are in use, or free; behind the file's end there are only free ones."""
        if number + pages > self.count:
            raise DamagedPage(f"page {number} is not there")
        seen = self._seen
        for each in range(number, min(number + pages, self._there)):
            bit = 1 << (each & 7)
            if seen[each >> 3] & bit:
                raise DamagedPage(f"page {each} is used twice")
            seen[each >> 3] |= bit
        before, self._looked_at = self._looked_at, self._looked_at + pages
        if before // TOLD != self._looked_at // TOLD:
            self._progress(self._looked_at, self.count)


def is_cut_short(descriptor: int, trees: int) -> bool:
    """Whether the file, with at most so many sub-databases, has lost pages that are in use.

    Quick unless it ends before its last page.
    """
    try:
        pages = Pages(descriptor)
        if not pages.short:
            return False
        for tree in pages.trees(trees).values():
            for _ in pages.nodes(tree):
                pass
        pages.examine_free()
    except (NoPages, DamagedPage):
        return True
    return False


class _Walk:
    """One tree, counted while its leaves are read."""

    def __init__(self, pages: Pages, tree: Tree) -> None:
        self._pages = pages
        self._tree = tree
        self._branches = self._leaves = self._overflows = self._entries = 0
        self._key: Callable[[bytes], Any] = bytes
        if tree.flags == _INTEGER_KEYS:
            self._key = _native
        elif tree.flags:
            raise DamagedPage(UNKNOWN_KIND)

    def nodes(self) -> Iterator[Node]:
        """Its leaves' nodes."""
        tree = self._tree
        if tree.root == _NONE:
            return
        if not 1 <= tree.depth <= DEEPEST:
            raise DamagedPage("a sub-database has an impossible depth")
        yield from self._below(tree.root, tree.depth, None, None)

    def finish(self) -> None:
        """Compare what was found with what the tree's record says."""
        tree = self._tree
        found = (self._branches, self._leaves, self._overflows, self._entries)
        if found != (tree.branches, tree.leaves, tree.overflows, tree.entries):
            raise DamagedPage("a sub-database does not have the pages or entries that it says")

    def _below(
        self, number: int, levels: int, low: bytes | None, high: bytes | None
    ) -> Iterator[Node]:
        """The nodes under page *number*, on the *levels*-th level from the leaves, whose keys are
        *low* or above and below *high*."""
        octets = self._pages.page(number)
        kind = _LEAF if levels == 1 else _BRANCH
        offsets = _offsets(octets, number, kind)
        if kind == _LEAF:
            self._leaves += 1
            yield from self._leaf(octets, offsets, number, low, high)
            return
        self._branches += 1
        below = [_child(octets, at, number) for at in offsets]
        bounds = [low, *(key for key, _ in below[1:]), high]
        self._ascending(bounds, number)
        for place, (_, child) in enumerate(below):
            yield from self._below(child, levels - 1, bounds[place], bounds[place + 1])

    def _leaf(
        self,
        octets: bytes,
        offsets: tuple[int, ...],
        number: int,
        low: bytes | None,
        high: bytes | None,
    ) -> Iterator[Node]:
        nodes = [self._node(octets, at, number) for at in offsets]
        bounds = [low, *(node.key for node in nodes), high]
        if low is not None and bounds[1] == low:
            del bounds[0]
        self._ascending(bounds, number)
        self._entries += len(nodes)
        yield from nodes

    def _node(self, octets: bytes, at: int, number: int) -> Node:
        low, more, flags, size = _NODE.unpack_from(octets, at)
        length = low | more << 16
        begin = at + _NODE.size + size
        if flags & ~(_BIG | _TREE):
            raise DamagedPage(f"page {number} has an entry of an unknown kind")
        key = octets[at + _NODE.size : begin]
        if not flags & _BIG:
            return Node(key, flags, length, octets[begin : begin + length])
        page = _WORD.unpack_from(octets, begin)[0]
        self._overflows += self._pages.run(page, length)
        return Node(key, flags, length, b"", page)

    def _ascending(self, bounds: list[bytes | None], number: int) -> None:
        keys = [self._key(bound) for bound in bounds if bound is not None]
        if any(not one < two for one, two in pairwise(keys)):
            raise DamagedPage(f"the keys of page {number} are not in order")


def _offsets(octets: bytes, number: int, kind: int) -> tuple[int, ...]:
    """Where the nodes of a page begin.  They fill the page's upper part, without a gap."""
    found, _, flags, lower, upper = _PAGE.unpack_from(octets)
    if found != number or flags != kind:
        raise DamagedPage(f"page {number} is not the page that it should be")
    size = len(octets)
    count = (lower - _PAGE.size) // 2
    if not _PAGE.size < lower <= upper <= size or lower % 2:
        raise DamagedPage(f"page {number} has impossible sizes")
    offsets: tuple[int, ...] = struct.unpack_from(f"@{count}H", octets, _PAGE.size)
    used = 0
    for at in offsets:
        if not upper <= at <= size - _NODE.size:
            raise DamagedPage(f"page {number} has an entry outside itself")
        low, high, flags, key = _NODE.unpack_from(octets, at)
        length = 0 if kind == _BRANCH else _WORD.size if flags & _BIG else low | high << 16
        whole = _NODE.size + key + length
        if at + whole > size:
            raise DamagedPage(f"page {number} has an entry that ends outside itself")
        used += whole + whole % 2
    if used != size - upper:
        raise DamagedPage(f"the entries of page {number} do not fill it")
    return offsets


def _child(octets: bytes, at: int, number: int) -> tuple[bytes, int]:
    """A branch's key, and the page below."""
    low, high, more, size = _NODE.unpack_from(octets, at)
    key = octets[at + _NODE.size : at + _NODE.size + size]
    return key, low | high << 16 | more << 32


def _native(key: bytes) -> int:
    if len(key) != _WORD.size:
        raise DamagedPage("a list of free pages has no number")
    number: int = _WORD.unpack(key)[0]
    return number
