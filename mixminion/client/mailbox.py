"""Our own mailboxes: their keys, what was fetched from them, and visits.

What a server gives is written here before it is acknowledged there, and leaves when whoever reads
it says that he has it.  So a message is read at least once, whatever is cut off, and what a server
gives once more is recognised.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint

from mixminion.client.database import Database
from mixminion.client.errors import MailboxAway, NoSuchMailbox
from mixminion.client.usual import FRAMES
from mixminion.crypto import sign
from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.interfaces import Clock, Random
from mixminion.mmtp import FETCH_ALPN
from mixminion.mmtp.asking import Item
from mixminion.mmtp.fetch_client import FetchTimes, Visit, fetch
from mixminion.net.tls import client_tls
from mixminion.paths import select
from mixminion.paths.errors import NoExit, UnusableServer
from mixminion.payload import capability
from mixminion.util.hostport import HostPort

__all__ = ["FRAMES", "Fetched", "Mailbox", "Mailboxes", "Visit"]

EXIT = "mailbox"
"""The delivery name under which mailboxes are looked for."""

REMEMBERED = 400 * 86_400
"""Seconds for which what was read is recognised."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox; ``address`` is what people write to."""

    number: int
    server: bytes  #: identity, 32 octets
    nickname: str
    exit: str
    capability: bytes

    @property
    def address(self) -> str:
        """``mailbox:CAPABILITY@SERVER``."""
        return f"{self.exit}:{capability.to_text(self.capability)}@{self.nickname}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A message that was fetched.  *handle* is the SURB id of a reply, None for what is none;
    *date* when it left the server's pool, in Unix seconds."""

    number: int
    handle: bytes | None
    date: int
    content: bytes


class Mailboxes:
    """The mailboxes of one state file; *connect* gives an endpoint for a host and port."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        random: Random,
        connect: Callable[[HostPort], IStreamClientEndpoint],
        times: FetchTimes | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._random = random
        self._connect = connect
        self._times = times

    async def create(self, view: View, server: str | None) -> Mailbox:
        """A new one at the server of that nickname, or at a random one.

        :raises UserError: there is no such server, or none that holds.
        """
        found = self._at(view, server)
        private, public = sign.generate()

        def query(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(
                "INSERT INTO mailboxes (server, nickname, exit, private) VALUES (?, ?, ?, ?)",
                (found.identity, found.nickname, EXIT, private),
            )
            assert cursor.lastrowid is not None
            return cursor.lastrowid

        number = await self._database.run(query)
        return Mailbox(number, found.identity, found.nickname, EXIT, public)

    def all(self) -> Deferred[list[Mailbox]]:
        """Every one."""

        def query(connection: sqlite3.Connection) -> list[Mailbox]:
            rows = connection.execute(
                "SELECT id, server, nickname, exit, private FROM mailboxes ORDER BY id"
            )
            return [
                Mailbox(number, server, nickname, exit, sign.public(private))
                for number, server, nickname, exit, private in rows
            ]

        return self._database.run(query)

    async def visit(self, view: View, number: int, frames: int) -> Visit:
        """Fetch from one in so many frames; what came is here when this returns.

        :raises NoSuchMailbox: there is none of that number.
        :raises MailboxAway: the directory does not list its server.
        :raises PeerError: the visit was cut off; what came before is here.
        """
        server_identity, private = await self._key(number)
        server = view.by_identity(server_identity)
        if server is None or not server.addresses:
            raise MailboxAway(number=number)
        address = server.addresses[self._random.below(len(server.addresses))]
        return await fetch(
            self._clock,
            self._connect(address),
            client_tls(server.identity, None, [FETCH_ALPN], self._clock),
            server.identity,
            view.packet_length,
            private,
            frames,
            lambda item: self._keep(number, item),
            self._times,
        )

    async def unread(self, number: int) -> list[Fetched]:
        """What was fetched from it and not read, in the order in which it came."""
        await self._key(number)

        def query(connection: sqlite3.Connection) -> list[Fetched]:
            rows = connection.execute(
                "SELECT id, handle, date, content FROM mailbox_items"
                " WHERE mailbox = ? AND content IS NOT NULL ORDER BY id",
                (number,),
            )
            return [Fetched(*row) for row in rows]

        return await self._database.run(query)

    def read(self, numbers: Iterable[int]) -> Deferred[None]:
        """Whoever reads has these: their contents are forgotten here."""
        given = list(numbers)
        return self._database.run(lambda connection: self.forget(connection, given))

    def forget(self, connection: sqlite3.Connection, numbers: Iterable[int]) -> None:
        """The same within the caller's transaction."""
        given = [(number,) for number in numbers]
        before = int(self._clock.seconds()) - REMEMBERED
        connection.executemany("UPDATE mailbox_items SET content = NULL WHERE id = ?", given)
        connection.execute(
            "DELETE FROM mailbox_items WHERE content IS NULL AND date < ?", (before,)
        )

    # -- inside --------------------------------------------------------------------------------

    def _at(self, view: View, server: str | None) -> Server:
        now = self._clock.seconds()
        if server is not None:
            found = select.find(view, server)
            if found.exit(EXIT) is None:
                raise UnusableServer(name=found.nickname, problem="it has no mailboxes")
            return found
        usable = view.usable_exits(EXIT, now, view.current_period(now))
        if not usable:
            raise NoExit(exit=EXIT)
        return usable[self._random.below(len(usable))]

    async def _key(self, number: int) -> tuple[bytes, bytes]:
        def query(connection: sqlite3.Connection) -> tuple[bytes, bytes] | None:
            found: tuple[bytes, bytes] | None = connection.execute(
                "SELECT server, private FROM mailboxes WHERE id = ?", (number,)
            ).fetchone()
            return found

        found = await self._database.run(query)
        if found is None:
            raise NoSuchMailbox(number=number)
        return found

    def _keep(self, number: int, item: Item) -> Deferred[None]:
        def query(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR IGNORE INTO mailbox_items (mailbox, item, date, handle, content)"
                " VALUES (?, ?, ?, ?, ?)",
                (number, item.id.to_bytes(8), item.date, item.handle, item.content),
            )

        return self._database.run(query)
