"""Who gets no mail: by the operator's rules, and because somebody wants none.

The list names nobody.  An entry is 16 octets of HMAC-SHA-256, under a secret of this server's, of
an address in its folded form or of ``@`` and a domain; a domain's entry holds for all below it.
What changes is on the disk before it holds.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mixminion.crypto import kdf
from mixminion.disk import database, private
from mixminion.disk.database import Database, Executor, Query
from mixminion.errors import EX_CANTCREAT, EX_CONFIG, OperatorError, UserError
from mixminion.exits import rules
from mixminion.interfaces import Clock, Random
from mixminion.mail import address
from mixminion.mail.errors import BadAddress

PACKAGE = "mixminion.exits"
SECRET = 32  #: octets of the secret
ENTRY = 16  #: octets of an entry
DAY = 86_400
FORGOTTEN = 60 * DAY
"""Seconds after which a bounce says nothing of today."""
MOST = 1_000_000
"""Entries; an operator hears of it before."""

_LABEL = b"mixminion blocked"


class Origin(enum.StrEnum):
    """Why an entry is on the list."""

    OPERATOR = "operator"
    LINK = "link"  #: the link in a mail
    MAIL = "mail"  #: a mail of theirs, confirmed
    BOUNCE = "bounce"  #: mail for them comes back


@dataclass(frozen=True, slots=True)
class Entry:
    """Since when, until when (None: for good), and why.  Unix seconds, *since* by the day."""

    since: int
    until: int | None
    origin: Origin

    def holds(self, now: float) -> bool:
        """Whether it still does."""
        return self.until is None or now < self.until


class ListUnusable(OperatorError):
    """The list's file cannot be opened, read or written."""

    code = "blocked-unusable"
    sentence = "The list of who gets no mail, {path}, cannot be used: {why}."
    exit_code = EX_CANTCREAT


class SecretDamaged(OperatorError):
    """The secret's file does not hold one."""

    code = "blocked-secret"
    sentence = (
        "{path} is damaged: put back the copy you kept of it; without it nobody on the list of "
        "who gets no mail is known any more."
    )
    exit_code = EX_CONFIG


class NobodyThere(UserError):
    """A command about an address that cannot be one."""

    code = "no-address"
    sentence = "{name} is neither an address such as user@example.org nor @ and a domain."


class ListFull(OperatorError):
    """More entries than are kept."""

    code = "blocked-full"
    sentence = "The list of who gets no mail is full; remove entries, or write rules."
    exit_code = EX_CANTCREAT


def secret(path: Path, random: Random) -> bytes:
    """The secret in the private file *path*, made when there is none.

    :raises SecretDamaged: it holds something else.
    """
    try:
        found = private.read(path)
    except FileNotFoundError:
        made = random.octets(SECRET)
        private.write(path, made.hex().encode() + b"\n")
        return made
    try:
        octets = bytes.fromhex(found.decode("ascii"))
    except ValueError:
        octets = b""
    if len(octets) != SECRET:
        raise SecretDamaged(path=path)
    return octets


