"""Other people's keys, by address, and when one is trusted (doc/use/encryption.rst).

The first key that comes for an address is trusted from then on; no other takes its place unless
somebody says so.  What comes instead is kept beside it, so that it can be looked at.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred

from mixminion.client.database import Database
from mixminion.client.key_errors import (
    BadFingerprint,
    BadHeader,
    FingerprintDiffers,
    KeyChanged,
    KeyNotFound,
    KeyVerified,
    NoKey,
    NoSources,
    NoSuchSource,
    NothingCame,
    SourcesDiffer,
    WhoseKey,
)
from mixminion.client.key_sources import KeySource, Lookup, canonical, read
from mixminion.client.progress import AskingForKey, Progress, silent
from mixminion.interfaces import Clock
from mixminion.payload import public_key

FILE = "file"
"""The origin of keys that were added by hand."""

_HOUR = 3600
_COLUMNS = "address, public, origin, since, verified, offered, offered_by, offered_since"


def fingerprint(public: bytes) -> str:
    """The fingerprint of a key for people: groups of hexadecimal digits."""
    return public_key.grouped(public_key.fingerprint(public))


def text_of(public: bytes, name: str | None = None, address: str | None = None) -> str:
    """A key in armor, to be handed on, with what is for people.

    :raises BadHeader: that is not printable ASCII on one line.
    """
    try:
        return public_key.to_text(public, name, address)
    except ValueError:
        raise BadHeader from None


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """Another key that came for an address, from *origin*, in the hour *since*."""

    public: bytes = field(repr=False)
    origin: str
    since: int

    @property
    def fingerprint(self) -> str:
        """For people."""
        return fingerprint(self.public)


@dataclass(frozen=True, slots=True)
class Key:
    """The key that is trusted for an address.

    ``origin`` is the name of the source it came from, or ``file``; ``since`` the hour, Unix
    seconds; ``verified`` whether somebody compared its fingerprint; ``offered`` the newest other
    key that came meanwhile.
    """

    address: str
    public: bytes = field(repr=False)
    origin: str
    since: int
    verified: bool
    offered: OfferedKey | None = None

    @property
    def fingerprint(self) -> str:
        """For people."""
        return fingerprint(self.public)

    @property
    def text(self) -> str:
        """The key in armor, to be handed on."""
        shown = self.address if self.address.isascii() and self.address.isprintable() else None
        return public_key.to_text(self.public, address=shown)


class Keys:
    """The keys of one state file; *sources* may be asked with *lookup*."""

    def __init__(
        self, database: Database, clock: Clock, sources: Sequence[KeySource], lookup: Lookup
    ) -> None:
        self._database = database
        self._clock = clock
        self.sources = tuple(sources)
        self._lookup = lookup

    def all(self) -> Deferred[list[Key]]:
        """Every one, by address."""

        def query(connection: sqlite3.Connection) -> list[Key]:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM keys ORDER BY address")
            return [_key(row) for row in rows]

        return self._database.run(query)

    async def get(self, address: str) -> Key:
        """The one that is trusted for *address*.

        :raises BadAddress: that is none.
        :raises NoKey: there is none.
        """
        wanted = canonical(address)
        found = await self._database.run(lambda connection: _one(connection, wanted))
        if found is None:
            raise NoKey(address=wanted)
        return found

    async def add(self, octets: bytes, address: str | None = None, name: str = "the file") -> Key:
        """The key in *octets*, a file of that *name*, for *address* or for the one that stands
        beside it there.

        :raises WhoseKey: there is no address.
        :raises KeyChanged: another key is trusted, and stays.
        :raises UserError: there is no key, or more than one.
        """
        public, beside = read(octets, name)
        if address is None and beside is None:
            raise WhoseKey
        return await self._take(canonical(address or beside or ""), public, FILE)

    async def find(
        self, address: str, source: str | None = None, *, progress: Progress = silent
    ) -> Key:
        """Ask all sources, or the one of that name, for the key of *address*; whoever serves them
        learns of it.

        :raises KeyNotFound: none has one.
        :raises SourceFailed: one gave no answer that can be used.
        :raises SourcesDiffer: they have different ones.
        :raises KeyChanged: another key is trusted, and stays.
        :raises NoSources: there is nobody to ask.
        """
        wanted = canonical(address)
        found: dict[str, bytes] = {}
        asked = self._named(source)
        for each in asked:
            progress(AskingForKey(each.name, str(each.where), tells=each.tells))
            public = await self._lookup.ask(each, wanted)
            if public is not None:
                found[each.name] = public
        if not found:
            raise KeyNotFound(address=wanted, sources=", ".join(each.name for each in asked))
        if len(set(found.values())) > 1:
            lines = [f"  {name}: {fingerprint(public)}" for name, public in found.items()]
            raise SourcesDiffer(address=wanted, found="\n".join(lines))
        name, public = next(iter(found.items()))
        return await self._take(wanted, public, name)

    async def verify(self, address: str, told: str) -> Key:
        """Somebody compared: the key that is trusted for *address* has to have the fingerprint that
        he was *told*.

        :raises FingerprintDiffers: it has another one.
        """
        wanted = _read(told)
        key = await self.get(address)
        _compare(key.address, key.public, wanted)
        return await self._change(key, lambda row: row.public == key.public, "verified = 1", ())

    async def trust(self, address: str, told: str | None = None) -> Key:
        """Put the key that came for *address* in the place of the one that was trusted; with the
        fingerprint that somebody was *told* it is verified, too.

        :raises NothingCame: there is no such key.
        :raises KeyVerified: the old one was verified, and nothing was *told*.
        :raises FingerprintDiffers: the new one has another.
        """
        key = await self.get(address)
        if key.offered is None:
            raise NothingCame(address=key.address)
        offered = key.offered
        if told is not None:
            _compare(key.address, offered.public, _read(told))
        elif key.verified:
            raise KeyVerified(address=key.address)
        return await self._change(
            key,
            lambda row: row == key,
            "public = offered, origin = offered_by, since = offered_since, verified = ?,"
            " offered = NULL, offered_by = NULL, offered_since = NULL",
            (told is not None,),
        )

    async def delete(self, address: str) -> None:
        """Forget the key: the next that comes is trusted.

        :raises NoKey: there is none.
        """
        key = await self.get(address)
        await self._database.run(
            lambda connection: connection.execute(
                "DELETE FROM keys WHERE address = ?", (key.address,)
            )
        )

    # -- inside --------------------------------------------------------------------------------

    def _named(self, name: str | None) -> tuple[KeySource, ...]:
        if not self.sources:
            raise NoSources
        chosen = tuple(each for each in self.sources if name in (None, each.name))
        if not chosen:
            raise NoSuchSource(name=name, known=", ".join(each.name for each in self.sources))
        return chosen

    async def _take(self, address: str, public: bytes, origin: str) -> Key:
        """A key came."""
        now = int(self._clock.seconds()) // _HOUR * _HOUR

        def query(connection: sqlite3.Connection) -> Key:
            known = _one(connection, address)
            if known is None:
                connection.execute(
                    "INSERT INTO keys (address, public, origin, since, verified)"
                    " VALUES (?, ?, ?, ?, 0)",
                    (address, public, origin, now),
                )
            elif known.public == public:
                # whoever had another one has this one now
                connection.execute(
                    "UPDATE keys SET offered = NULL, offered_by = NULL, offered_since = NULL"
                    " WHERE address = ? AND offered_by = ?",
                    (address, origin),
                )
            elif known.offered is None or known.offered.public != public:
                connection.execute(
                    "UPDATE keys SET offered = ?, offered_by = ?, offered_since = ?"
                    " WHERE address = ?",
                    (public, origin, now, address),
                )
            found = _one(connection, address)
            assert found is not None
            return found

        key = await self._database.run(query)
        if key.public != public:
            raise KeyChanged(
                address=address,
                origin="a file" if origin == FILE else f"the source {origin}",
                trusted=key.fingerprint,
                came=fingerprint(public),
            )
        return key

    async def _change(
        self, key: Key, still: Callable[[Key], bool], setting: str, given: tuple[object, ...]
    ) -> Key:
        """Change the row of *key*, if it is *still* what was decided upon."""

        def query(connection: sqlite3.Connection) -> Key | None:
            row = _one(connection, key.address)
            if row is None or not still(row):
                return None
            connection.execute(
                f"UPDATE keys SET {setting} WHERE address = ?", (*given, key.address)
            )
            return _one(connection, key.address)

        changed = await self._database.run(query)
        if changed is None:  # by another process, meanwhile
            raise NoKey(address=key.address)
        return changed


def _one(connection: sqlite3.Connection, address: str) -> Key | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM keys WHERE address = ?", (address,)
    ).fetchone()
    return None if row is None else _key(row)


def _key(row: tuple[Any, ...]) -> Key:
    address, public, origin, since, verified, *offered = row
    other = None if offered[0] is None else OfferedKey(*offered)
    return Key(address, public, origin, since, bool(verified), other)


def _read(told: str) -> bytes:
    wanted = public_key.read_fingerprint(told)
    if wanted is None:
        raise BadFingerprint
    return wanted


def _compare(address: str, public: bytes, wanted: bytes) -> None:
    found = public_key.fingerprint(public)
    if found != wanted:
        raise FingerprintDiffers(
            address=address, here=public_key.grouped(found), given=public_key.grouped(wanted)
        )
