"""The keys that every ``[Exit NAME]`` has; a module's own section class inherits them."""

from __future__ import annotations

from collections.abc import Iterator
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


def to_mail(section: Any) -> bool:
    """Whether it is the section of an exit whose messages leave as mail, under a domain."""
    return getattr(section, "domain", None) is not None
