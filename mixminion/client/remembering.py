"""What is remembered of our own reply blocks, and for how long: section ``[ReplyBlocks]``."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mixminion.config import option, section, values


@section("ReplyBlocks")
class ReplyBlocksSection:
    """What is remembered of your own reply blocks."""

    remember_used: bool = option(
        values.boolean,
        default=True,
        doc="""Whether a block whose answer was read stays in the list, so that the same answer
        can be read again, and a second one to the same block.""",
    )
    remember_for: float = option(
        values.within(values.duration, 0.0),
        default="30 days",
        doc="How long it stays there after its answer was read.",
    )
    wait_for_answers: float = option(
        values.within(values.duration, 0.0),
        default="60 days",
        doc="""How long after its last day the answer to a block can be read: mailboxes hold what
        came for 30 days as a rule.  After that the block is deleted.""",
    )
    copies: Path | None = option(
        values.path,
        default=None,
        doc="""A folder, on another disk say, in which a copy of what opens the answers is written
        before reply blocks are handed out, sealed to their identity; for a machine that is
        lost.  It has to be there: nothing is written beside a disk that is not.""",
    )


def hour(now: float) -> int:
    """Unix seconds, rounded down to the hour."""
    return int(now // 3600) * 3600


def mark_used(
    connection: sqlite3.Connection, surb_id: bytes, section: ReplyBlocksSection, now: float
) -> bool:
    """The answer to a block was read; whether it was the first."""
    if section.remember_used:
        changed = connection.execute(
            "UPDATE reply_blocks SET used = ? WHERE surb_id = ? AND used IS NULL",
            (hour(now), surb_id),
        )
    else:
        changed = connection.execute("DELETE FROM reply_blocks WHERE surb_id = ?", (surb_id,))
    return changed.rowcount == 1


def purge(connection: sqlite3.Connection, section: ReplyBlocksSection, now: float) -> int:
    """Delete what is not remembered any more; how many those were."""
    kept_for = section.remember_for if section.remember_used else 0.0
    unread = connection.execute(
        "DELETE FROM reply_blocks WHERE used IS NULL AND not_after < ?",
        (now - section.wait_for_answers,),
    )
    used = connection.execute(
        "DELETE FROM reply_blocks WHERE used IS NOT NULL AND used < ?", (hour(now - kept_for),)
    )
    return unread.rowcount + used.rowcount
