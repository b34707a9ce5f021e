"""Reply blocks of our own: made in pairs, remembered until their answers were read.

A block lives within one key period, so one for this period and one for the next are handed out
together: one of the two can be used from now for at least a period.  What opens the answer is
sealed to its identity's key and written before anybody gets the block.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

from mixminion.client import (
    answer_addresses,
    blocks_text,
    inspecting,
    issuing,
    remembering,
)
from mixminion.client.answer_addresses import AnswerAddress
from mixminion.client.copying import Copies
from mixminion.client.database import Database, Executor
from mixminion.client.exporting import Restored
from mixminion.client.identities import Identities, Identity, Unlocked
from mixminion.client.inspecting import Inspected, ReplyBlock
from mixminion.client.mailbox import Mailboxes
from mixminion.client.progress import BlocksMade, Progress, silent
from mixminion.client.remembering import ReplyBlocksSection
from mixminion.crypto import hpke
from mixminion.crypto.kdf import sha256
from mixminion.directory.consensus import KeyPeriod
from mixminion.directory.view import View
from mixminion.interfaces import Clock, Random
from mixminion.paths.preferences import Lists
from mixminion.sphinx import suites, surb
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.surb import KEY, SurbKey

INFO = b"mixminion2 surb key "
"""What is sealed to an identity; the SURB id follows."""

PAIR = 2
NO_LISTS = Lists()


@dataclass(frozen=True, slots=True)
class Made:
    """A new block as it is handed out, the id of what opens its answer, and where that comes."""

    octets: bytes = field(repr=False)
    surb_id: bytes = field(repr=False)
    not_before: int
    not_after: int
    address: str = field(repr=False)


class ReplyBlocks:
    """Those of one state file.  *view* gives the network."""

    def __init__(
        self,
        database: Database,
        identities: Identities,
        mailboxes: Mailboxes,
        view: Callable[[Progress], Awaitable[View]],
        clock: Clock,
        random: Random,
        section: ReplyBlocksSection,
        executor: Executor,
        lists: Lists = NO_LISTS,
    ) -> None:
        self._database = database
        self._identities = identities
        self._mailboxes = mailboxes
        self._view = view
        self._clock = clock
        self._random = random
        self._section = section
        self._lists = lists
        self._copies = Copies(database, identities, section, executor)

    async def create(
        self,
        count: int = 1,
        *,
        lifetime: float = 0.0,
        identity: str | None = None,
        address: str | None = None,
        progress: Progress = silent,
    ) -> list[bytes]:
        """*count* pairs of new blocks, with which an answer is possible for *lifetime* seconds
        from now at least: where a pair lasts shorter, more than two belong together.

        Answers come to *address*, which may be ``mailbox`` for one of our own; None is the
        identity's own address, and before it has one a mailbox.

        :raises LifetimeTooLong: servers have published no keys for so long.
        :raises UserError: no such identity or address; no path to it.
        """
        view = await self._view(progress)
        known = await self._identities.get(identity)
        made = await self.make(view, known, count, lifetime=lifetime, address=address)
        handles = tuple(each.surb_id for each in made)
        progress(BlocksMade(known.name, made[0].address, handles, made[-1].not_after))
        return [each.octets for each in made]

    async def armored(self, count: int, identity: str | None, progress: Progress) -> str:
        """New pairs as the text that goes into a message; see :meth:`create`."""
        made = await self.create(count, identity=identity, progress=progress)
        return blocks_text.encode(made)

    async def make(
        self,
        view: View,
        identity: Identity,
        count: int = 1,
        *,
        lifetime: float = 0.0,
        address: str | None = None,
        periods: int = PAIR,
    ) -> list[Made]:
        """The same in a view that is at hand, for at least so many *periods*: *count* blocks of
        the first of them, then of the next."""
        now = self._clock.seconds()
        where = await answer_addresses.find(
            view, self._identities, self._mailboxes, identity, address
        )
        chosen = issuing.periods(view, now, lifetime, periods)
        built = [
            (period, *issuing.build(view, period, where, now, self._random, self._lists))
            for period in chosen
            for _ in range(count)
        ]
        rows = [_row(identity, period, where, block, key, now) for period, block, key in built]

        def query(connection: sqlite3.Connection) -> None:
            remembering.purge(connection, self._section, now)
            connection.executemany(_INSERT, rows)

        await self._database.run(query)
        surb_ids = [key.surb_id for _, _, key in built]
        await self._copies.write(identity, surb_ids, chosen[-1].ends, now)
        return [
            Made(block.encode(), key.surb_id, block.not_before, block.not_after, where.text)
            for _, block, key in built
        ]

    def all(self) -> Deferred[list[ReplyBlock]]:
        """Every one that is remembered, the oldest first."""
        return self._select("", ())

    async def lookup(self, surb_id: bytes) -> ReplyBlock | None:
        """The one with that SURB id; None when there is none."""
        found = await self._select(" WHERE surb_id = ?", (surb_id,))
        return found[0] if found else None

    async def recognise(self, block: bytes) -> ReplyBlock | None:
        """The one that was handed out as these octets; None for other people's."""
        found = await self._select(" WHERE digest = ?", (sha256(block),))
        return found[0] if found else None

    async def inspect(self, octets: bytes, view: View | None = None) -> list[Inspected]:
        """What can be said of the blocks in a file, ours or other people's; with a *view* whether
        they can be answered now.

        :raises BadArmor: a text in it is damaged.
        """
        now = self._clock.seconds()
        found = []
        for block in blocks_text.find(octets):
            own, used = await self.recognise(block), await self._used_here(block)
            found.append(inspecting.inspect(block, view, now, own, used))
        return found

    async def key(self, surb_id: bytes, unlocked: Unlocked) -> SurbKey | None:
        """What opens the answer to one; None when there is none, or it is another identity's."""

        def query(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute(
                "SELECT key FROM reply_blocks WHERE surb_id = ? AND identity = ?",
                (surb_id, unlocked.identity.id),
            ).fetchone()
            return None if row is None else bytes(row[0])

        sealed = await self._database.run(query)
        opened = None if sealed is None else unlocked.open(sealed, INFO + surb_id)
        return None if opened is None else _key(surb_id, opened)

    def mark_used(self, surb_id: bytes) -> Deferred[bool]:
        """The answer to one was read; whether it was the first answer."""
        return self._database.run(lambda connection: self.mark(connection, [surb_id]) == 1)

    def mark(self, connection: sqlite3.Connection, surb_ids: Iterable[bytes]) -> int:
        """The same for several, within the caller's transaction; for how many it was the first."""
        now = self._clock.seconds()
        marked = [remembering.mark_used(connection, each, self._section, now) for each in surb_ids]
        remembering.purge(connection, self._section, now)
        return sum(marked)

    def delete(self, numbers: Iterable[int]) -> Deferred[list[int]]:
        """Forget some: their answers can be read by nobody any more.  Those that were there."""
        given = list(numbers)

        def query(connection: sqlite3.Connection) -> list[int]:
            return [
                number
                for number in given
                if connection.execute("DELETE FROM reply_blocks WHERE id = ?", (number,)).rowcount
            ]

        return self._database.run(query)

    def expire(self) -> Deferred[int]:
        """Forget those that the configuration says are not remembered any more, which is done
        from time to time anyway; how many they were."""
        now = self._clock.seconds()
        return self._database.run(
            lambda connection: remembering.purge(connection, self._section, now)
        )

    async def restore(
        self, copies: Mapping[str, bytes], passphrase: bytes | None = None
    ) -> Restored:
        """Take over copies that ``[ReplyBlocks] copies`` had written; see
        :meth:`mixminion.client.copying.Copies.restore`."""
        return await self._copies.restore(copies, passphrase)

    def _used_here(self, block: bytes) -> Deferred[bool]:
        """Whether we have answered it ourselves."""
        digest = sha256(inspecting.header_of(block))  # as in crossing.digest

        def query(connection: sqlite3.Connection) -> bool:
            found = connection.execute("SELECT 1 FROM used_blocks WHERE digest = ?", (digest,))
            return found.fetchone() is not None

        return self._database.run(query)

    def _select(self, where: str, values: Sequence[object]) -> Deferred[list[ReplyBlock]]:
        def query(connection: sqlite3.Connection) -> list[ReplyBlock]:
            rows = connection.execute(f"{_SELECT}{where} ORDER BY reply_blocks.id", values)
            return [_block(*row) for row in rows]

        return self._database.run(query)


_SELECT = (
    "SELECT reply_blocks.id, surb_id, identity, name, suite, hops, commands, packet, period,"
    " not_before, not_after, reply_blocks.address, hour, used"
    " FROM reply_blocks JOIN identities ON identity = identities.id"
)
_INSERT = (
    "INSERT INTO reply_blocks (surb_id, identity, digest, suite, hops, commands, packet, period,"
    " not_before, not_after, address, key, hour) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _block(
    number: int,
    surb_id: bytes,
    identity: int,
    name: str,
    suite: str,
    hops: int,
    commands: int,
    packet: int,
    *rest: object,
) -> ReplyBlock:
    geometry = Geometry(suites.by_name(suite), hops, commands, packet)
    return ReplyBlock(number, surb_id, identity, name, geometry, *rest)  # type: ignore[arg-type]


def _row(
    identity: Identity,
    period: KeyPeriod,
    where: AnswerAddress,
    block: surb.Surb,
    key: SurbKey,
    now: float,
) -> tuple[object, ...]:
    g = block.geometry
    sealed = hpke.seal(identity.public, b"".join((*key.hops, key.key)), INFO + key.surb_id)
    return (
        *(key.surb_id, identity.id, sha256(block.encode())),
        *(g.suite.name, g.hops, g.commands, g.packet),
        *(period.number, block.not_before, block.not_after, where.text, sealed),
        remembering.hour(now),
    )


def _key(surb_id: bytes, octets: bytes) -> SurbKey:
    parts = [octets[at : at + KEY] for at in range(0, len(octets), KEY)]
    return SurbKey(surb_id, tuple(parts[:-1]), parts[-1])
