"""Packets that leave in a file, for another machine to send, and such that came in one.

A packet is sent from one machine only: what goes into a file is marked first and not sent from here
any more, and it leaves the outbox when the file is on its disk.  From then on it is like one that
was handed to a transport: sent only as it is.  What came in a file once is recognised, so that the
same file read again brings nothing.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred

from mixminion.client import packet_file, packets
from mixminion.client.database import Database, Executor
from mixminion.client.outbox import Outbox, hour
from mixminion.client.outbox_errors import NothingToCarry, NotPackets, PacketFileThere
from mixminion.client.packet_file import Carried
from mixminion.client.sender import Sender
from mixminion.crypto.kdf import sha256
from mixminion.directory.view import View
from mixminion.disk import private
from mixminion.interfaces import Clock


class Carrying:
    """The files of one outbox; *executor* reads and writes them."""

    def __init__(
        self, database: Database, outbox: Outbox, sender: Sender, clock: Clock, executor: Executor
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._sender = sender
        self._clock = clock
        self._executor = executor

    async def export(self, path: Path, ids: Collection[int]) -> int:
        """Move what is kept, or of that only *ids*, to a new file; how many packets.

        :raises NothingToCarry: there is nothing.
        :raises PacketFileThere: there is such a file.
        :raises WriteFailed: it cannot be written; the packets are sent from here as before.
        """
        if os.path.lexists(path):
            raise PacketFileThere(path=path)
        await self._sender.build(ids)
        taken = await self._take(ids)
        if not taken:
            raise NothingToCarry
        octets = packet_file.encode([packet for _, packet in taken])
        numbers = [id for id, _ in taken]
        try:
            await self._executor.run(private.create, path, octets)
        except Exception:
            await self._let_go(numbers)
            raise
        return await self._outbox.delete(numbers)

    async def bring(self, view: View, octets: bytes) -> list[int]:
        """Keep the packets of a file, but for those that came before; their ids.

        :raises NotPackets: it is no such file, or one for another network.
        """
        found = packet_file.parse(octets)
        if any(len(each.octets) != view.packet_length for each in found):
            raise NotPackets(why="its packets are another network's")
        now = self._clock.seconds()
        gone = [each for each in found if not packets.accepted(view, each.period, now)]
        if gone and len(gone) == len(found):
            raise NotPackets(why="the keys that its packets were made for have gone")
        oldest = min((each.number for each in view.consensus.key_periods), default=0) - 2
        return await self._bring([each for each in found if each not in gone], oldest, now)

    def _take(self, ids: Collection[int]) -> Deferred[list[tuple[int, Carried]]]:
        """Mark packets, and those that were marked before, as given to a file; all of them."""
        when = hour(self._clock.seconds())

        def query(connection: sqlite3.Connection) -> list[tuple[int, Carried]]:
            rows = connection.execute("SELECT id, part_of FROM packets ORDER BY id").fetchall()
            wanted = [(id,) for id, part_of in rows if not ids or not {id, part_of}.isdisjoint(ids)]
            connection.executemany(
                "UPDATE packets SET state = 'handed', path = NULL, message = NULL, block = NULL,"
                f" carried = coalesce(carried, {when}) WHERE id = ?",
                wanted,
            )
            taken = []
            for chosen in wanted:
                entry, period, octets = connection.execute(
                    "SELECT entry, period, packet FROM packets WHERE id = ?", chosen
                ).fetchone()
                taken.append((chosen[0], Carried(entry, period, octets)))
            return taken

        return self._database.run(query)

    def _let_go(self, ids: Sequence[int]) -> Deferred[None]:
        """There is no file: they are sent from here."""

        def query(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "UPDATE packets SET carried = NULL WHERE id = ?", [(id,) for id in ids]
            )

        return self._database.run(query)

    def _bring(self, found: Sequence[Carried], oldest: int, now: float) -> Deferred[list[int]]:
        """*oldest* is the first key period of which anything has to be remembered."""

        def query(connection: sqlite3.Connection) -> list[int]:
            connection.execute("DELETE FROM brought WHERE period < ?", (oldest,))
            ids = []
            for each in found:
                new = connection.execute(
                    "INSERT OR IGNORE INTO brought VALUES (?, ?)",
                    (sha256(each.octets), each.period),
                )
                if not new.rowcount:
                    continue
                cursor = connection.execute(
                    "INSERT INTO packets (state, entry, period, hour, packet)"
                    " VALUES ('handed', ?, ?, ?, ?)",
                    (each.entry, each.period, hour(now), each.octets),
                )
                assert cursor.lastrowid is not None
                ids.append(cursor.lastrowid)
            return ids

        return self._database.run(query)