class Blocking:
    """Rules and list of one server.

    *path* is the list's file, *key* the secret, *named* the files of rules.  Reading both when it
    is made raises :class:`ListUnusable`, :class:`~mixminion.disk.migrations.NewerState`,
    :class:`~mixminion.config.ConfigErrors`.
    """

    def __init__(self, path: Path, key: bytes, named: Iterable[Path], clock: Clock) -> None:
        self._path = path
        self._key = kdf.hkdf_expand(key, _LABEL, SECRET)
        self._named = tuple(named)
        self._clock = clock
        self._rules = rules.read(self._named)
        self._database: Database | None = None
        self._entries, paused, self._bounces = _load(path)
        self._paused = set(paused)

    # -- asked without waiting -----------------------------------------------------------------

    @property
    def paused(self) -> Collection[str]:
        """The exits that hand nothing over now."""
        return self._paused

    @property
    def entries(self) -> Mapping[bytes, Entry]:
        """The list, as it holds now."""
        now = self._clock.seconds()
        return {entry: each for entry, each in self._entries.items() if each.holds(now)}

    def refuse(self, recipient: str) -> bool:
        """Whether *recipient* gets no mail.  What is no mail address is none of our business."""
        try:
            given = address.parse(recipient)
        except BadAddress:
            return False
        return self._rules.refuse(given) or self.listed(recipient) is not None

    def listed(self, name: str) -> Entry | None:
        """The entry that keeps mail from *name*, an address or ``@`` and a domain; raises
        :class:`NobodyThere`."""
        now = self._clock.seconds()
        for each in self._hashes(name):
            entry = self._entries.get(each)
            if entry is not None and entry.holds(now):
                return entry
        return None

    def hashed(self, name: str) -> bytes:
        """The entry of an address, or of ``@`` and a domain; raises :class:`NobodyThere`."""
        return next(self._hashes(name))

    def ruled(self, name: str) -> bool:
        """Whether the rules keep mail from this address; raises :class:`NobodyThere`."""
        try:
            return self._rules.refuse(address.parse(name))
        except BadAddress:
            raise NobodyThere(name=name) from None

    def _hashes(self, name: str) -> Iterator[bytes]:
        """The entry of *name*, then those of the domains that it is in."""
        try:
            user, at, domain = name.rpartition("@")
            if not at:
                raise NobodyThere(name=name)
            if user:
                folded = address.folded(address.parse(name))
                yield self._hash(str(folded))
                domain = folded.domain
            for each in address.enclosing(address.parse_domain(domain)):
                yield self._hash(f"@{each}")
        except BadAddress:
            raise NobodyThere(name=name) from None

    def _hash(self, text: str) -> bytes:
        return kdf.hmac_sha256(self._key, text.encode("ascii"))[:ENTRY]

    # -- changes -------------------------------------------------------------------------------

    def reload(self) -> None:
        """Read the rules again; raises :class:`~mixminion.config.ConfigErrors`, and then what held
        before goes on to hold."""
        self._rules = rules.read(self._named)

    def open(self, executor: Executor) -> None:
        """Be ready for changes."""
        self._database = Database(self._path, executor, PACKAGE, ListUnusable)

    async def close(self) -> None:
        """No more changes; returns when all are on the disk."""
        if self._database is not None:
            await self._database.close()
            self._database = None

    async def add(self, entry: bytes, origin: Origin, seconds: float | None = None) -> bool:
        """Block *entry* for good, or for *seconds*; whether that is news.

        An entry for good is never shortened.  :raises ListFull: there are too many.
        """
        now = self._clock.seconds()
        known = self._entries.get(entry)
        if known is not None and known.until is None:
            return False
        if known is None and len(self._entries) >= MOST:
            await self._forget(now)
            if len(self._entries) >= MOST:
                raise ListFull
        until = None if seconds is None else int(now + seconds)
        made = Entry(int(now) // DAY * DAY, until, origin)
        await self._run(
            lambda connection: connection.execute(
                "INSERT OR REPLACE INTO blocked VALUES (?, ?, ?, ?)",
                (entry, made.since, made.until, made.origin.value),
            )
        )
        self._entries[entry] = made
        return True

    async def remove(self, name: str) -> bool:
        """Let *name* have mail again; whether there was an entry.  Raises :class:`NobodyThere`."""
        entry = self.hashed(name)
        if entry not in self._entries:
            return False
        await self._delete([entry])
        return True

    async def bounced(self, entry: bytes) -> int:
        """Note that mail for *entry* came back for good; on how many days it has, those longer
        than :data:`FORGOTTEN` ago left out."""
        today = int(self._clock.seconds()) // DAY * DAY
        days, last = self._bounces.get(entry, (0, 0))
        if last == today:
            return days
        days = 1 if today - last > FORGOTTEN else days + 1
        gone = [each for each, (_, then) in self._bounces.items() if today - then > FORGOTTEN]
        if entry not in self._bounces and len(self._bounces) - len(gone) >= MOST:
            return days
        await self._run(lambda connection: _note(connection, entry, days, today, gone))
        for each in gone:
            self._bounces.pop(each, None)
        self._bounces[entry] = (days, today)
        return days

    async def pause(self, exit: str, paused: bool) -> None:
        """Remember that *exit* hands nothing over, or does again."""
        if paused:
            statement = "INSERT OR IGNORE INTO paused VALUES (?)"
        else:
            statement = "DELETE FROM paused WHERE exit = ?"
        await self._run(lambda connection: connection.execute(statement, (exit,)))
        change: Callable[[str], None] = self._paused.add if paused else self._paused.discard
        change(exit)

    async def _forget(self, now: float) -> None:
        await self._delete([entry for entry, each in self._entries.items() if not each.holds(now)])

    async def _delete(self, gone: list[bytes]) -> None:
        await self._run(
            lambda connection: connection.executemany(
                "DELETE FROM blocked WHERE entry = ?", [(entry,) for entry in gone]
            )
        )
        for entry in gone:
            self._entries.pop(entry, None)

    async def _run(self, query: Query[object]) -> None:
        if self._database is None:
            raise RuntimeError("the list is not open")
        await self._database.run(query)


def _note(
    connection: sqlite3.Connection, entry: bytes, days: int, last: int, gone: list[bytes]
) -> None:
    connection.executemany("DELETE FROM bounces WHERE entry = ?", [(each,) for each in gone])
    connection.execute("INSERT OR REPLACE INTO bounces VALUES (?, ?, ?)", (entry, days, last))


def _load(path: Path) -> tuple[dict[bytes, Entry], list[str], dict[bytes, tuple[int, int]]]:
    """What the file has; nothing while there is no file."""
    if not path.exists():
        return {}, [], {}
    try:
        connection = database.open_file(path, PACKAGE)
        try:
            found = connection.execute("SELECT entry, since, until, origin FROM blocked")
            entries = {row[0]: Entry(row[1], row[2], Origin(row[3])) for row in found}
            paused = [name for (name,) in connection.execute("SELECT exit FROM paused")]
            found = connection.execute("SELECT entry, days, last FROM bounces")
            return entries, paused, {row[0]: (row[1], row[2]) for row in found}
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise ListUnusable(path=path, why=str(error)) from None
