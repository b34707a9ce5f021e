"""The exit that throws away: for tests, and for traffic that shall end nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zope.interface import implementer

from mixminion.config import section
from mixminion.exits.section import ExitSection
from mixminion.interfaces import ExitEnvironment, IExit, Message, Outcome, OutcomeKind

MAX_MESSAGE = 1 << 30


@section("Exit", named=True)
class Section(ExitSection):
    """What arrives here is thrown away, and counted as delivered."""


@implementer(IExit)
class DropExit:
    """Takes everything, keeps nothing."""

    def __init__(self, name: str, section: Section) -> None:
        self.name = name
        self.policy = section.policy
        self.domain = None

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`."""
        return {"module": "drop", "max-message": MAX_MESSAGE}

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """See :class:`IExit`; recipients are ignored."""
        return "too-large" if len(content) > MAX_MESSAGE else None

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to let go of."""

    async def deliver(self, message: Message) -> Outcome:
        """It is gone."""
        return Outcome(OutcomeKind.DELIVERED, "dropped")


def make(name: str, section: Section, environment: ExitEnvironment) -> DropExit:
    """See :class:`mixminion.interfaces.IExitModule`."""
    return DropExit(name, section)
