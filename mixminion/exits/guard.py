"""What stands between the queue and every exit to mail: who must not get it does not, and who gets
it can say that he wants no more."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.exits import answers
from mixminion.exits.answers import FINAL
from mixminion.exits.blocking import Blocking, NobodyThere
from mixminion.exits.marks import Marks
from mixminion.interfaces import IExit, Message, Outcome, OutcomeKind

BLOCKED = "blocked"
REMEMBERED = 1000

_BLOCKED = Outcome(OutcomeKind.PERMANENT, BLOCKED)


@implementer(IExit)
class Guard:
    """The exit *inner*, without recipients who are blocked: neither what arrives for them is
    taken, nor what was queued for them handed over.  With *marks* each of several recipients gets
    a mail of his own."""

    def __init__(self, inner: IExit, blocking: Blocking, marks: Marks, counters: Counters) -> None:
        self.inner = inner
        self.name: str = inner.name
        self.policy = inner.policy
        self.domain: str | None = inner.domain
        self._blocking = blocking
        self._marks = marks
        self._counters = counters
        self._done: OrderedDict[str, Mapping[str, Outcome]] = OrderedDict()

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
        """See :class:`IExit`.  Each recipient is looked up right before he would get it.

        Recipients that are done with are not tried again with the others; this is kept in memory
        only.
        """
        if not (self._marks and any(map(self._entry, message.recipients))):
            return await self._deliver_together(message)
        outcomes = dict(self._done.pop(message.message_id, {}))
        for name in message.recipients:
            if name in outcomes:
                continue
            outcomes[name] = await self._deliver_one(message, name)
            if outcomes[name].kind is OutcomeKind.UNREACHABLE:
                break  # the others would wait as long for the same word
        outcome = answers.together(outcomes)
        if outcome.kind not in FINAL:
            final = {name: each for name, each in outcomes.items() if each.kind in FINAL}
            self._remember(message, final)
        return outcome

    async def _deliver_together(self, message: Message) -> Outcome:
        left = [name for name in message.recipients if not self._blocking.refuse(name)]
        gone = len(message.recipients) - len(left)
        if gone:
            self._counters.add(Name.BLOCKED, gone)
            message = replace(message, recipients=tuple(left))
        return await self._hand_over(message) if left else _BLOCKED

    async def _deliver_one(self, message: Message, name: str) -> Outcome:
        if self._blocking.refuse(name):
            self._counters.add(Name.BLOCKED)
            return _BLOCKED
        alone = replace(message, recipients=(name,))
        entry = self._entry(name)
        if entry is None:
            return await self._hand_over(alone)
        return await self._hand_over(self._marks.mark(alone, entry, self.domain or ""))

    def _entry(self, name: str) -> bytes | None:
        """The entry of an address; None for a local name or a newsgroup, who have none, though
        some look like a domain."""
        if "@" not in name:
            return None
        try:
            return self._blocking.hashed(name)
        except NobodyThere:
            return None

    async def _hand_over(self, message: Message) -> Outcome:
        outcome: Outcome = await self.inner.deliver(message)
        return outcome

    def _remember(self, message: Message, outcomes: Mapping[str, Outcome]) -> None:
        if outcomes:
            self._done[message.message_id] = outcomes
            if len(self._done) > REMEMBERED:
                self._done.popitem(last=False)
