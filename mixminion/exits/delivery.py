"""The exits of a server, as the mix sees them: from opened payloads to hand-overs."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import DeferredList, ensureDeferred
from twisted.logger import Logger
from zope.interface import implementer

from mixminion.counters import Counters, Name
from mixminion.exits import record
from mixminion.exits.lane import Lane, discard
from mixminion.exits.words import word
from mixminion.interfaces import (
    Accepted,
    Clock,
    IDelivery,
    IExit,
    Message,
    Random,
    RecordStore,
)
from mixminion.payload import frame, message
from mixminion.payload.errors import BadPayload
from mixminion.util import faults

log = Logger()

DESTINATION = b"exit:"

COVER = "cover"
BAD_PAYLOAD = "bad-payload"
WRONG_KIND = "wrong-kind"
UNKNOWN_EXIT = "unknown-exit"
EXIT_FAULT = "exit-fault"

ORPHAN_EXPIRY = 5 * 86_400.0
"""Seconds after its release that a message waits for an exit that is gone."""


@implementer(IDelivery)
class Delivery:
    """One lane of hand-overs for each exit.  *host_name* is the right side of Message-IDs where an
    exit has no domain of its own."""

    def __init__(
        self,
        exits: Mapping[str, IExit],
        store: RecordStore,
        clock: Clock,
        random: Random,
        counters: Counters,
        host_name: str,
    ) -> None:
        self._random = random
        self._host_name = host_name
        self._counters = counters
        self._store = store
        self._clock = clock
        self._exits = dict(exits)
        self._lanes = {
            DESTINATION + name.encode(): Lane(exit, store, clock, random, counters)
            for name, exit in exits.items()
        }

    # -- before the pool -------------------------------------------------------------------

    def accept(self, payload: bytes, due: float) -> Accepted | str:
        """See :class:`IDelivery`."""
        try:
            opened = frame.parse(payload)
            if opened.kind is frame.Kind.COVER:
                return COVER
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
        domain = module.domain or self._host_name
        message_id = f"<{self._random.octets(16).hex()}@{domain}>"
        stored = Message(exit, recipients, content, surb_id, message_id, int(due))
        return Accepted(DESTINATION + exit.encode(), record.encode(stored, deflated))

    # -- after the pool --------------------------------------------------------------------

    def offer(self, record_id: int, destination: bytes, due: float) -> None:
        """See :class:`IDelivery`.  A message for an exit that is not configured any more stays
        stored until the exit is back, for :data:`ORPHAN_EXPIRY` at most."""
        lane = self._lanes.get(destination)
        if lane is not None:
            lane.add(record_id, due)
        elif due + ORPHAN_EXPIRY <= self._clock.seconds():
            self._counters.add(Name.EXPIRED)
            _ = ensureDeferred(discard(self._store, [record_id]))
        else:
            log.warn(
                "A stored message is for the exit {exit}, which is not configured; it waits",
                exit=destination.removeprefix(DESTINATION).decode(),
            )

    def pause(self, exit: str, paused: bool) -> None:
        """Hand nothing over by *exit* from now on, or go on; what comes for it is taken and waits.
        A :class:`KeyError` for an exit that there is not."""
        self._lanes[DESTINATION + exit.encode()].pause(paused)

    def waiting(self) -> Mapping[str, int]:
        """See :class:`IDelivery`."""
        return {lane.name: len(lane) for lane in self._lanes.values()}

    async def start(self) -> None:
        """See :class:`IDelivery`."""
        for lane in self._lanes.values():
            await lane.start()

    async def stop(self) -> None:
        """See :class:`IDelivery`."""
        await DeferredList([ensureDeferred(lane.stop()) for lane in self._lanes.values()])
