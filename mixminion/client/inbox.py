"""Reading what comes back, by whatever way: mails, files, mailboxes.

Opening something changes nothing but that parts of replies are kept.  Only when whoever reads it
says that he has it (:meth:`Inbox.mark_read`) its reply block counts as used, its copies are known
for copies, and mailboxes forget it: so a kill at any moment loses nothing, and shows at worst
something twice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace

from mixminion.client import arrived, blocks_text, opening, reply_parts
from mixminion.client.arrived import Damaged, Plain, Sealed
from mixminion.client.database import Database
from mixminion.client.identities import Identities, Identity, Unlocked
from mixminion.client.identity_errors import NoSuchIdentity
from mixminion.client.mailbox import REMEMBERED, Fetched, Mailboxes
from mixminion.client.opened import Kind, Marks, Opened
from mixminion.client.reply_blocks import ReplyBlocks
from mixminion.client.reply_errors import (
    DamagedReply,
    OfAnotherIdentity,
    TooMuch,
    Undecodable,
    UnknownBlock,
)
from mixminion.client.reply_parts import PartialReply, ReplyParts
from mixminion.crypto.kdf import sha256
from mixminion.errors import MixminionError, UserError
from mixminion.interfaces import Clock
from mixminion.payload import frame, reply
from mixminion.payload.errors import BadPayload, Problem
from mixminion.payload.fragments import Fragment
from mixminion.util.armor import BadArmor

__all__ = ["MAX_SIZE", "Inbox", "Kind", "Opened", "PartialReply"]

MAX_SIZE = 10 * 2**20
"""Octets of one message or reply, if nobody says otherwise."""


class Inbox:
    """What comes to one client."""

    def __init__(
        self,
        database: Database,
        identities: Identities,
        reply_blocks: ReplyBlocks,
        mailboxes: Mailboxes,
        clock: Clock,
    ) -> None:
        self._database = database
        self._identities = identities
        self._reply_blocks = reply_blocks
        self._mailboxes = mailboxes
        self._clock = clock
        self._parts = ReplyParts(database, clock)

    async def decode(
        self,
        octets: bytes,
        *,
        handle: bytes | None = None,
        identity: str | None = None,
        passphrase: bytes | None = None,
        max_size: int = MAX_SIZE,
        again: bool = False,
    ) -> list[Opened]:
        """Everything in a file that came: a mail, a folder of mails in mbox form, a text, or, with
        its *handle*, a sealed payload.

        Replies are opened with the identity they are for; with *identity*, only those for that
        one.  *passphrase* is for those that are protected.  Nothing is made that has more than
        *max_size* octets.  What was read before is shown once more only with *again*.  What cannot
        be opened is :attr:`Kind.CLOSED` and says why.

        :raises NoSuchIdentity: there is none of that name.
        """
        items: Sequence[arrived.Item] = (
            arrived.read(octets) if handle is None else [Sealed(handle, octets)]
        )
        reading = await self._reading(identity, passphrase, max_size, again)
        return [await reading.open(item) for item in items]

    async def unread(
        self,
        mailbox: int | None = None,
        *,
        identity: str | None = None,
        passphrase: bytes | None = None,
        max_size: int = MAX_SIZE,
    ) -> list[Opened]:
        """What was fetched from a mailbox, or from all of them, and not marked as read, in the
        order in which it came; arguments as for :meth:`decode`.

        :raises NoSuchMailbox: there is none of that number.
        """
        numbers = [mailbox]
        if mailbox is None:
            numbers = [each.number for each in await self._mailboxes.all()]
        fetched: list[Fetched] = []
        for number in numbers:
            assert number is not None
            fetched += await self._mailboxes.unread(number)
        reading = await self._reading(identity, passphrase, max_size, again=False)
        found = []
        for each in sorted(fetched, key=lambda each: each.number):
            opened = await reading.open(_item(each))
            marks = replace(opened.marks, items=(each.number,))
            found.append(replace(opened, marks=marks))
        return found

    async def mark_read(self, opened: Iterable[Opened]) -> None:
        """Whoever reads has these; in one transaction."""
        given = [each for each in opened if each.kind is not Kind.CLOSED]
        hour = int(self._clock.seconds() // 3600) * 3600
        before = hour - REMEMBERED

        def query(connection: sqlite3.Connection) -> None:
            for each in given:
                marks = each.marks
                self._mailboxes.forget(connection, marks.items)
                self._reply_blocks.mark(connection, marks.surb_ids)
                connection.executemany(
                    "INSERT OR IGNORE INTO opened VALUES (?, ?)",
                    [(digest, hour) for digest in marks.digests],
                )
                if marks.reply is not None:
                    reply_parts.done(connection, marks.reply)
            connection.execute("DELETE FROM opened WHERE hour < ?", (before,))

        if given:
            await self._database.run(query)

    # -- replies in parts ----------------------------------------------------------------------

    async def fragments(self) -> list[PartialReply]:
        """Replies of which some parts are here, the oldest first."""
        return await self._parts.all()

    async def assemble(
        self, number: int, *, passphrase: bytes | None = None, max_size: int = MAX_SIZE
    ) -> Opened:
        """A reply of which all parts are here, as what :meth:`decode` gives.

        :raises NoSuchReply: no reply in parts has that number.
        :raises PartsLacking: it is not complete.
        :raises TooMuch: it has more than *max_size* octets.
        :raises UserError: its identity cannot be unlocked.
        """
        owner = await self._identity(await self._parts.owner(number))
        unlocked = await self._identities.unlock(owner, passphrase)
        content = await self._parts.join(number, unlocked, max_size)
        reading = await self._reading(None, passphrase, max_size, again=True)
        opened = Opened(Kind.REPLY, identity=owner.name, marks=Marks(reply=number))
        return await reading.inside(opened, content)

    async def purge(self, numbers: Iterable[int] = ()) -> int:
        """Delete the parts of these replies, and of those that have waited too long; of how many
        replies."""
        return await self._parts.purge(numbers)

    # -- inside --------------------------------------------------------------------------------

    async def _identity(self, id: int) -> Identity:
        found = await self._identities.by_id(id)
        if found is None:
            raise NoSuchIdentity(name="of that reply")
        return found

    async def _reading(
        self, identity: str | None, passphrase: bytes | None, limit: int, again: bool
    ) -> _Reading:
        wanted = None if identity is None else await self._identities.get(identity)
        return _Reading(self, wanted, passphrase, limit, again)


def _item(fetched: Fetched) -> Sealed | Plain:
    if fetched.handle is None:
        return Plain(fetched.content, fetched.date)
    return Sealed(fetched.handle, fetched.content, fetched.date)


class _Reading:
    """One run over what came, in which each identity is unlocked once."""

    def __init__(
        self,
        inbox: Inbox,
        wanted: Identity | None,
        passphrase: bytes | None,
        limit: int,
        again: bool,
    ) -> None:
        self._inbox = inbox
        self._wanted = wanted
        self._passphrase = passphrase
        self._limit = limit
        self._again = again
        self._unlocked: dict[int, Unlocked | MixminionError] = {}
        self._seen: set[bytes] = set()
        self._complete: set[int] = set()  # replies in parts

    async def open(self, item: arrived.Item) -> Opened:
        """One of the things that came."""
        if isinstance(item, Damaged):
            return Opened(Kind.CLOSED, date=item.date, error=item.error)
        opened = Opened(Kind.MESSAGE, date=item.date)
        try:
            if isinstance(item, Plain):
                return await self.inside(opened, item.content)
            return await self._sealed(replace(opened, kind=Kind.REPLY, handle=item.handle), item)
        except MixminionError as error:
            return replace(opened, kind=Kind.CLOSED, handle=_handle(item), error=error)

    async def _sealed(self, opened: Opened, item: Sealed) -> Opened:
        digest = sha256(item.handle + item.payload)
        marks = Marks(surb_ids=(item.handle,), digests=(digest,))
        opened = replace(opened, marks=marks)
        if digest in self._seen or (not self._again and await self._was_read(digest)):
            return replace(opened, kind=Kind.AGAIN)
        block = await self._inbox._reply_blocks.lookup(item.handle)
        if block is None:
            raise UnknownBlock(handle=item.handle.hex())
        if self._wanted is not None and block.identity != self._wanted.id:
            raise OfAnotherIdentity(name=block.name)
        unlocked = await self._unlock(block.identity)
        key = await self._inbox._reply_blocks.key(item.handle, unlocked)
        if key is None:
            raise UnknownBlock(handle=item.handle.hex())
        found = reply.unseal(block.geometry, key, item.payload)
        if found is None:
            raise DamagedReply(handle=item.handle.hex())
        opened = replace(opened, identity=unlocked.identity.name)
        if found.kind is frame.Kind.FRAGMENT:
            opened = await self._part(opened, unlocked, found.content)
        else:
            opened = await self.inside(opened, _content(found, self._limit))
        self._seen.add(digest)
        return opened

    async def _part(self, opened: Opened, unlocked: Unlocked, content: bytes) -> Opened:
        try:
            part = Fragment.parse(content)
        except BadPayload as error:
            raise Undecodable(why=f"a part of a reply: {error.problem}") from None
        if part.whole.coding not in reply.CODINGS:
            raise Undecodable(why="a part of a reply in an unknown coding")
        parts = self._inbox._parts
        added = await parts.add(unlocked.identity, part)
        if added.over or added.number in self._complete:
            return replace(opened, kind=Kind.AGAIN)
        opened = replace(
            opened, number=added.number, have=added.have, lacking=added.lacking, kind=Kind.PART
        )
        if added.lacking:
            return opened
        joined = await parts.join(added.number, unlocked, self._limit)
        opened = replace(opened, kind=Kind.REPLY, marks=replace(opened.marks, reply=added.number))
        opened = await self.inside(opened, joined)
        self._complete.add(added.number)
        return opened

    async def inside(self, opened: Opened, content: bytes) -> Opened:
        """What a message or a reply has in it."""
        if len(content) > self._limit:
            raise TooMuch(limit=self._limit)
        sealed = _encrypted(content)
        if sealed is not None:
            found = await self._decrypted(sealed)
            kind = Kind.REPLY if opened.kind is Kind.REPLY else Kind.ENCRYPTED
            opened = replace(opened, kind=kind, identity=found.identity.name)
            content = found.content
        return replace(opened, content=content, blocks=_blocks(content))

    async def _decrypted(self, octets: bytes) -> opening.OpenedMessage:
        try:
            return await opening.open(
                self._inbox._identities,
                octets,
                identity=None if self._wanted is None else self._wanted.name,
                passphrase=self._passphrase,
                limit=self._limit,
            )
        except BadPayload as error:
            raise _problem(error, self._limit, "an encrypted message") from None

    async def _was_read(self, digest: bytes) -> bool:
        def query(connection: sqlite3.Connection) -> bool:
            row = connection.execute("SELECT 1 FROM opened WHERE digest = ?", (digest,)).fetchone()
            return row is not None

        return await self._inbox._database.run(query)

    async def _unlock(self, id: int) -> Unlocked:
        found = self._unlocked.get(id)
        if found is None:
            identity = await self._inbox._identity(id)
            passphrase = self._passphrase if identity.protected else None
            try:
                found = await self._inbox._identities.unlock(identity, passphrase)
            except MixminionError as error:
                found = error
            self._unlocked[id] = found
        if isinstance(found, MixminionError):
            raise found
        return found


def _handle(item: arrived.Item) -> bytes | None:
    return item.handle if isinstance(item, Sealed) else None


def _content(found: frame.Frame, limit: int) -> bytes:
    try:
        return reply.content(found, limit)
    except BadPayload as error:
        raise _problem(error, limit, "a reply") from None


def _problem(error: BadPayload, limit: int, what: str) -> UserError:
    if error.problem is Problem.SIZE:
        return TooMuch(limit=limit)
    return Undecodable(why=f"{what}: {error.problem}")


def _encrypted(content: bytes) -> bytes | None:
    """The encrypted message that is, or is in, a content; a damaged one does not keep anybody from
    reading what stands around it."""
    try:
        found = opening.find(content)
    except BadArmor:
        return None
    return found[0] if found else None


def _blocks(content: bytes) -> tuple[bytes, ...]:
    """The reply blocks in a content; the same holds for damaged ones."""
    try:
        return tuple(blocks_text.find(content))
    except BadArmor:
        return ()
