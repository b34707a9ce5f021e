"""An exit for tests: it keeps what it is handed."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import succeed
from zope.interface import implementer

from mixminion.interfaces import DeliveryPolicy, IExit, Message, Outcome, OutcomeKind

DAY = 86_400
EXIT = "collect"


@implementer(IExit)
class Collector:
    """An exit that keeps what it is handed; ``outcome`` is what it says of the next ones."""

    name = EXIT
    domain = "mix.example"
    policy = DeliveryPolicy(concurrency=4, retry_first=60.0, retry_longest=600.0, expiry=DAY)

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.outcome = Outcome(OutcomeKind.DELIVERED, "collected")

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`."""
        return {"module": "collect", "max-message": 2**20}

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """Everything is welcome."""
        return None

    def start(self) -> Awaitable[None]:
        """Nothing to start."""
        return succeed(None)

    def stop(self) -> Awaitable[None]:
        """Nothing to stop."""
        return succeed(None)

    def deliver(self, message: Message) -> Awaitable[Outcome]:
        """Keep it, if it is to be delivered."""
        if self.outcome.kind is OutcomeKind.DELIVERED:
            self.messages.append(message)
        return succeed(self.outcome)
