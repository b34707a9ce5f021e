"""Servers that are known from descriptors in files: used where a path names them, and nowhere else.

What they are good for are servers that no directory lists, one's own above all; what they cost is
that few others use them.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from mixminion.client.database import Database, Executor
from mixminion.client.errors import BadInput
from mixminion.client.path_errors import AlreadyImported, NameTaken, NotADescriptor, NotImported
from mixminion.crypto import kdf
from mixminion.directory import documents
from mixminion.directory.descriptor import LIMIT, NAME, VERSION, Descriptor
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.view import View
from mixminion.errors import PeerError
from mixminion.interfaces import Clock
from mixminion.paths.language import File, PathSpec


@dataclass(frozen=True, slots=True)
class ImportedServer:
    """A server out of a file."""

    descriptor: Descriptor
    digest: bytes  #: of the descriptor's payload
    listed: bool = False  #: whether the directory has it as well, whose entry counts then


class ImportedServers:
    """Those of one state file."""

    def __init__(self, database: Database, executor: Executor, clock: Clock) -> None:
        self._database = database
        self._executor = executor
        self._clock = clock

    async def add(self, octets: bytes, view: View | None = None) -> ImportedServer:
        """Import a descriptor, in the place of an older one of that server; *view* is the
        directory, if there is one, which may have the server or its name already.

        :raises NotADescriptor: it is none, or not valid now.
        :raises NameTaken: another server has that nickname.
        :raises AlreadyImported: a newer one of it is here.
        """
        try:
            descriptor = Descriptor.verify(octets, self._clock.seconds())
        except PeerError as error:
            why = error.fields.get("problem", error.code)
            raise NotADescriptor(why=str(why).replace("-", " ")) from error
        if _is_taken(descriptor, view):
            raise NameTaken(name=descriptor.nickname, where="The directory lists")

        def query(connection: sqlite3.Connection) -> None:
            rows = connection.execute("SELECT identity, nickname, descriptor FROM imported_servers")
            for identity, nickname, held in rows:
                same = nickname.lower() == descriptor.nickname.lower()
                if identity == descriptor.identity:
                    if _open(held)[0].published > descriptor.published:
                        raise AlreadyImported(name=nickname)
                elif same:
                    raise NameTaken(name=nickname, where="You have imported")
            connection.execute(
                "INSERT OR REPLACE INTO imported_servers VALUES (?, ?, ?)",
                (descriptor.identity, descriptor.nickname, octets),
            )

        await self._database.run(query)
        return ImportedServer(descriptor, _open(octets)[1], _is_listed(descriptor, view))

    async def add_file(self, name: str, view: View | None = None) -> ImportedServer:
        """The same from a file.

        :raises BadInput: it cannot be read.
        """
        try:
            octets = await self._executor.run(_read, Path(name))
        except OSError as error:
            raise BadInput(name=name, why=error.strerror) from None
        return await self.add(octets, view)

    async def all(self) -> list[ImportedServer]:
        """Every one, by nickname; also those whose time is over."""

        def query(connection: sqlite3.Connection) -> list[bytes]:
            rows = connection.execute(
                "SELECT descriptor FROM imported_servers ORDER BY lower(nickname)"
            )
            return [octets for (octets,) in rows]

        return [ImportedServer(*_open(octets)) for octets in await self._database.run(query)]

    async def remove(self, nickname: str) -> None:
        """Forget one.

        :raises NotImported: there is none of that nickname.
        """

        def query(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "DELETE FROM imported_servers WHERE lower(nickname) = ?", (nickname.lower(),)
            ).rowcount

        if not await self._database.run(query):
            raise NotImported(name=nickname)

    async def beside(self, view: View) -> View:
        """*view* with these servers in it, to be found by their names."""
        found = await self.all()
        if not found:
            return view
        described = [(each.descriptor, each.digest) for each in found]
        return view.with_imported(described, self._clock.seconds())

    async def without_files(self, path: PathSpec, view: View) -> PathSpec:
        """The same path with nicknames for its files, which are imported."""
        names: dict[File, str] = {}
        for file in path.files:
            names[file] = (await self.add_file(file.name, view)).descriptor.nickname
        return path.without_files(names.__getitem__)


def _is_taken(descriptor: Descriptor, view: View | None) -> bool:
    """Whether the directory has another server of that nickname."""
    server = None if view is None else view.by_name(descriptor.nickname)
    if view is None or server is None or view.imported(server):
        return False
    return server.identity != descriptor.identity


def _is_listed(descriptor: Descriptor, view: View | None) -> bool:
    server = None if view is None else view.by_identity(descriptor.identity)
    return view is not None and server is not None and not view.imported(server)


def _open(octets: bytes) -> tuple[Descriptor, bytes]:
    """A descriptor that was verified when it came, and its digest."""
    payload = Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=LIMIT).payload
    found = documents.decode(Descriptor, payload, name=NAME, version=VERSION, limit=LIMIT)
    return found, kdf.sha256(payload)


def _read(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(LIMIT + 1)
