"""What stands between the queue and every exit to mail: who must not get it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.exits.blocking import Blocking
from mixminion.interfaces import IExit, Message, Outcome, OutcomeKind

BLOCKED = "blocked"

_BLOCKED = Outcome(OutcomeKind.PERMANENT, BLOCKED)


@implementer(IExit)
class Guard:
    """The exit *inner*, without recipients who are blocked: neither what arrives for them is
    taken, nor what was queued for them handed over."""

    def __init__(self, inner: IExit, blocking: Blocking, counters: Counters) -> None:
        self.inner = inner
        self.name: str = inner.name
        self.policy = inner.policy
        self.domain: str | None = inner.domain
        self._blocking = blocking
        self._counters = counters

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`."""
        described: Mapping[str, Any] = self.inner.describe()
        return described

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """See :class:`IExit`; ``blocked`` when nobody is left."""
        if recipients and all(map(self._blocking.refuse, recipients)):
            self._counters.add(Name.BLOCKED, len(recipients))
            return BLOCKED
        refused: str | None = self.inner.check(recipients, content, reply)
        return refused

    async def start(self) -> None:
        """See :class:`IExit`."""
        await self.inner.start()

    async def stop(self) -> None:
        """See :class:`IExit`."""
        await self.inner.stop()

    async def deliver(self, message: Message) -> Outcome:
        """See :class:`IExit`.  Each recipient is looked up right before he would get it."""
        left = [name for name in message.recipients if not self._blocking.refuse(name)]
        gone = len(message.recipients) - len(left)
        if not gone:
            return await self._hand_over(message)
        self._counters.add(Name.BLOCKED, gone)
        if not left:
            return _BLOCKED
        return await self._hand_over(replace(message, recipients=tuple(left)))

    async def _hand_over(self, message: Message) -> Outcome:
        outcome: Outcome = await self.inner.deliver(message)
        return outcome
