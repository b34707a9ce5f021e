"""Messages whose senders want to know what became of them: asked for, waited for, sent again.

A message with a receipt is kept with its text until a receipt has come, or it is given up.  It is
kept in the same transaction as what opens its receipts and the packets' text in the outbox: a
crash neither loses one of them nor sends a message that nobody waits for.  Why it is done so, and
what that promises, is in ``doc/design/receipts.rst``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from mixminion.client import answer_addresses, issuing, large, packets, receipt_rows
from mixminion.client.coding import Coded, coded
from mixminion.client.database import Database, Executor
from mixminion.client.identity_errors import LifetimeTooLong
from mixminion.client.kept_entries import KeptEntries
from mixminion.client.mailbox import FRAMES, Mailbox, Mailboxes
from mixminion.client.outbox import Large, Outbox, insert_large
from mixminion.client.packets import Letter
from mixminion.client.progress import InFragments, Kept, PathChosen, Progress, Sent, silent
from mixminion.client.receipt_rows import Key, Pending, Receipt, ReceiptState
from mixminion.client.sender import Sender
from mixminion.directory.view import View
from mixminion.errors import MixminionError, PeerError, UserError
from mixminion.interfaces import Clock, Random
from mixminion.paths.select import Choice, choose
from mixminion.payload import message, receipt, reply
from mixminion.payload.errors import BadPayload
from mixminion.payload.fragments import ID
from mixminion.payload.receipt import Outcome

__all__ = ["ATTEMPTS", "Receipt", "ReceiptState", "Receipts"]

ATTEMPTS = 4
"""How often a message is sent without a receipt: twice by one exit, then twice by another."""

FACTOR = 2.0
"""Nearly no packet takes more than so many times the mean delay of its way."""

OWN_DELAYS = 3
"""How many mean delays more than those of three paths there are: the exit's before its receipt
leaves, and some for the hand-over."""

TEND = 1800.0
"""Seconds between two looks for messages that have had no receipt, on average."""

_STATES = {
    Outcome.ACCEPTED: ReceiptState.ACCEPTED,
    Outcome.REFUSED: ReceiptState.REFUSED,
    Outcome.EXPIRED: ReceiptState.EXPIRED,
}


def patience(view: View, attempt: int, visits: float) -> float:
    """Seconds in which a receipt should have come: there, back over a crossover's path and that
    of the reply block, and to the next of the visits that are made every so many seconds.  It
    doubles with each attempt, since a far side may have said "later"."""
    delays = 3 * view.parameters.hops + OWN_DELAYS
    return FACTOR * (delays * view.parameters.mean_delay + visits) * 2.0**attempt


class Receipts:
    """Those of one state file.  *view* gives the network; *visits* how many seconds lie between two
    visits to a mailbox, 0 where somebody visits it who wants to know."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        sender: Sender,
        mailboxes: Mailboxes,
        view: Callable[[Progress], Awaitable[View]],
        clock: Clock,
        random: Random,
        executor: Executor,
        kept: KeptEntries,
        visits: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._sender = sender
        self._mailboxes = mailboxes
        self._view = view
        self._clock = clock
        self._random = random
        self._executor = executor
        self._kept = kept
        self._visits = visits

    # -- sending -------------------------------------------------------------------------------

    async def send(
        self,
        letter: Letter,
        progress: Progress,
        *,
        copies: int = 1,
        too_large: bool = False,
        hand_over: bool = True,
    ) -> Sent:
        """Send a message and wait for its receipt; as :meth:`Sender.send`.  *too_large* allows more
        packets than messages are meant to take."""
        view = await self._view(progress)
        box = await self._mailbox(view)
        octets = message.encode(letter.exit, letter.recipients, b"".join(letter.parts))
        pending = Pending(
            0, self._random.octets(ID), letter.path, copies, box.number, b"", (), 0, 0, 0.0, octets
        )
        choice = await self._choice(view, pending, letter, frozenset())
        keys, made = await self._coded(view, pending, box)
        if made.packets > view.parameters.fragments and not too_large:
            raise large.too_large(view, letter.size, made.packets)
        progress(PathChosen(choice.path, choice.warnings))
        if made.packets > 1:
            progress(InFragments(made.packets, made.whole.pieces))
        id = await self._keep(view, pending, choice, keys, made, letter.exit)
        assert id is not None
        progress(Kept(id))
        return await self._sender.hand_over_large(
            view, id, choice.path, made.packets, progress, hand_over=hand_over
        )

    async def _choice(
        self, view: View, pending: Pending, letter: Letter, elsewhere: frozenset[bytes]
    ) -> Choice:
        """A path to a server that hands it over and says so, none of *elsewhere*."""
        wanted = packets.requirement(letter, fragments=True)
        exit = replace(wanted, receipts=True, elsewhere=elsewhere)
        preferences = await self._kept.preferences(view)
        path, now = packets.spec(pending.path), self._clock.seconds()
        return choose(view, path, exit, now=now, random=self._random, preferences=preferences)

    async def _mailbox(self, view: View) -> Mailbox:
        """One of our own whose server is there: that of the last receipts, or any, or a new one."""
        last = await self._database.run(receipt_rows.last_mailbox)
        own = [box for box in await self._mailboxes.all() if answer_addresses.there(view, box)]
        own.sort(key=lambda box: box.number != last)
        return own[0] if own else await self._mailboxes.create(view, None)

    async def _coded(self, view: View, pending: Pending, box: Mailbox) -> tuple[list[Key], Coded]:
        """The coded message of the next attempt, and what opens its receipt."""
        now = self._clock.seconds()
        wait = patience(view, pending.attempt, self._visits())
        try:
            periods = issuing.periods(view, now, wait, 1)
        except LifetimeTooLong:
            periods = issuing.periods(view, now, 0.0, 1)
        where = answer_addresses.parse(box.address)
        built = [
            issuing.build(view, period, where, now, self._random, self._kept.lists)
            for period in periods[: receipt.MOST_BLOCKS]
        ]
        keys = [Key(pending.number, block.geometry, key, block.not_after) for block, key in built]
        made = await self._executor.run(
            coded,
            pending,
            [block.encode() for block, _ in built],
            packets.piece_length(view),
        )
        return keys, made

    async def _keep(
        self,
        view: View,
        pending: Pending,
        choice: Choice,
        keys: list[Key],
        made: Coded,
        exit: str,
    ) -> int | None:
        """Write an attempt down, with what opens its receipt, in one transaction; its number in the
        outbox, None when there is no need of it any more."""
        now = self._clock.seconds()
        server = choice.path[-1].identity
        kept = Large(made.whole, made.copies, exit, server, pending.path)
        tried = pending.tried if server in pending.tried else (*pending.tried, server)
        due = now + patience(view, pending.attempt, self._visits())

        def query(connection: sqlite3.Connection) -> int | None:
            id = insert_large(connection, kept, made.blocks(), now)
            row = replace(pending, server=server, tried=tried, kept=id, due=due)
            number = pending.number
            if not number:
                number = receipt_rows.insert(connection, row, int(now // 3600) * 3600)
            elif not receipt_rows.sent_again(connection, row):
                connection.execute("DELETE FROM blocks WHERE message = ?", (id,))
                connection.execute("DELETE FROM messages WHERE id = ?", (id,))
                return None
            receipt_rows.add_keys(connection, number, keys, now)
            return id

        return await self._database.run(query)

    # -- what came -----------------------------------------------------------------------------

    async def all(self) -> list[Receipt]:
        """What is known of every message that was sent with a receipt, the oldest first."""
        return await self._database.run(receipt_rows.all)

    async def forget(self, numbers: Iterable[int]) -> int:
        """Forget these, and send them no more; how many there were."""
        given = list(numbers)
        return await self._database.run(lambda connection: receipt_rows.forget(connection, given))

    async def collect(self) -> int:
        """Read those receipts that were fetched from mailboxes; how many."""

        def query(connection: sqlite3.Connection) -> int:
            rows = connection.execute(
                "SELECT mailbox_items.id, handle, content FROM mailbox_items"
                " JOIN receipt_keys ON handle = surb_id WHERE content IS NOT NULL"
            ).fetchall()
            for _, handle, content in rows:
                _take(connection, handle, content)
            self._mailboxes.forget(connection, [number for number, _, _ in rows])
            return len(rows)

        return await self._database.run(query)

    # -- time ----------------------------------------------------------------------------------

    def pause(self) -> float:
        """Seconds until a program that runs is to :meth:`tend` again: at random, so that what it
        sends then has nothing to do with what it fetched."""
        return self._random.exponential(TEND)

    async def check(self, *, progress: Progress = silent) -> list[Receipt]:
        """Visit the mailboxes in which receipts may be, and do what :meth:`tend` does; see there.
        A mailbox that cannot be visited now is left for the next time."""
        view = await self._view(progress)
        pending = await self._database.run(receipt_rows.waiting)
        for number in dict.fromkeys(each.mailbox for each in pending):
            with suppress(PeerError, UserError):
                await self._mailboxes.visit(view, number, FRAMES)
        return await self.tend(progress=progress)

    async def tend(self, *, progress: Progress = silent) -> list[Receipt]:
        """Read what was fetched, and send again whatever has had no receipt in its time; all that
        is known then."""
        await self.collect()
        now = self._clock.seconds()
        for pending in await self._database.run(receipt_rows.waiting):
            if pending.due <= now:
                with suppress(MixminionError):  # it stays due
                    await self._overdue(pending, progress)
        return await self.all()

    async def _overdue(self, pending: Pending, progress: Progress) -> None:
        view = await self._view(progress)
        kept = pending.kept
        if await self._database.run(lambda connection: receipt_rows.in_outbox(connection, kept)):
            await self._sender.flush([kept], progress)  # part of it has not even left
            later = self._clock.seconds() + patience(view, pending.attempt, self._visits())
            await self._database.run(
                lambda connection: receipt_rows.put_off(connection, pending.number, later)
            )
        elif pending.attempt + 1 >= ATTEMPTS:
            await self._database.run(
                lambda connection: receipt_rows.end(connection, pending.number, ReceiptState.SILENT)
            )
        else:
            await self._again(view, pending, progress)

    async def _again(self, view: View, pending: Pending, progress: Progress) -> None:
        """Send it once more: to the server that has it, which recognises it, then to another."""
        pending = replace(pending, attempt=pending.attempt + 1)
        letter = Letter.again(pending.message, pending.path)
        choice = await self._next_choice(view, pending, letter)
        keys, made = await self._coded(view, pending, await self._mailbox(view))
        id = await self._keep(view, pending, choice, keys, made, letter.exit)
        if id is not None:
            await self._sender.flush([id], progress)

    async def _next_choice(self, view: View, pending: Pending, letter: Letter) -> Choice:
        elsewhere = frozenset(pending.tried)
        if pending.attempt % 2 and view.by_identity(pending.server) is not None:
            elsewhere = frozenset(each.identity for each in view.servers) - {pending.server}
        try:
            return await self._choice(view, pending, letter, elsewhere)
        except UserError:  # there is no other one, or the path or address says which it is
            return await self._choice(view, pending, letter, frozenset())


def _take(connection: sqlite3.Connection, handle: bytes, content: bytes) -> None:
    """Something came by one of our reply blocks: if it is a receipt for what the block was made
    for, it is believed."""
    key = receipt_rows.key(connection, handle)
    inside = None if key is None else reply.open(key.geometry, key.key, content)
    if key is None or inside is None:
        return
    try:
        found = receipt.Receipt.parse(inside)
    except BadPayload:
        return
    row = connection.execute("SELECT name FROM receipts WHERE id = ?", (key.receipt,)).fetchone()
    if row is not None and row[0] == found.id:
        state = _STATES[found.outcome]
        receipt_rows.end(connection, key.receipt, state, found.reason or None, found.date)
