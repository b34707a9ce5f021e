"""The register of servers: one SQLite file, and all of it in memory.

Votes, receipts and the exchange ask without waiting; whatever changes is on the disk before it
is in memory, except what dialling found and which descriptors votes named: those are written
behind, and found again when they are lost.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.authority.errors import RegisterUnusable
from mixminion.authority.records import Decision, Described, Dialled, Record
from mixminion.crypto import kdf
from mixminion.directory.descriptor import LIMIT
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.disk import database
from mixminion.disk.database import Database, Executor, Query
from mixminion.errors import MixminionError, PeerError
from mixminion.interfaces import Clock

log = Logger()

PACKAGE = "mixminion.authority"
KEPT = 3 * 86_400
"""Seconds for which a descriptor is kept that no server stands by any more."""
ROOM = 256 * 2**20
"""Octets of such descriptors; the oldest go first."""


def check(path: Path) -> None:
    """Open the file and close it, so that what is wrong is known before a daemon's fork.

    :raises RegisterUnusable: it cannot be opened.
    :raises NewerState: a later version wrote it.
    """
    try:
        database.open_file(path, PACKAGE).close()
    except (sqlite3.Error, OSError) as error:
        raise RegisterUnusable(path=path, why=str(error)) from None


class Register:
    """Every server this authority knows, and the descriptors it has."""

    def __init__(self, path: Path, executor: Executor, clock: Clock) -> None:
        self._database = Database(path, executor, PACKAGE, RegisterUnusable)
        self._clock = clock
        self._records: dict[bytes, Record] = {}
        self._names: dict[str, bytes] = {}
        self._octets: dict[bytes, bytes] = {}
        self._spare: OrderedDict[bytes, int] = OrderedDict()  # nobody's: digest, kept from
        self._spared = 0  # octets of those
        self._room = ROOM

    # -- asked without waiting -------------------------------------------------------------------

    @property
    def records(self) -> Mapping[bytes, Record]:
        """All servers, by identity."""
        return self._records

    def by_name(self, nickname: str) -> Record | None:
        """The server that the name is bound to, in any case of letters."""
        identity = self._names.get(nickname.lower())
        return None if identity is None else self._records[identity]

    def get(self, digest: bytes) -> bytes | None:
        """The descriptor of that digest, in its envelope."""
        return self._octets.get(digest)

    # -- written first ---------------------------------------------------------------------------

    async def load(self) -> None:
        """Read it all."""
        servers, descriptors, dials = await self._database.run(_everything)
        stood_by = {row[-1] for row in servers}
        for digest, octets, kept in descriptors:
            self._octets[digest] = octets
            if digest not in stood_by:
                self._set_aside(digest, kept)
        reached: dict[bytes, dict[str, Dialled]] = {}
        for identity, place, *rest in dials:
            reached.setdefault(identity, {})[place] = Dialled(*rest)
        for identity, nickname, decision, exit, note, seen, listed, digest in servers:
            self._hold(
                Record(
                    identity,
                    seen,
                    nickname,
                    Decision(decision),
                    bool(exit),
                    note,
                    listed,
                    self._described(digest),
                    reached.get(identity, {}),
                )
            )

    async def describe(self, described: Described, octets: bytes) -> Record:
        """A server stands by this descriptor from now on."""
        now, said = int(self._clock.seconds()), described.said
        rows = (said.identity, said.nickname, said.nickname.lower(), now, described.digest)

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO servers (identity, nickname, name, decision, exit, note, first_seen,"
                " descriptor) VALUES (?1, ?2, ?3, 'none', 0, '', ?4, ?5) ON CONFLICT (identity) DO"
                " UPDATE SET nickname = ?2, name = ?3, descriptor = ?5",
                rows,
            )
            connection.execute(_KEEP, (described.digest, octets, now))
            connection.execute("UPDATE descriptors SET kept = ? WHERE digest = ?", (now, old))
            connection.executemany("DELETE FROM dials WHERE identity = ? AND place = ?", stale)

        known = self._records.get(said.identity) or Record(said.identity, now)
        old = known.described.digest if known.described else b""
        places = {str(place) for place in said.addresses}
        stale = [(said.identity, place) for place in known.dials if place not in places]
        await self._database.run(write)
        known = self._records.get(said.identity) or known
        self._octets[described.digest] = octets
        if old and old != described.digest:
            self._set_aside(old, now)
        dials = {place: found for place, found in known.dials.items() if place in places}
        record = replace(known, nickname=said.nickname, described=described, dials=dials)
        self._hold(record)
        return record

    async def decide(
        self, identity: bytes, decision: Decision, *, exit: bool = False, note: str = ""
    ) -> Record:
        """The operator has spoken, of a server that was seen or of one that was not yet."""
        now = int(self._clock.seconds())
        row = (identity, str(decision), exit, note, now)
        await self._database.run(
            lambda connection: connection.execute(
                "INSERT INTO servers (identity, decision, exit, note, first_seen) VALUES"
                " (?1, ?2, ?3, ?4, ?5) ON CONFLICT (identity) DO UPDATE SET decision = ?2,"
                " exit = ?3, note = ?4",
                row,
            )
        )
        known = self._records.get(identity) or Record(identity, now)
        record = replace(known, decision=decision, exit=exit, note=note)
        self._hold(record)
        return record

    async def forget(self, identities: Iterable[bytes]) -> None:
        """Forget servers; their names are free."""
        gone = [(identity,) for identity in identities]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM servers WHERE identity = ?", gone)
            connection.executemany("DELETE FROM dials WHERE identity = ?", gone)

        await self._database.run(write)
        for (identity,) in gone:
            record = self._records.pop(identity, None)
            if record is not None and record.nickname is not None:
                self._names.pop(record.nickname.lower(), None)
            if record is not None and record.described is not None:
                self._set_aside(record.described.digest, int(self._clock.seconds()))

    async def close(self) -> None:
        """Returns when everything is written and the file is closed."""
        await self._database.close()

    # -- written behind --------------------------------------------------------------------------

    def put(self, octets: bytes) -> None:
        """Keep a descriptor that a vote named, for some days.

        :raises BadDocument: it is none.
        """
        envelope = Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=LIMIT)
        digest, now = kdf.sha256(envelope.payload), int(self._clock.seconds())
        if digest not in self._octets:
            self._octets[digest] = octets
            self._behind(lambda connection: connection.execute(_KEEP, (digest, octets, now)))
            self._set_aside(digest, now)
        elif digest in self._spare:
            self._set_aside(digest, now)

    def dialled(self, identity: bytes, place: str, found: Dialled) -> None:
        """What dialling *place* came to."""
        record = self._records.get(identity)
        if record is None:
            return
        self._records[identity] = replace(record, dials={**record.dials, place: found})
        row = (identity, place, found.failures, found.tried, found.reached, found.problem)
        self._behind(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO dials VALUES (?, ?, ?, ?, ?, ?)", row
            )
        )

    def listed(self, identities: Iterable[bytes], at: int) -> None:
        """A consensus of the moment *at* lists these; the first time counts."""
        first = [i for i in identities if i in self._records and not self._records[i].first_listed]
        for identity in first:
            self._records[identity] = replace(self._records[identity], first_listed=at)
        if first:
            self._behind(
                lambda connection: connection.executemany(
                    "UPDATE servers SET first_listed = ? WHERE identity = ?",
                    [(at, identity) for identity in first],
                )
            )

    def tidy(self) -> None:
        """Let go of descriptors that have been nobody's for long."""
        before = self._clock.seconds() - KEPT
        while self._spare and next(iter(self._spare.values())) < before:
            self._drop(next(iter(self._spare)))

    # -- inside ----------------------------------------------------------------------------------

    def _hold(self, record: Record) -> None:
        self._records[record.identity] = record
        if record.nickname is not None:
            self._names[record.nickname.lower()] = record.identity
        if record.described is not None:
            self._keep(record.described.digest)

    def _described(self, digest: bytes | None) -> Described | None:
        """What a kept descriptor says; it was valid when it was taken in."""
        octets = self._octets.get(digest) if digest is not None else None
        if octets is None:
            return None
        try:
            return Described.stored(octets)
        except PeerError:
            log.error("A descriptor in the register is damaged; its server has to publish again.")
            return None

    def _set_aside(self, digest: bytes, now: int) -> None:
        """Nobody stands by it; the oldest of those go when there are too many."""
        self._keep(digest)
        self._spare[digest] = now
        self._spared += len(self._octets[digest])
        while self._spared > self._room:
            self._drop(next(iter(self._spare)))

    def _keep(self, digest: bytes) -> None:
        if self._spare.pop(digest, None) is not None:
            self._spared -= len(self._octets[digest])

    def _drop(self, digest: bytes) -> None:
        self._keep(digest)
        del self._octets[digest]
        self._behind(
            lambda connection: connection.execute(
                "DELETE FROM descriptors WHERE digest = ?", (digest,)
            )
        )

    def _behind(self, query: Query[object]) -> None:
        _ = self._database.run(query).addErrback(_not_written)


def _not_written(failure: Failure) -> None:
    error = failure.value
    code = error.code if isinstance(error, MixminionError) else type(error).__name__
    log.error("The register could not be written ({code}).", code=code)


_KEEP = "INSERT OR REPLACE INTO descriptors VALUES (?, ?, ?)"


def _everything(connection: sqlite3.Connection) -> tuple[list[Any], list[Any], list[Any]]:
    return (
        connection.execute(
            "SELECT identity, nickname, decision, exit, note, first_seen, first_listed, descriptor"
            " FROM servers"
        ).fetchall(),
        connection.execute("SELECT digest, octets, kept FROM descriptors ORDER BY kept").fetchall(),
        connection.execute(
            "SELECT identity, place, failures, tried, reached, problem FROM dials"
        ).fetchall(),
    )
