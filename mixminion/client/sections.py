"""The sections of the configuration about what is kept, and when a running client sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mixminion.config import log_section, option, section, values

DAY = 86_400.0
HOUR = 3_600.0


@section("Outbox")
class OutboxSection:
    """What becomes of messages that were not sent, but are kept."""

    warn_after: float = option(
        values.within(values.duration, HOUR, 366 * DAY),
        default="1 day",
        doc="When something is kept longer than this, every command says so.",
    )
    delete_after: float | None = option(
        values.within(values.duration, HOUR, 3660 * DAY),
        default=None,
        doc="""What is kept longer than this is deleted without being sent, and that is said.  If
        not given, nothing is deleted.""",
    )

    def problems(self) -> Iterator[tuple[str, str]]:
        """Deleted before anybody was warned."""
        if self.delete_after is not None and self.delete_after <= self.warn_after:
            yield "delete-after", "expected more than warn-after"


@section("Schedule")
class ScheduleSection:
    """When a client that runs (the agent) sends, and visits mailboxes."""

    points: bool = option(
        values.boolean,
        default=True,
        doc="""Whether packets leave at random points only, which have nothing to do with what is
        sent; where nothing waits a cover packet leaves.  With no they leave when they come, and who
        watches the line sees when you write.""",
    )
    slower: int = option(
        values.integer(1, 100),
        default=1,
        doc="""Points come so many times less often than those of the network's other clients: less
        traffic, longer waiting, and a rate that is yours alone.""",
    )
    visits: bool = option(
        values.boolean,
        default=True,
        doc="Whether mailboxes are visited, each at random moments.",
    )
    visit_every: float = option(
        values.within(values.duration, 60.0, 30 * DAY),
        default="1 hour",
        doc="The mean time between two visits of a mailbox.",
    )
    visit_frames: int = option(
        values.integer(1, 4096),
        default=16,
        doc="Frames of each visit, whether something is held or not.",
    )


@section("Log")
class LogSection(log_section.LogSection):
    """What the agent writes about its work: never what identifies a message or an address."""

    file: Path = option(values.path, default="agent.log", doc="The log file.")
