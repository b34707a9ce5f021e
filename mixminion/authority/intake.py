"""Taking descriptors in: rules, each with its own refusal, and a receipt for every server.

Rules are in the order in which an operator should hear of them.  A descriptor that is refused
leaves what was held before as it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

from twisted.internet.defer import DeferredLock

from mixminion.authority import admission
from mixminion.authority.admission import Standing, exit_from, standing
from mixminion.authority.config import Settings
from mixminion.authority.periods import periods
from mixminion.authority.records import Decision, Described, Record
from mixminion.authority.refusals import (
    Early,
    Ended,
    FromTheFuture,
    KeysChanged,
    NameTaken,
    NetworkFull,
    NoExitYet,
    NoKeys,
    NoProtocol,
    NotReachable,
    NotSigned,
    Older,
    OperatorFull,
    OtherName,
    QueueFull,
    Refused,
    Restored,
    TurnedAway,
    TwoDescriptors,
)
from mixminion.authority.register import Register
from mixminion.directory.consensus import Consensus
from mixminion.directory.descriptor import PROTOCOLS
from mixminion.directory.errors import BadSignature
from mixminion.directory.receipt import State
from mixminion.directory.vote import VotedPeriod
from mixminion.errors import render
from mixminion.interfaces import Clock
from mixminion.util.times import to_text

CLOCK = 300.0
"""Seconds that a server's clock may be ahead."""
REMEMBERED = 4096
"""Refusals of signed descriptors that are kept for who asks."""


@dataclass(frozen=True, slots=True)
class Case:
    """A descriptor to be judged, and all that its rules look at."""

    described: Described
    known: Record | None
    register: Register
    settings: Settings
    now: float
    periods: tuple[VotedPeriod, ...]  #: that this authority votes for now

    @property
    def held(self) -> Described | None:
        """The one that is held of this server."""
        return None if self.known is None else self.known.described

    def others(self) -> Iterator[tuple[Record, Described]]:
        """All other servers that take a place of their operator and network."""
        for record in self.register.records.values():
            away = record.decision in (Decision.BANNED, Decision.REJECTED)
            other = record.identity != self.described.said.identity
            if other and not away and record.described is not None:
                yield record, record.described


def _turned_away(case: Case) -> None:
    found = standing(case.known, case.settings, case.now)
    if found.state in (State.BANNED, State.REFUSED):
        raise TurnedAway(reason=found.reason)


