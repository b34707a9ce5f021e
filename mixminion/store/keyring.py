"""Storage keys, and records sealed under keys of their own.

Every record is sealed under a key that is drawn for it alone, and that key is wrapped under
the newest storage key.  The two are stored apart, so that a change of storage keys rewrites
the small wrapped keys and no record::

    record    AES-256-GCM, nonce zero (its key seals once); the context as associated data
    wrapped   storage key's name 8 | nonce 12 | AES-256-GCM of the record's key 32, its tag
              16; the place as associated data
    place     sub-database's name | id 8
    context   place | due_ms 8 | destination, or the place alone

A storage key is one private file, ``storage-NUMBER.key``: ``MIXSTORE`` | number 4 | name 8 |
period 8 | key 32, big-endian.  Numbers count upwards; names are drawn, so that no store ever
takes another key for its own.  *period* is the storage period the key was made for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mixminion.crypto.aead import KEY, NONCE, TAG, Aead, Forged
from mixminion.disk import private
from mixminion.disk.errors import KeyDamaged
from mixminion.disk.keystore import KeyStore
from mixminion.interfaces import Random

NAME = 8
WRAPPED = NAME + NONCE + KEY + TAG  #: octets of a wrapped key

ONCE = bytes(NONCE)
FRESH = KEY + NONCE  #: random octets that a record takes
DRAWN = 64  #: records for which they are drawn at a time

MAGIC = b"MIXSTORE"
FILE = struct.Struct(f">8sI{NAME}sQ{KEY}s")
FILES = "storage-*.key"
UNFINISHED = ".storage-*.key.*"  #: half written or half erased


class Unreadable(Exception):
    """Not what was sealed, or its storage key is gone."""


@dataclass(frozen=True, slots=True)
class StorageKey:
    """One storage key; *period* is the storage period it was made for."""

    number: int
    name: bytes
    period: int
    cipher: Aead


class Unsealing:
    """Storage keys, to open with and for nothing else."""

    def __init__(self, keys: Iterable[StorageKey]) -> None:
        self._keys = {key.name: key for key in keys}

    def known(self, wrapped: bytes) -> bool:
        """Whether the storage key under which a key is wrapped is here."""
        return wrapped[:NAME] in self._keys

    def open(self, place: bytes, bound: bytes, wrapped: bytes, sealed: bytes) -> bytes:
        """The record; raises :class:`Unreadable`."""
        try:
            return Aead(self._unwrap(place, wrapped)).open(ONCE, sealed, place + bound)
        except Forged:
            raise Unreadable from None

    def _unwrap(self, place: bytes, wrapped: bytes) -> bytes:
        storage = self._keys.get(wrapped[:NAME])
        if storage is None or len(wrapped) != WRAPPED:
            raise Unreadable
        nonce, sealed = wrapped[NAME : NAME + NONCE], wrapped[NAME + NONCE :]
        try:
            return storage.cipher.open(nonce, sealed, place)
        except Forged:
            raise Unreadable from None


class Keyring(Unsealing):
    """The storage keys in *store*; used by one thread.

    Opening it makes the first key, of *period*, when there is none, and raises
    :class:`~mixminion.disk.errors.KeyDamaged` and what
    :meth:`~mixminion.disk.keystore.KeyStore.open` does.
    """

    def __init__(self, store: KeyStore, random: Random, period: int) -> None:
        self._store = store
        self._random = random
        self._drawn = b""
        self._at = 0
        store.open()
        for unfinished in store.folder.glob(UNFINISHED):
            private.erase(unfinished)
        keys = [read_key(path) for path in store.folder.glob(FILES)]
        super().__init__(keys)
        if keys:
            self._newest = max(keys, key=lambda key: key.number)
        else:
            self._newest = self._make(1, period)

    # -- storage keys ----------------------------------------------------------------------

    @property
    def period(self) -> int:
        """The storage period of the newest key."""
        return self._newest.period

    @property
    def older(self) -> bool:
        """Whether there are others than the newest."""
        return len(self._keys) > 1

    def make(self, period: int) -> None:
        """A new key under which keys are wrapped from now on, on disk when this returns."""
        self._newest = self._make(self._newest.number + 1, period)

    def erase_older(self) -> None:
        """Erase all but the newest: what is still wrapped under them is gone."""
        for key in sorted(self._keys.values(), key=lambda key: key.number):
            if key is not self._newest:
                private.erase(self._path(key.number))
                del self._keys[key.name]

    def _make(self, number: int, period: int) -> StorageKey:
        name, secret = self._random.octets(NAME), self._random.octets(KEY)
        private.write(self._path(number), FILE.pack(MAGIC, number, name, period, secret))
        made = self._keys[name] = StorageKey(number, name, period, Aead(secret))
        return made

    def _path(self, number: int) -> Path:
        return self._store.folder / f"storage-{number}.key"

    # -- records ---------------------------------------------------------------------------

    def seal(self, place: bytes, bound: bytes, record: bytes) -> tuple[bytes, bytes]:
        """The wrapped key and the sealed record; *bound* is the rest of its context."""
        if self._at == len(self._drawn):
            self._drawn, self._at = self._random.octets(DRAWN * FRESH), 0
        start, middle, end = self._at, self._at + KEY, self._at + FRESH
        key, nonce = self._drawn[start:middle], self._drawn[middle:end]
        self._at = end
        sealed = Aead(key).seal(ONCE, record, place + bound)
        return self._wrap(place, key, nonce), sealed

    def newest(self, wrapped: bytes) -> bool:
        """Whether a key is wrapped under the newest storage key."""
        return wrapped[:NAME] == self._newest.name

    def rewrap(self, place: bytes, wrapped: bytes) -> bytes:
        """The same key under the newest storage key; raises :class:`Unreadable`."""
        return self._wrap(place, self._unwrap(place, wrapped), self._random.octets(NONCE))

    def _wrap(self, place: bytes, key: bytes, nonce: bytes) -> bytes:
        newest = self._newest
        return newest.name + nonce + newest.cipher.seal(nonce, key, place)


def read_key(path: Path) -> StorageKey:
    """The storage key in a file.

    Raises :class:`~mixminion.disk.errors.KeyDamaged` and what
    :func:`mixminion.disk.private.read` does.
    """
    octets = private.read(path)
    if len(octets) == FILE.size:
        magic, number, name, period, secret = FILE.unpack(octets)
        if magic == MAGIC and path.stem == f"storage-{number}":
            return StorageKey(number, name, period, Aead(secret))
    raise KeyDamaged(path=path)
