"""Hand-overs of messages that came in fragments: one at a time for each exit, because each is in
memory as a whole while it is handed over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override
from zope.interface import implementer

from mixminion.exits.assembly import Assembly
from mixminion.exits.joining import PartsMissing
from mixminion.exits.lane import Held, Lane, discard
from mixminion.exits.words import word
from mixminion.interfaces import IExit, Message, Outcome, OutcomeKind
from mixminion.payload.errors import BadPayload

NOT_STARTED = Outcome(OutcomeKind.UNREACHABLE, "not-started")


class Wholes(Held):
    """The complete messages of *assembly* for *exit*, each checked before its first attempt."""

    def __init__(self, assembly: Assembly, exit: IExit | None = None) -> None:
        self._assembly = assembly
        self._exit = exit
        self._checked: set[int] = set()

    @override
    async def load(self, record_id: int) -> Message | Outcome | None:
        complete = self._assembly.complete(record_id)
        if complete is None:
            return None
        try:
            message = await self._assembly.joiner.message(complete)
        except (BadPayload, PartsMissing) as error:
            return Outcome(OutcomeKind.PERMANENT, error.code)
        if self._exit is not None and record_id not in self._checked:
            refused = self._exit.check(message.recipients, message.content, False)
            if refused is not None:
                return Outcome(OutcomeKind.PERMANENT, word(refused))
            self._checked.add(record_id)
        return message

    @override
    async def discard(self, ids: list[int], outcome: Outcome | None = None) -> None:
        self._checked.difference_update(ids)
        await discard(self._assembly.finish(ids, outcome), len(ids))


@implementer(IExit)
class OneAtATime:
    """*exit* once more, for large messages; *lane* is the one that starts and stops it."""

    def __init__(self, exit: IExit, lane: Lane) -> None:
        self._exit = exit
        self._lane = lane
        self.name: str = exit.name
        self.domain: str | None = exit.domain
        self.policy = replace(exit.policy, concurrency=1)

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`."""
        described: Mapping[str, Any] = self._exit.describe()
        return described

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """See :class:`IExit`."""
        refused: str | None = self._exit.check(recipients, content, reply)
        return refused

    async def start(self) -> None:
        """The other lane does that."""

    async def stop(self) -> None:
        """The other lane does that."""

    async def deliver(self, message: Message) -> Outcome:
        """See :class:`IExit`."""
        if not self._lane.open:
            return NOT_STARTED
        outcome: Outcome = await self._exit.deliver(message)
        return outcome