def _clock(case: Case) -> None:
    ahead = case.described.said.published - case.now
    if ahead > CLOCK:
        raise FromTheFuture(minutes=int(ahead // 60))


def _name(case: Case) -> None:
    said = case.described.said
    if case.known is not None and case.known.nickname not in (None, said.nickname):
        raise OtherName(name=case.known.nickname)
    owner = case.register.by_name(said.nickname)
    if owner is not None and owner.identity != said.identity:
        raise NameTaken(name=said.nickname, identity=owner.identity.hex()[:8])


def _succession(case: Case) -> None:
    held, new = case.held, case.described
    if held is None or held.digest == new.digest:
        return
    if new.said.start < held.said.start:
        raise Restored(start=new.said.start, known=held.said.start)
    if new.said.start > held.said.start:
        return
    if new.said.published < held.said.published:
        raise Older(published=to_text(new.said.published), held=to_text(held.said.published))
    for period in sorted(held.keys.keys() & new.keys.keys()):
        if held.keys[period] != new.keys[period] and not _moved(case, period):
            raise KeysChanged(period=period)
    if new.said.published == held.said.published:
        raise TwoDescriptors(published=to_text(new.said.published))


def _moved(case: Case, period: int) -> bool:
    """Whether the network gave a period that has not begun another suite, for which servers have
    to make another key."""
    held, new = case.held, case.described
    ahead = any(each.number == period and case.now < each.begins for each in case.periods)
    return ahead and held is not None and held.keys[period][0] != new.keys[period][0]


def _protocol(case: Case) -> None:
    if PROTOCOLS[0] not in case.described.said.protocols:
        raise NoProtocol(protocol=PROTOCOLS[0])


def _packet_keys(case: Case) -> None:
    for period in case.periods:
        suite, _ = case.described.keys.get(period.number, ("", b""))
        if suite == period.geometry.suite:
            return
    current = case.periods[0]
    raise NoKeys(suite=current.geometry.suite, period=current.number)


def _addresses(case: Case) -> None:
    if not case.settings.network.test_network:
        for place in case.described.hidden():
            raise NotReachable(address=place)


def _caps(case: Case) -> None:
    """Caps count for what is new of a server: one that was taken in stays in."""
    operators = set(case.described.operators()) - set(case.held.operators() if case.held else ())
    networks = set(case.described.networks()) - set(case.held.networks() if case.held else ())
    limits = case.settings.admission
    for operator in sorted(operators):
        count = sum(operator in other.operators() for _, other in case.others())
        if count >= limits.servers_per_operator:
            raise OperatorFull(operator=operator, most=limits.servers_per_operator)
    for network in sorted(networks):
        count = sum(network in other.networks() for _, other in case.others())
        if count >= limits.servers_per_network:
            raise NetworkFull(network=network, most=limits.servers_per_network)


def _queue(case: Case) -> None:
    if case.known is not None:
        return
    most = case.settings.admission.most_waiting
    new = (r for r, _ in case.others() if r.first_listed is None and r.decision is Decision.NONE)
    if sum(1 for _ in new) >= most:
        raise QueueFull(most=most)


def _exits(case: Case) -> None:
    exits = case.described.exits
    if not exits:
        return
    begins = exit_from(case.known, case.settings.admission)
    if begins is None:
        days = case.settings.admission.exit_waiting_time / 86_400
        when = f"until it has been listed for {days:g} days"
    elif case.now < begins:
        when = f"until {to_text(begins)}"
    else:
        return
    raise NoExitYet(exits=", ".join(exits), when=when)


RULES: tuple[Callable[[Case], None], ...] = (
    _turned_away,
    _clock,
    _name,
    _succession,
    _protocol,
    _packet_keys,
    _addresses,
    _caps,
    _queue,
    _exits,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a descriptor: *refusal* is None where it was taken."""

    identity: bytes
    nickname: str
    digest: bytes
    refusal: Refused | None

    @classmethod
    def of(cls, described: Described, refusal: Refused | None = None) -> Self:
        """Of that descriptor."""
        said = described.said
        return cls(said.identity, said.nickname, described.digest, refusal)


class Intake:
    """Judges descriptors and keeps those that pass, one after the other.

    *settings* is asked each time: they change while an authority runs.  *latest* gives the newest
    consensus.  *taken* hears of every descriptor that is new, after it is on the disk.
    """

    def __init__(
        self,
        clock: Clock,
        register: Register,
        settings: Callable[[], Settings],
        taken: Callable[[Record], object] = lambda record: None,
        latest: Callable[[], Consensus | None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._register = register
        self._settings = settings
        self._taken = taken
        self._latest = latest
        self._turn = DeferredLock()
        self._refusals: OrderedDict[bytes, Judged] = OrderedDict()

    async def offer(self, octets: bytes) -> Judged:
        """Take a descriptor in, or say why not.

        :raises PeerError: the octets are no descriptor at all.
        :raises RegisterUnusable: it could not be stored.
        """
        now = self._clock.seconds()
        described, refusal = self._verify(octets, now)
        if refusal is not None:  # anybody can have made it: nothing is remembered
            return Judged.of(described, refusal)
        await self._turn.acquire()
        try:
            judged = self._judge(described, now)
            self._remember(judged)
            if judged.refusal is None:
                await self._store(described, octets)
        finally:
            self._turn.release()
        return judged

    def standing(self, identity: bytes) -> tuple[Standing, Record | None]:
        """Where that server stands now, as its operator should hear it."""
        record = self._register.records.get(identity)
        found = standing(record, self._settings(), self._clock.seconds())
        refused = self._refusals.get(identity)
        if found is admission.UNKNOWN and refused is not None and refused.refusal is not None:
            found = Standing(State.REFUSED, render(refused.refusal))
        return found, record

    @property
    def refused(self) -> list[Judged]:
        """Servers whose last descriptor was refused, the newest last."""
        return list(self._refusals.values())

    def _verify(self, octets: bytes, now: float) -> tuple[Described, Refused | None]:
        try:
            return Described.read(octets, now), None
        except BadSignature as error:
            described = Described.stored(octets)
            try:  # at a time when it is valid, if there is one
                Described.read(octets, described.begins)
            except BadSignature:
                return described, NotSigned(problem=error.fields["problem"])
            if now < described.begins:
                return described, Early(begins=to_text(described.begins))
            return described, Ended(ended=to_text(described.ends))

    def _judge(self, described: Described, now: float) -> Judged:
        known = self._register.records.get(described.said.identity)
        settings = self._settings()
        listed = periods(settings.network, int(now), self._latest())
        case = Case(described, known, self._register, settings, now, listed)
        try:
            for rule in RULES:
                rule(case)
        except Refused as refusal:
            return Judged.of(described, refusal)
        return Judged.of(described)

    def _remember(self, judged: Judged) -> None:
        self._refusals.pop(judged.identity, None)
        if judged.refusal is not None:
            self._refusals[judged.identity] = judged
            if len(self._refusals) > REMEMBERED:
                self._refusals.popitem(last=False)

    async def _store(self, described: Described, octets: bytes) -> None:
        held = self._register.records.get(described.said.identity)
        if held is None or held.described is None or held.described.digest != described.digest:
            self._taken(await self._register.describe(described, octets))
