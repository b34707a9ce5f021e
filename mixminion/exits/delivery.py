"""The exits of a server, as the mix sees them: from opened payloads to hand-overs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import DeferredList, ensureDeferred
from twisted.logger import Logger
from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.exits import record
from mixminion.exits.assembly import Assembly, PartStore
from mixminion.exits.lane import Held, Lane, Records
from mixminion.exits.mailboxes import Mailboxes
from mixminion.exits.section import FragmentsSection
from mixminion.exits.tally import Tally
from mixminion.exits.wholes import OneAtATime, Wholes
from mixminion.exits.words import word
from mixminion.interfaces import (
    Accepted,
    Clock,
    IDelivery,
    IExit,
    IHoldingExit,
    IMailboxes,
    IReceiptSender,
    Message,
    Random,
)
from mixminion.payload import frame, message
from mixminion.payload.errors import BadPayload
from mixminion.util import faults

log = Logger()

DESTINATION = b"exit:"
PARTS = DESTINATION + b"#"

COVER = "cover"
BAD_PAYLOAD = "bad-payload"
WRONG_KIND = "wrong-kind"
UNKNOWN_EXIT = "unknown-exit"
EXIT_FAULT = "exit-fault"

ORPHAN_EXPIRY = 5 * 86_400.0
"""Seconds after its release that a message waits for an exit that is gone."""


@implementer(IDelivery)
class Delivery:
    """For each exit one lane of hand-overs, and one more for messages that came in fragments,
    which are taken as *fragments* says (None: as is usual).  *host_name* is the right side of
    Message-IDs where an exit has no domain of its own."""

    def __init__(
        self,
        exits: Mapping[str, IExit],
        store: PartStore,
        clock: Clock,
        random: Random,
        counters: Counters,
        host_name: str,
        fragments: FragmentsSection | None = None,
    ) -> None:
        self._random = random
        self._host_name = host_name
        self._counters = counters
        self._clock = clock
        self._exits = dict(exits)
        self._records = Records(store)
        self._assembly = Assembly(
            fragments or FragmentsSection(),
            store,
            clock,
            counters,
            self._message_id,
            self._offer_whole,
        )
        self._tallies: dict[str, Tally] = {}
        holding = {name: exit for name, exit in exits.items() if IHoldingExit.providedBy(exit)}
        self._mailboxes = Mailboxes(holding, store, clock, counters)
        self.mailboxes: IMailboxes | None = self._mailboxes if holding else None
        self._lanes: dict[bytes, Lane] = {}
        self._whole_lanes: dict[str, Lane] = {}
        for name, exit in exits.items():
            tally = self._tallies[name] = Tally()
            lane = Lane(exit, self._records, clock, random, counters, tally)
            self._lanes[DESTINATION + name.encode()] = lane
            self._whole_lanes[name] = Lane(
                OneAtATime(exit, lane), Wholes(self._assembly, exit), clock, random, counters, tally
            )

    def answer_by(self, sender: IReceiptSender) -> None:
        """See :class:`IDelivery`."""
        self._assembly.answering.sender = sender

    # -- before the pool -------------------------------------------------------------------

    def accept(self, payload: bytes, due: float) -> Accepted | str:
        """See :class:`IDelivery`."""
        try:
            opened = frame.parse(payload)
            if opened.kind is frame.Kind.COVER:
                return COVER
            if opened.kind is frame.Kind.FRAGMENT:
                return self._assembly.accept(opened.content) if self._exits else UNKNOWN_EXIT
            if opened.kind not in (frame.Kind.MESSAGE, frame.Kind.DEFLATED):
                return WRONG_KIND
            deflated = opened.content if opened.kind is frame.Kind.DEFLATED else None
            octets = opened.content if deflated is None else message.expand(deflated)
            exit, recipients, content = message.parse(octets)
        except BadPayload:
            return BAD_PAYLOAD
        return self._accept(exit, recipients, content, None, due, deflated)

    def accept_reply(
        self, surb_id: bytes, exit: str, address: str, payload: bytes, due: float
    ) -> Accepted | str:
        """See :class:`IDelivery`."""
        return self._accept(exit, (address,), payload, surb_id, due)

    def _accept(
        self,
        exit: str,
        recipients: tuple[str, ...],
        content: bytes,
        surb_id: bytes | None,
        due: float,
        deflated: bytes | None = None,
    ) -> Accepted | str:
        module = self._exits.get(exit)
        if module is None:
            return UNKNOWN_EXIT
        try:
            refused = module.check(recipients, content, surb_id is not None)
        except Exception as error:
            log.error(
                "The exit {exit} could not check a message: {report}",
                exit=exit,
                report=faults.report(error),
            )
            return EXIT_FAULT
        if refused is not None:
            return word(refused)
        # The moment of release, never of arrival: it is what the world may know.
        message_id = self._message_id(exit)
        stored = Message(exit, recipients, content, surb_id, message_id, int(due))
        return Accepted(DESTINATION + exit.encode(), record.encode(stored, deflated))

    def _message_id(self, exit: str, unique: bytes = b"") -> str:
        module = self._exits.get(exit)
        domain = (module and module.domain) or self._host_name
        return f"<{(unique or self._random.octets(16)).hex()}@{domain}>"

    # -- after the pool --------------------------------------------------------------------

    async def recall(self, entries: Sequence[tuple[int, bytes, float]]) -> set[int]:
        """See :class:`IDelivery`."""
        return self._mailboxes.recall(entries) | await self._assembly.recall(entries)

    def offer(self, record_id: int, destination: bytes, due: float) -> None:
        """See :class:`IDelivery`.  A message for an exit that is not configured any more stays
        stored until the exit is back, for :data:`ORPHAN_EXPIRY` at most."""
        if destination.startswith(PARTS):
            self._assembly.offer(record_id, destination, due)
        else:
            exit = destination.removeprefix(DESTINATION).decode()
            self._queue(self._lanes.get(destination), self._records, exit, record_id, due)

    def _offer_whole(self, record_id: int, exit: str, due: float) -> None:
        lane = self._whole_lanes.get(exit)
        self._queue(lane, Wholes(self._assembly), exit, record_id, due)

    def _queue(self, lane: Lane | None, held: Held, exit: str, record_id: int, due: float) -> None:
        if lane is not None:
            lane.add(record_id, due)
        elif due + ORPHAN_EXPIRY <= self._clock.seconds():
            self._counters.add(Name.EXPIRED)
            _ = ensureDeferred(held.discard([record_id]))
        else:
            log.warn(
                "A stored message is for the exit {exit}, which is not configured; it waits",
                exit=exit,
            )

    def pause(self, exit: str, paused: bool) -> None:
        """Hand nothing over by *exit* from now on, or go on; what comes for it is taken and waits.
        A :class:`KeyError` for an exit that there is not."""
        for lane in (self._lanes[DESTINATION + exit.encode()], self._whole_lanes[exit]):
            lane.pause(paused)

    def waiting(self) -> Mapping[str, int]:
        """See :class:`IDelivery`."""
        return {
            lane.name: len(lane) + len(self._whole_lanes[lane.name])
            for lane in self._lanes.values()
        }

    def tallies(self) -> Mapping[str, Mapping[str, int]]:
        """See :class:`IDelivery`."""
        return {name: tally.snapshot() for name, tally in self._tallies.items()}

    def incomplete(self) -> int:
        """See :class:`IDelivery`."""
        return len(self._assembly)

    def held(self) -> int:
        """See :class:`IDelivery`."""
        return len(self._mailboxes)

    async def start(self) -> None:
        """See :class:`IDelivery`."""
        self._mailboxes.start()
        for lanes in (self._lanes.values(), self._whole_lanes.values()):
            await DeferredList([ensureDeferred(lane.start()) for lane in lanes])

    async def stop(self) -> None:
        """See :class:`IDelivery`."""
        self._assembly.stop()
        lanes = (*self._lanes.values(), *self._whole_lanes.values())
        await DeferredList([ensureDeferred(lane.stop()) for lane in lanes])
        await self._mailboxes.stop()
