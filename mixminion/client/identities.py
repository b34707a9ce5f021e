"""Identities: names that people answer to, each with a key pair of its own.

The key pair is one for HPKE (:mod:`mixminion.crypto.hpke`).  What opens the answers to a reply
block is sealed to it, so that making blocks takes no passphrase and reading answers does; others
encrypt to it.  Identities know nothing of each other.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from twisted.internet.defer import Deferred

from mixminion.client import addresses, exporting
from mixminion.client.database import Database, Executor
from mixminion.client.exporting import Restored
from mixminion.client.identity_errors import (
    BadIdentityName,
    IdentityDamaged,
    IdentityExists,
    NoSuchIdentity,
    NotAnExport,
    PassphraseNeeded,
    WrongExportPassphrase,
    WrongIdentityPassphrase,
)
from mixminion.crypto import hpke, kem
from mixminion.crypto.aead import Forged
from mixminion.crypto.passphrase import DoesNotOpen, Passphrase, UnknownForm, is_sealed
from mixminion.interfaces import Random
from mixminion.payload import public_key

DEFAULT = "default"
"""The identity that is made when one is needed and none was named."""

PURPOSE = b"mixminion2 identity "
"""What is sealed by a passphrase; the public key follows."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity.  ``public`` is the key that others encrypt to, 1,216 octets; *address* is
    where answers go unless something else is said."""

    id: int
    name: str
    public: bytes = field(repr=False)
    protected: bool
    address: str | None

    @property
    def fingerprint(self) -> str:
        """Of the public key, as people compare it."""
        return public_key.grouped(public_key.fingerprint(self.public))


@dataclass(frozen=True, slots=True)
class Unlocked:
    """An identity whose private key is at hand: its ``seed``, 32 octets."""

    identity: Identity
    seed: bytes = field(repr=False)

    def open(self, sealed: bytes, info: bytes) -> bytes | None:
        """What was sealed to the identity; None for what was not."""
        try:
            return hpke.open(self.seed, sealed, info)
        except Forged:
            return None


class Identities:
    """The identities of one state file; *executor* is where keys are made of passphrases, which
    takes a tenth of a second."""

    def __init__(self, database: Database, executor: Executor, random: Random) -> None:
        self._database = database
        self._executor = executor
        self._random = random

    async def create(
        self, name: str, *, passphrase: bytes | None = None, address: str | None = None
    ) -> Identity:
        """A new one, its private key protected when there is a *passphrase*.

        :raises BadIdentityName: no such name can be.
        :raises IdentityExists: the name is taken, in whatever case.
        :raises BadAddress: *address* is none.
        """
        if not _NAME.fullmatch(name):
            raise BadIdentityName(name=name)
        if address is not None:
            addresses.parse(address)
        seed = self._random.octets(kem.SEED)
        public = kem.public_from_seed(seed)
        secret = await self._sealed(seed, public, passphrase)

        def query(connection: sqlite3.Connection) -> int | None:
            if _one(connection, name) is not None:
                return None
            return connection.execute(
                "INSERT INTO identities (name, public, secret, address) VALUES (?, ?, ?, ?)",
                (name, public, secret, address),
            ).lastrowid

        number = await self._database.run(query)
        if number is None:
            raise IdentityExists(name=name)
        return Identity(number, name, public, passphrase is not None, address)

    def all(self) -> Deferred[list[Identity]]:
        """Every one, the oldest first."""

        def query(connection: sqlite3.Connection) -> list[Identity]:
            return [_identity(row) for row in connection.execute(f"{_SELECT} ORDER BY id")]

        return self._database.run(query)

    async def get(self, name: str | None = None) -> Identity:
        """The one of that name; without a name the default one, made when there is none.

        :raises NoSuchIdentity: there is none.
        """
        wanted = DEFAULT if name is None else name
        found = await self._database.run(lambda connection: _one(connection, wanted))
        if found is not None:
            return found
        if name is not None:
            raise NoSuchIdentity(name=name)
        try:
            return await self.create(DEFAULT)
        except IdentityExists:  # by another process, meanwhile
            return await self.get(DEFAULT)

    async def by_id(self, id: int) -> Identity | None:
        """The one of that id; None when it was deleted."""
        found = [each for each in await self.all() if each.id == id]
        return found[0] if found else None

    async def unlock(self, identity: Identity, passphrase: bytes | None = None) -> Unlocked:
        """The same with its private key.

        :raises PassphraseNeeded: it is protected.
        :raises WrongIdentityPassphrase: by another passphrase.
        :raises IdentityDamaged: it cannot be read at all.
        :raises NoSuchIdentity: it was deleted.
        """

        def query(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(
                "SELECT secret FROM identities WHERE id = ?", (identity.id,)
            ).fetchone()
            return None if row is None else bytes(row[0])

        secret = await self._database.run(query)
        if secret is None:
            raise NoSuchIdentity(name=identity.name)
        if is_sealed(secret):
            if passphrase is None:
                raise PassphraseNeeded(name=identity.name)
            opening = Passphrase(passphrase, self._random)
            try:
                purpose = PURPOSE + identity.public
                secret = await self._executor.run(opening.open, secret, purpose)
            except DoesNotOpen:
                raise WrongIdentityPassphrase(name=identity.name) from None
            except UnknownForm:
                raise IdentityDamaged(name=identity.name) from None
        if len(secret) != kem.SEED:
            raise IdentityDamaged(name=identity.name)
        return Unlocked(identity, secret)

    async def change_passphrase(
        self, name: str | None, old: bytes | None, new: bytes | None
    ) -> Identity:
        """Protect one by *new*, or by nothing, from now on; raises what :meth:`unlock` does."""
        identity = await self.get(name)
        unlocked = await self.unlock(identity, old)
        secret = await self._sealed(unlocked.seed, identity.public, new)
        await self._update(identity, "secret", secret)
        return replace(identity, protected=new is not None)

    async def set_address(self, name: str | None, address: str | None) -> Identity:
        """Where answers go unless something else is said; None: a mailbox that is found.

        :raises BadAddress: *address* is none.
        """
        if address is not None:
            addresses.parse(address)
        identity = await self.get(name)
        await self._update(identity, "address", address)
        return replace(identity, address=address)

    async def delete(self, name: str) -> None:
        """Forget one with its reply blocks: their answers can be read by nobody any more.

        :raises NoSuchIdentity: there is none.
        """
        identity = await self.get(name)

        def query(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM reply_blocks WHERE identity = ?", (identity.id,))
            connection.execute("DELETE FROM identities WHERE id = ?", (identity.id,))

        await self._database.run(query)

    async def export(self, passphrase: bytes, names: Collection[str] = ()) -> bytes:
        """Everything that reading their answers on another machine takes, sealed by *passphrase*:
        keys, reply blocks and mailboxes, of those *names* or of all.

        :raises NoSuchIdentity: one is not there.
        """
        ids = {(await self.get(name)).id for name in names} or None
        octets = await self._database.run(lambda connection: exporting.collect(connection, ids))
        sealing = Passphrase(passphrase, self._random)
        return await self._executor.run(sealing.seal, octets, exporting.PURPOSE)

    async def restore(self, octets: bytes, passphrase: bytes, *, name: str = "it") -> Restored:
        """Take over an export, *name* in sentences; what is here stays as it is.

        :raises NotAnExport: it is none.
        :raises WrongExportPassphrase: it was sealed by another.
        """
        opening = Passphrase(passphrase, self._random)
        try:
            opened = await self._executor.run(opening.open, octets, exporting.PURPOSE)
        except DoesNotOpen:
            raise WrongExportPassphrase(path=name) from None
        except UnknownForm:
            raise NotAnExport(path=name, why="it does not begin as one") from None
        export = exporting.read(opened, name)
        return await self._database.run(lambda connection: exporting.restore(connection, export))

    # -- inside --------------------------------------------------------------------------------

    async def _sealed(self, seed: bytes, public: bytes, passphrase: bytes | None) -> bytes:
        if passphrase is None:
            return seed
        sealing = Passphrase(passphrase, self._random)
        return await self._executor.run(sealing.seal, seed, PURPOSE + public)

    async def _update(self, identity: Identity, column: str, value: bytes | str | None) -> None:
        def query(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"UPDATE identities SET {column} = ? WHERE id = ?", (value, identity.id)
            )

        await self._database.run(query)


_SELECT = "SELECT id, name, public, secret, address FROM identities"


def _one(connection: sqlite3.Connection, name: str) -> Identity | None:
    row = connection.execute(f"{_SELECT} WHERE name = ?", (name,)).fetchone()
    return None if row is None else _identity(row)


def _identity(row: tuple[int, str, bytes, bytes, str | None]) -> Identity:
    number, name, public, secret, address = row
    return Identity(number, name, public, is_sealed(secret), address)
