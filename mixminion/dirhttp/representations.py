"""Documents as they go over the wire: plain or compressed, each made once and shared.

A document may be 16 MB long and be asked for by thousands at a time, so that there is never more
than one copy of it in memory for as long as anybody is reading it, and the last ones
that were read stay.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mixminion.dirhttp.files import InThread, result_of

KEPT = 64 * 2**20
"""Octets of representations that stay in memory while nobody reads them."""
LEVEL = 6
SHORT = 512
"""Octets up to which nothing is compressed."""

Load = Callable[[], Awaitable[bytes | None]]


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Representation:
    """A document's octets as they are sent."""

    octets: bytes
    tag: bytes  #: the strong ETag, in quotes: their SHA-256 in hexadecimal
    compressed: bool  #: with gzip


class Representations:
    """Makes representations; compresses in *in_thread*."""

    def __init__(self, in_thread: InThread, kept: int = KEPT) -> None:
        self._in_thread = in_thread
        self._limit = kept
        self._alive: WeakValueDictionary[tuple[str, bool], Representation] = WeakValueDictionary()
        self._kept: OrderedDict[tuple[str, bool], Representation] = OrderedDict()
        self._making: dict[tuple[str, bool], list[Deferred[Representation | None]]] = {}

    async def get(self, name: str, load: Load, *, compressed: bool) -> Representation | None:
        """The document called *name*, compressed if that is wanted and makes it shorter; None
        where *load* finds none.  The same name has to mean the same octets always."""
        key = name, compressed
        found = self._alive.get(key)
        if found is None:
            found = await self._shared(key, load)
        if found is not None:
            self._keep(key, found)
        return found

    async def _shared(self, key: tuple[str, bool], load: Load) -> Representation | None:
        """Made once for all who ask meanwhile."""
        if key in self._making:
            waiting: Deferred[Representation | None] = Deferred()
            self._making[key].append(waiting)
            return await waiting
        others = self._making[key] = []
        try:
            found = await self._make(key, load)
        except BaseException:
            for other in others:
                other.errback(Failure())
            raise
        finally:
            del self._making[key]
        for other in others:
            other.callback(found)
        return found

    async def _make(self, key: tuple[str, bool], load: Load) -> Representation | None:
        octets = await load()
        if octets is None:
            return None
        found = await result_of(self._in_thread, lambda: represent(octets, compressed=key[1]))
        self._alive[key] = found
        return found

    def _keep(self, key: tuple[str, bool], found: Representation) -> None:
        self._kept[key] = found
        self._kept.move_to_end(key)
        while sum(len(each.octets) for each in self._kept.values()) > self._limit:
            self._kept.popitem(last=False)


def represent(octets: bytes, *, compressed: bool) -> Representation:
    if compressed and len(octets) > SHORT:
        shorter = gzip.compress(octets, LEVEL, mtime=0)  # the same octets at every time
        if len(shorter) < len(octets):
            return Representation(shorter, _tag(shorter), True)
    return Representation(octets, _tag(octets), False)


def _tag(octets: bytes) -> bytes:
    """The strong ETag of just these octets."""
    return b'"%b"' % hashlib.sha256(octets).hexdigest().encode("ascii")
