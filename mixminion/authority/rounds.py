"""The authority's rounds: one consensus after the other, for as long as it runs.

Each instant has a poll (:mod:`mixminion.authority.poll`) and a signing
(:mod:`mixminion.authority.signing`); the next one is planned when the last poll has closed, so
that two of them may be under way: votes for the next consensus, late signatures for this one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from mixminion.authority.archive import Archive
from mixminion.authority.ballots import Ballot, NotABallot
from mixminion.authority.bulletin import Bulletin
from mixminion.authority.conduct import Conduct, Misdeed
from mixminion.authority.contacts import Contacts
from mixminion.authority.holdings import Descriptors, Holdings
from mixminion.authority.instant import Instant, Phase
from mixminion.authority.office import MakeVote, Office
from mixminion.authority.peers import Peers
from mixminion.authority.poll import Poll
from mixminion.authority.schedule import Schedule, following
from mixminion.authority.signatures import Collection
from mixminion.authority.signing import Signing
from mixminion.authority.succession import Publish, Succession
from mixminion.authority.tasks import Tasks
from mixminion.directory.consensus import Consensus
from mixminion.directory.detached import Detached
from mixminion.directory.envelope import Signer
from mixminion.directory.errors import BadDocument, NewerDocument
from mixminion.directory.parameters import Parameters
from mixminion.dirhttp.cache import InThread, inline
from mixminion.interfaces import Clock, Random

log = Logger()

TOLERANCE = 2.0
"""Seconds by which a clock may be off before its authority is named, at least."""


class Rounds:
    """The authority of *identity* among *authorities* (raw identity keys, its own too), which
    signs with *me*.

    *make_vote* makes its votes, *descriptors* keeps what votes name, *publish* takes consensuses
    that enough have signed, at their valid-after and again when they gain signatures.
    *parameters* are its configuration's, for as long as no consensus says when the next one is.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        me: Signer,
        identity: bytes,
        authorities: Sequence[bytes],
        peers: Peers,
        archive: Archive,
        make_vote: MakeVote,
        descriptors: Descriptors,
        publish: Publish,
        parameters: Parameters,
        in_thread: InThread = inline,
    ) -> None:
        everybody = tuple(dict.fromkeys(authorities))
        tasks = Tasks(clock)
        self.office = Office(
            clock=clock,
            random=random,
            me=me,
            identity=identity,
            authorities=everybody,
            contacts=Contacts(
                clock=clock,
                random=random,
                peers=peers,
                tasks=tasks,
                others=[each for each in everybody if each != identity],
            ),
            archive=archive,
            holdings=Holdings(descriptors),
            conduct=Conduct(everybody),
            tasks=tasks,
            make_vote=make_vote,
            in_thread=in_thread,
        )
        self._parameters = parameters
        self.succession = Succession(self.office, publish, self._plan)
        self.bulletin = Bulletin(self.office)
        self.instants: dict[int, Instant] = {}
        self._current: Instant | None = None

    # -- starting and stopping -------------------------------------------------------------------

    def start(self) -> None:
        """Go on where a stop or a crash left off, whatever it was."""
        self.bulletin.load()
        self.succession.load()
        self._plan()
        current = self._current
        assert current is not None
        before = replace(
            current.schedule, valid_after=current.schedule.valid_after - current.schedule.interval
        )
        fresh_until = before.valid_after + self.parameters.consensus_fresh
        kept = self.office.archive.has(before.valid_after, "vote")
        if kept and before.closes <= self.office.now < fresh_until:
            self._open(before)
        _ = self.office.tasks.start(self._catch_up())

    def stop(self) -> Deferred[None]:
        """Do nothing any more; what matters is on the disk."""
        self.office.tasks.end()
        return succeed(None)

    # -- what others send and ask for ------------------------------------------------------------

    def offered(self, octets: bytes) -> str | None:
        """A vote in its envelope: None, or a word that says why it is not taken."""
        word = self._offered(octets)
        self.bulletin.count(word)
        return word

    def _offered(self, octets: bytes) -> str | None:
        current = self._current
        if current is None:
            return "early"
        at = current.poll.valid_after
        try:
            ballot = Ballot.read(octets, self.office.authorities, at, self._known)
        except NotABallot as error:
            return current.poll.exchange.refused(error)
        instant = self.instants.get(ballot.vote.valid_after, current)
        word = instant.poll.receive(ballot)
        return "early" if ballot.vote.valid_after > at else word

    def _known(self, digest: bytes) -> Ballot | None:
        found = (each.poll.exchange.known(digest) for each in self.instants.values())
        return next((each for each in found if each is not None), None)

    def signatures_offered(self, octets: bytes) -> str | None:
        """Detached signatures: None, or a word that says why they are not taken."""
        word = self._signatures_offered(octets)
        self.bulletin.count(word)
        return word

    def _signatures_offered(self, octets: bytes) -> str | None:
        try:
            detached = Detached.read(octets)
        except (BadDocument, NewerDocument):
            return "malformed"
        instant = self.instants.get(detached.valid_after)
        if instant is None:
            ahead = self._current is None or detached.valid_after > self._current.poll.valid_after
            return "early" if ahead else "late"
        return instant.signing.offered(detached)

    def vote(self, valid_after: int, identity: bytes) -> bytes | None:
        """The vote of an authority that was taken for an instant, in its envelope."""
        instant = self.instants.get(valid_after)
        if instant is None:
            return self.office.archive.vote(valid_after, identity)
        return instant.poll.served(identity)

    def signatures(self, valid_after: int) -> bytes | None:
        """The signatures on an instant's consensus: ours, or what a majority signed instead."""
        latest, instant = self.succession.latest, self.instants.get(valid_after)
        ours = None if instant is None else instant.signing.collection
        other = (
            latest is not None
            and latest.consensus.valid_after == valid_after
            and (ours is None or latest.digest != ours.digest)
        )
        if ours is not None and not other:
            return ours.detached()
        octets = self.office.archive.consensus(valid_after)
        try:
            return octets and Collection.read(octets, self.office.authorities).detached()
        except (BadDocument, NewerDocument):
            return None

    def evidence(self, valid_after: int, identity: bytes) -> bytes | None:
        """Two votes of one authority for an instant, an array of their envelopes."""
        return self.office.archive.evidence(valid_after, identity)

    def descriptor(self, digest: bytes) -> bytes | None:
        """A descriptor that votes name, in the envelope that our countersignature vouches for."""
        return self.office.holdings.descriptor(digest)

    def status(self) -> Mapping[str, Any]:
        """JSON values for the operator."""
        return self.bulletin.status(self.succession.latest, self._current, self.instants.values())

    # -- one instant after the other -------------------------------------------------------------

    @property
    def parameters(self) -> Parameters:
        """The network's, or those of the configuration before there is a consensus."""
        latest = self.succession.latest
        return self._parameters if latest is None else latest.consensus.parameters

    def _plan(self) -> None:
        """Take up the next instant, unless it has been, or the last one's poll is not over."""
        office, latest = self.office, self.succession.latest
        schedule = following(
            office.now,
            self.parameters.consensus_interval,
            len(office.authorities),
            None if latest is None else latest.consensus.valid_after,
        )
        current = self._current
        if current is not None:
            if current.schedule == schedule or current.phase is Phase.VOTING:
                return
            if current.phase is Phase.WAITING:
                current.dropped = True
                self.instants.pop(current.schedule.valid_after, None)
        self._current = self._open(schedule)

    def _open(self, schedule: Schedule) -> Instant:
        valid_after = schedule.valid_after
        poll = Poll(self.office, schedule, lambda: self.succession.latest)
        signing = Signing(
            self.office,
            poll,
            fresh_until=valid_after + self.parameters.consensus_fresh,
            previous=self._previous,
            gained=lambda: self._settle(valid_after),
        )
        instant = self.instants[valid_after] = Instant(schedule, poll, signing)
        _ = self.office.tasks.start(self._run(instant))
        return instant

    async def _run(self, instant: Instant) -> None:
        """One instant from beginning to end, or what is left of it."""
        office, schedule = self.office, instant.schedule
        poll, signing = instant.poll, instant.signing
        await office.tasks.until(schedule.begins - 1.5 * schedule.length)
        if office.now < schedule.begins and not instant.dropped:
            _ = office.tasks.start(self._catch_up())
        await office.tasks.until(schedule.begins)
        if instant.dropped:
            return
        instant.phase = Phase.VOTING
        judged = self.bulletin.reported(schedule.valid_after)
        await poll.run()
        instant.phase = Phase.SIGNING
        if not judged:
            poll.judge()
            self._clocks(schedule)
        self._plan()
        _ = office.tasks.start(signing.collect(self._fetch))
        await signing.make()
        self.bulletin.report(poll, signing)
        early = office.now < schedule.valid_after
        await office.tasks.until(schedule.valid_after)
        instant.phase = Phase.COLLECTING
        if early:
            signing.due()
        self._settle(schedule.valid_after)
        self.bulletin.report(poll, signing)
        await office.tasks.until(schedule.valid_after + 2 * schedule.length)
        await self._catch_up()
        await office.tasks.until(signing.fresh_until)
        self.bulletin.report(poll, signing)
        self.instants.pop(schedule.valid_after, None)
        wanted = {digest for each in self.instants.values() for digest in each.poll.named}
        office.holdings.tidy(wanted | poll.named)

    def _settle(self, valid_after: int) -> None:
        """Publish our consensus as soon as it is time and enough have signed it."""
        instant = self.instants.get(valid_after)
        collection = None if instant is None else instant.signing.collection
        if instant is None or collection is None or self.office.now < valid_after:
            return
        wanted = {period.keys for period in collection.consensus.key_periods}
        signed = collection.signed()
        if signed is not None and {*instant.signing.keys} >= wanted:
            self.succession.offer(signed, instant.signing.keys)

    async def _previous(self, digest: bytes) -> Consensus | None:
        """The consensus of that digest, from others if it is not held."""
        found = self.succession.find(digest)
        if found is None:
            length = self._current.schedule.length if self._current is not None else 0.0
            now = math.ceil(self.office.now)
            await self.succession.fetch(self.office.contacts.shuffled(), now, length / 16)
            found = self.succession.find(digest)
        return found

    def _fetch(self, peer: bytes) -> None:
        _ = self.office.tasks.start(self.succession.fetch_from(peer))

    async def _catch_up(self) -> None:
        """Fetch what was missed, if anything was."""
        interval = self.parameters.consensus_interval
        due = math.floor(self.office.now / interval) * interval
        latest = self.succession.latest
        if latest is None or latest.consensus.valid_after < due:
            length = Schedule(due, interval, len(self.office.authorities)).length
            await self.succession.fetch(self.office.contacts.shuffled(), due, length / 16)

    def _clocks(self, schedule: Schedule) -> None:
        """Name those whose clock is off, ourselves too, by the middle of all clocks."""
        office, contacts = self.office, self.office.contacts
        off = {peer: contacts.ahead_of(peer) for peer in contacts.others}
        for who, ahead in {**off, office.identity: contacts.ahead}.items():
            if ahead is not None and abs(ahead) > max(TOLERANCE, schedule.length / 4):
                detail = f"{abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"
                office.conduct.note(who, schedule.valid_after, Misdeed.CLOCK, detail)
