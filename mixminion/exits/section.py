"""The keys that every ``[Exit NAME]`` has; a module's own section class inherits them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mixminion.config import option, section, values
from mixminion.interfaces import DeliveryPolicy


@section("Exit", named=True)
class ExitSection:
    """One exit of this server, under the name that senders write.  Nothing leaves here
    unless a section says so."""

    module: str = option(values.text, doc="The module that hands over, such as smtp or drop.")
    concurrency: int = option(
        values.integer(1, 200), default=4, doc="How many messages are handed over at once."
    )
    retry_first: float = option(
        values.within(values.duration, 1.0),
        default="5 minutes",
        doc="""The pause after a first temporary failure, of one message or of the far
        side as a whole; it doubles with each further one.""",
    )
    retry_longest: float = option(
        values.within(values.duration, 1.0), default="4 hours", doc="The longest such pause."
    )
    expiry: float = option(
        values.within(values.duration, 1.0),
        default="5 days",
        doc="""After this time a message that could not be handed over is deleted.""",
    )

    @property
    def policy(self) -> DeliveryPolicy:
        """The keys above as one value."""
        return DeliveryPolicy(self.concurrency, self.retry_first, self.retry_longest, self.expiry)

    def problems(self) -> Iterator[tuple[str, str]]:
        """What only several keys together show."""
        if self.retry_longest < self.retry_first:
            yield "retry-longest", "expected at least retry-first"


@section("Fragments")
class FragmentsSection:
    """How much this server keeps of messages that come in fragments, for all its exits, until
    they are complete.  The space is that of the store."""

    max_message: int = option(
        values.within(values.size, 32 * 2**10, 2**30),
        default="32 MiB",
        doc="""The longest message that is put together, in octets of content; an exit that takes
        less says so itself.  The server needs that much memory for each exit.""",
    )
    room: int = option(
        values.within(values.size, 2**20),
        default="256 MiB",
        doc="""What fragments of incomplete messages may take of the store; others are dropped.""",
    )
    max_incomplete: int = option(
        values.integer(1, 1_000_000),
        default=1000,
        doc="How many messages may be incomplete at a time; fragments of others are dropped.",
    )
    expiry: float = option(
        values.within(values.duration, 60.0),
        default="5 days",
        doc="""After this time an incomplete message is deleted.  For as long it is remembered which
        messages were handed over, so that a copy that comes late is not handed over again.""",
    )

    def published(self, description: Mapping[str, Any]) -> Mapping[str, Any]:
        """What an exit says of itself, with what this says of its messages."""
        largest = min(description["max-message"], self.max_message)
        words = {"fragments": int(self.expiry), "receipts": True}
        return {**description, "max-message": largest, **words}


def to_mail(section: Any) -> bool:
    """Whether it is the section of an exit whose messages leave as mail, under a domain."""
    return getattr(section, "domain", None) is not None
