"""The sections of the configuration about what is kept, and when a running client sends."""

from __future__ import annotations

from collections.abc import Iterator

from mixminion.config import option, section, values

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
