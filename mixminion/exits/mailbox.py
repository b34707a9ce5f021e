"""The exit that holds: what comes for a capability stays here until its owner fetches it.

Nobody registers.  A mailbox is there by its key alone, so limits are all that keeps one, or
many that one person has filled, from taking the room of the others.  See doc/spec/mailbox.rst.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from twisted.internet.defer import DeferredLock
from typing_extensions import override
from zope.interface import implementer

from mixminion.config import option, section, values
from mixminion.exits.holdings import Holding, Holdings, Limits
from mixminion.exits.section import ExitSection
from mixminion.interfaces import ExitEnvironment, IHoldingExit, Message, Outcome, OutcomeKind
from mixminion.payload import capability
from mixminion.payload.errors import BadCapability
from mixminion.store.room import footprint

HELD = Outcome(OutcomeKind.DELIVERED, "held")

Keep = Callable[[Message], Awaitable[int]]


class NobodyKeepsError(Exception):
    """A message was to be held before there was anybody to keep it."""


@section("Exit", named=True)
class Section(ExitSection):
    """Messages and replies for people without an address: each is for a capability, a random
    public key, and is held in this server's store until whoever has the private key fetches it."""

    max_message: int = option(
        values.within(values.size, 1024, 1 << 24),
        default="1 MiB",
        doc="The longest message taken; published.",
    )
    mailbox_messages: int = option(
        values.integer(1, 100_000),
        default=1000,
        doc="How many messages are held for one capability; published.",
    )
    mailbox_limit: int = option(
        values.within(values.size, 1 << 16),
        default="16 MiB",
        doc="The room that messages for one capability may take; published.",
    )
    total_limit: int = option(
        values.within(values.size, 1 << 16),
        default="256 MiB",
        doc="""The room that all messages that are held here may take: at most half of
        store-limit, of which it is a part.  What is held is never pushed out; what comes when
        this is full is refused.""",
    )
    expiry: float = option(
        values.within(values.duration, 1.0),
        default="30 days",
        doc="After this time a message that nobody fetched is deleted; published.",
    )

    @override
    def problems(self) -> Iterator[tuple[str, str]]:
        """What only several keys together show."""
        yield from ExitSection.problems(self)
        if self.mailbox_limit < footprint(self.max_message):
            yield "mailbox-limit", "expected more than max-message"
        if self.total_limit < self.mailbox_limit:
            yield "total-limit", "expected at least mailbox-limit"


@implementer(IHoldingExit)
class MailboxExit:
    """All mailboxes under one delivery name."""

    def __init__(self, name: str, section: Section) -> None:
        self.name = name
        self.policy = section.policy
        self.domain = None
        self._section = section
        self._holdings = Holdings(
            Limits(
                section.mailbox_messages, section.mailbox_limit, section.total_limit, section.expiry
            )
        )
        self._keep: Keep = _nobody
        self._one = DeferredLock()

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`; ``expiry`` is in seconds."""
        return {
            "module": "mailbox",
            "max-message": self._section.max_message,
            "max-recipients": 1,
            "mailbox-messages": self._section.mailbox_messages,
            "mailbox-limit": self._section.mailbox_limit,
            "expiry": int(self._section.expiry),
        }

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """See :class:`IExit`."""
        if len(content) > self._section.max_message:
            return "too-large"
        if not recipients:
            return "no-recipient"
        if len(recipients) > 1:
            return "too-many-recipients"
        try:
            key = capability.parse(recipients[0])
        except BadCapability:
            return BadCapability.code
        return self._holdings.refusal(key, footprint(len(content)))

    async def start(self) -> None:
        """Nothing to get ready."""

    async def stop(self) -> None:
        """Nothing to let go of."""

    def keep_with(self, keep: Keep) -> None:
        """See :class:`IHoldingExit`."""
        self._keep = keep

    async def deliver(self, message: Message) -> Outcome:
        """Have it kept.  One after the other, so that each counts before the next."""
        holding = _holding(message)
        if holding is None:
            return Outcome(OutcomeKind.PERMANENT, BadCapability.code)
        async with self._one:
            if self._holdings.has(message.message_id):  # from before a crash
                return HELD
            full = self._holdings.refusal(holding.capability, holding.octets)
            if full is not None:
                return Outcome(OutcomeKind.PERMANENT, full)
            self._holdings.add(await self._keep(message), holding)
        return HELD

    def hold_again(self, item: int, message: Message) -> bool:
        """See :class:`IHoldingExit`."""
        holding = _holding(message)
        return holding is not None and self._holdings.add(item, holding)

    # -- what is held ------------------------------------------------------------------------

    def held(self, capability: bytes) -> Sequence[tuple[int, int]]:
        """See :class:`IHoldingExit`."""
        return self._holdings.of(capability)

    def let_go(self, item: int) -> None:
        """See :class:`IHoldingExit`."""
        self._holdings.remove(item)

    def expire(self, now: float) -> Sequence[int]:
        """See :class:`IHoldingExit`."""
        return self._holdings.expire(now)

    def __len__(self) -> int:
        """See :class:`IHoldingExit`."""
        return len(self._holdings)


def _holding(message: Message) -> Holding | None:
    """Whose a message is; None when it is for no capability."""
    try:
        [recipient] = message.recipients
        key = capability.parse(recipient)
    except (ValueError, BadCapability):
        return None
    return Holding(key, message.message_id, footprint(len(message.content)), message.date)


async def _nobody(message: Message) -> int:
    raise NobodyKeepsError


def make(name: str, section: Section, environment: ExitEnvironment) -> MailboxExit:
    """See :class:`mixminion.interfaces.IExitModule`."""
    return MailboxExit(name, section)
