"""What a server has to give, by the names that follow ``/mixminion/2/``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from mixminion.directory import diff
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.digests import Digests, Held
from mixminion.dirhttp.documents import Known
from mixminion.dirhttp.files import InThread, result_of
from mixminion.dirhttp.representations import Load

_NAMED = re.compile(
    rb"(consensus|keys|consensus-diff|keys-diff)/([0-9a-f]{64})(?:/([0-9a-f]{64}))?"
)

POOR = 256
"""Differences of which it is remembered that they are not worth while."""
WORTH = 2
"""So many times as long as a difference the whole has to be, or the difference is not offered."""


class Shelf(Protocol):
    """Where served documents stand; :class:`mixminion.dirhttp.cache.DocumentCache` is one."""

    descriptor: bytes | None

    @property
    def signed(self) -> SignedConsensus | None: ...

    @property
    def known(self) -> Sequence[Known]: ...

    def keys(self, digest: bytes) -> bytes | None: ...

    async def consensus(self, digest: bytes) -> bytes | None: ...

    async def key_document(self, digest: bytes) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Item:
    """Something there is: a name for just these octets, and how to get them."""

    name: str
    load: Load


class Catalogue:
    """Finds what a name means on a shelf now.  Differences are made in *in_thread*."""

    def __init__(self, shelf: Shelf, in_thread: InThread) -> None:
        self._shelf = shelf
        self._in_thread = in_thread
        self._poor: set[str] = set()  # differences that are not worth while, by name

    def find(self, name: bytes) -> Item | None:
        """What is called *name*; None where there is nothing of that name."""
        match name:
            case b"consensus":
                signed = self._shelf.signed
                return None if signed is None else _present("consensus", signed.octets)
            case b"descriptor":
                octets = self._shelf.descriptor
                return None if octets is None else _present("descriptor", octets)
            case b"digests":
                return _present("digests", self._digests())
        form = _NAMED.fullmatch(name)
        if form is None:
            return None
        kind, first, second = form[1].decode("ascii"), _digest(form[2]), _digest(form[3])
        match kind, first, second:
            case "consensus", bytes(digest), None:
                return self._consensus(digest)
            case "keys", bytes(digest), None:
                return self._keys(digest)
            case "consensus-diff", bytes(old), None:
                return self._consensus_difference(old)
            case "keys-diff", bytes(old), bytes(new):
                return self._keys_difference(old, new)
            case _:
                return None

    def _digests(self) -> bytes:
        held = (
            Held(digest=each.digest, valid_after=each.valid_after) for each in self._shelf.known
        )
        return Digests(digests=tuple(held)).encode()

    def _consensus(self, digest: bytes) -> Item | None:
        if all(each.digest != digest for each in self._shelf.known):
            return None
        signed = self._shelf.signed
        if signed is not None and signed.digest == digest:  # it may gain signatures
            return _present("consensus", signed.octets)
        return Item(f"consensus/{digest.hex()}", lambda: self._shelf.consensus(digest))

    def _keys(self, digest: bytes) -> Item | None:
        octets = self._shelf.keys(digest)
        if octets is None and all(digest not in each.keys for each in self._shelf.known):
            return None
        return Item(f"keys/{digest.hex()}", lambda: self._shelf.key_document(digest))

    def _consensus_difference(self, old: bytes) -> Item | None:
        """From a held consensus to the newest."""
        signed = self._shelf.signed
        if signed is None or all(each.digest != old for each in self._shelf.known):
            return None
        new = signed.octets
        name = f"consensus-diff/{old.hex()}/{_tag(new).hex()}"

        async def load() -> bytes | None:
            before = await self._shelf.consensus(old)
            return await self._between(name, diff.between_consensuses, before, new)

        return None if name in self._poor else Item(name, load)

    def _keys_difference(self, old: bytes, new: bytes) -> Item | None:
        """Between key documents of one period."""
        periods = [{*each.periods} for each in self._shelf.known]
        of_old = {number for each in periods for number, digest in each if digest == old}
        of_new = {number for each in periods for number, digest in each if digest == new}
        name = f"keys-diff/{old.hex()}/{new.hex()}"
        if of_old.isdisjoint(of_new) or name in self._poor:
            return None

        async def load() -> bytes | None:
            before = await self._shelf.key_document(old)
            after = await self._shelf.key_document(new)
            return await self._between(name, diff.between_keys, before, after)

        return Item(name, load)

    async def _between(
        self,
        name: str,
        make: Callable[[bytes, bytes], bytes],
        old: bytes | None,
        new: bytes | None,
    ) -> bytes | None:
        """A difference; one that is not worth while is not made again."""
        if old is None or new is None:
            return None
        found = await result_of(self._in_thread, lambda: _difference(make, old, new))
        if found is None:
            if len(self._poor) >= POOR:
                self._poor.clear()
            self._poor.add(name)
        return found


def _difference(make: Callable[[bytes, bytes], bytes], old: bytes, new: bytes) -> bytes | None:
    try:
        octets = make(old, new)
    except ValueError:
        return None
    return octets if WORTH * len(octets) < len(new) else None


def _digest(text: bytes | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text.decode("ascii"))


def _present(name: str, octets: bytes) -> Item:
    """What is in memory; its name changes with its octets."""

    async def load() -> bytes | None:
        return octets

    return Item(f"{name}/{_tag(octets).hex()}", load)


@lru_cache(maxsize=8)
def _tag(octets: bytes) -> bytes:
    """A large document is not digested for every request."""
    return hashlib.sha256(octets).digest()
