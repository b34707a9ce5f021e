"""What an authority has to do with the others: who answers, whose clock is wrong, and sending
until something has arrived.  Nobody who does not answer keeps anybody else waiting."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median_low

from mixminion.authority.peers import Answer, NoAnswer, Peers, Refused
from mixminion.authority.tasks import Tasks
from mixminion.interfaces import Clock, Random
from mixminion.queues.backoff import Backoff

PATIENCE = 60.0
"""Seconds for one request, at most."""
EARLY = "early"
"""What an authority says whose clock has not come so far: it is asked again."""

_HARMLESS = frozenset({"late", "equivocated"})
"""Refusals that say nothing against us."""


class Contacts:
    """The *others*, by identity, reached through *peers*."""

    def __init__(
        self, *, clock: Clock, random: Random, peers: Peers, tasks: Tasks, others: Iterable[bytes]
    ) -> None:
        self.others = tuple(others)
        self.silent: dict[bytes, str] = {}  #: who did not answer the last time, and why
        self.refusing: dict[bytes, str] = {}  #: who did not take what we sent: his word
        self._ahead: dict[bytes, float] = {}
        self._clock = clock
        self._random = random
        self._peers = peers
        self._tasks = tasks

    async def get(self, peer: bytes, name: str, limit: int, seconds: float) -> bytes:
        """A document of *peer*.

        :raises NoAnswer: it did not come within *seconds*.
        """
        try:
            return self._heard(
                peer, await self._peers.get(peer, name, limit, min(seconds, PATIENCE))
            )
        except NoAnswer as error:
            self._failed(peer, error)
            raise

    def deliver(
        self, name: str, octets: bytes, until: float, length: float, to: Iterable[bytes] = ()
    ) -> None:
        """Send *octets* to all the others (or some), each until it has them or the moment has
        come; *length* is that of a round, which says how often to try."""
        for peer in to or self.others:
            _ = self._tasks.start(self._deliver(peer, name, octets, until, length))

    async def _deliver(
        self, peer: bytes, name: str, octets: bytes, until: float, length: float
    ) -> None:
        pauses = Backoff(length / 100, 2.0, length / 4)
        failures = 0
        while (left := until - self._clock.seconds()) > 0:
            try:
                seconds = min(left, length / 2, PATIENCE)
                self._heard(peer, await self._peers.post(peer, name, octets, seconds))
                self.refusing.pop(peer, None)
                return
            except Refused as error:
                self._failed(peer, error)
                word = error.fields["word"]
                if word != EARLY:
                    if word not in _HARMLESS:
                        self.refusing[peer] = word
                    return
            except NoAnswer as error:
                self._failed(peer, error)
            failures += 1
            await self._tasks.pause(min(pauses.wait(failures, self._random), left))

    def shuffled(self) -> list[bytes]:
        """The others in random order."""
        order = list(self.others)
        self._random.shuffle(order)
        return order

    # -- clocks ----------------------------------------------------------------------------------

    @property
    def ahead(self) -> float:
        """By how many seconds our clock is ahead of the middle of all clocks, ours included."""
        return -float(median_low([0.0, *self._ahead.values()]))

    def ahead_of(self, peer: bytes) -> float | None:
        """The same of another authority's; None while it has not told the time."""
        found = self._ahead.get(peer)
        return None if found is None else found + self.ahead

    def _heard(self, peer: bytes, answer: Answer) -> bytes:
        self.silent.pop(peer, None)
        if answer.ahead is not None:
            self._ahead[peer] = answer.ahead
        return answer.octets

    def _failed(self, peer: bytes, error: NoAnswer | Refused) -> None:
        ahead = error.fields.get("ahead")
        if ahead is not None:
            self._ahead[peer] = ahead
        if isinstance(error, NoAnswer) and "answered" not in error.fields:
            self.silent[peer] = error.fields["why"]
        else:
            self.silent.pop(peer, None)
