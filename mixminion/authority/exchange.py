"""The exchange of votes: interactive consistency with signatures.

After D. Dolev and H. R. Strong, "Authenticated algorithms for Byzantine agreement", SIAM Journal
on Computing 12 (1983): f + 1 rounds, one instance for each author, all at once.  In round r an
author's vote is taken only with the signatures of r authorities, his own among them; whoever
takes one before the last round signs it too and passes it on at once.  Whatever up to f bad
authorities do, all honest ones end with the same verdict on each author, as long as what one of
them sends, and the descriptors it names, are with every other within a round of his clock.

The machine opens nothing: octets and clock readings go in, actions come out.  Of an author it
keeps two payloads at most, and two of them are all it takes to convict him.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mixminion.authority.ballots import Ballot, NotABallot
from mixminion.authority.schedule import Schedule
from mixminion.directory.envelope import Signer

MOST = 2
"""Payloads of one author."""


class Verdict(StrEnum):
    """What came of one author's vote."""

    VOTED = "voted"  #: it counts
    ABSENT = "absent"
    OTHER_INSTANT = "other-instant"  #: it voted for another one: its clock is wrong, perhaps
    LATE = "late"  #: with fewer signatures than the round takes
    GARBLED = "garbled"  #: what it signed is no vote for this instant
    UNAVAILABLE = "unavailable"  #: it names descriptors that nobody could show in time
    EQUIVOCATED = "equivocated"  #: two votes; neither counts


@dataclass(frozen=True, slots=True)
class Keep:
    """Write this to the disk before anything that follows is done."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Evidence:
    """Keep this too; it has no effect, but with another vote it convicts its author."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Spread:
    """Send this to every other authority, until the exchange closes."""

    ballot: Ballot


@dataclass(frozen=True, slots=True)
class Look:
    """Find out whether all descriptors that this names are at hand, ask those who signed it for
    the others, and say so (:meth:`Exchange.complete`)."""

    ballot: Ballot


Action = Keep | Evidence | Spread | Look


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, and how it came to be, in a few words of ours."""

    verdict: Verdict
    detail: str = ""


@dataclass(slots=True)
class _Seat:
    """One author."""

    ballots: dict[bytes, Ballot] = field(default_factory=dict)  # in time, by digest
    accepted: set[bytes] = field(default_factory=set)
    strays: dict[bytes, Ballot] = field(default_factory=dict)  # signed by him, and of no effect
    early: dict[bytes, Ballot] = field(default_factory=dict)
    told: bool = False  # a stray was passed on
    heard: Finding = Finding(Verdict.ABSENT)

    def known(self, digest: bytes) -> Ballot | None:
        return self.ballots.get(digest) or self.strays.get(digest) or self.early.get(digest)

    @property
    def convicted(self) -> bool:
        return len(self.ballots) == MOST

    @property
    def distinct(self) -> dict[bytes, Ballot]:
        return {**self.early, **self.strays, **self.ballots}


class Exchange:
    """The exchange for one instant, as *identity* takes part in it, signing with *signer*.

    *kept* are the ballots that were kept before a restart; they are in.
    """

    def __init__(
        self,
        schedule: Schedule,
        authorities: Sequence[bytes],
        identity: bytes,
        signer: Signer,
        kept: Iterable[Ballot] = (),
    ) -> None:
        self.schedule = schedule
        self._authorities = tuple(dict.fromkeys(authorities))
        self._identity = identity
        self._signer = signer
        self._now = float("-inf")
        self._closed = False
        self._seats = {each: _Seat() for each in self._authorities}
        for ballot in kept:
            seat = self._seats.get(ballot.author)
            if seat is not None and len(seat.ballots) < MOST:
                seat.ballots[ballot.digest] = ballot
                seat.accepted.add(ballot.digest)

    # -- what goes in ----------------------------------------------------------------------------

    def begin(self, now: float, own: Ballot | None) -> list[Action]:
        """The first round begins, with our own vote, if there is one and it is kept; a restart
        within the exchange begins again.  What was kept is spread again, what came early is
        looked at."""
        now = self._tick(now)
        again: list[Action] = [Spread(ballot) for ballot in self._in()]
        if own is not None:
            seat = self._seats[self._identity]
            if not seat.ballots:
                seat.ballots[own.digest] = own
                seat.accepted.add(own.digest)
                again.append(Spread(own))
        for seat in self._seats.values():
            early, seat.early = seat.early, {}
            for ballot in early.values():
                again += self.receive(ballot, now)[1]
        return again

    def offered(self, octets: bytes, now: float) -> tuple[str | None, list[Action]]:
        """Somebody sent this: a word that says why it is not taken, or None, and what to do."""
        try:
            ballot = Ballot.read(octets, self._authorities, self.schedule.valid_after, self.known)
        except NotABallot as error:
            return self.refused(error), []
        return self.receive(ballot, now)

    def refused(self, error: NotABallot) -> str:
        """The word for what is no vote; whoever signed it is to blame."""
        word: str = error.fields["word"]
        for each in error.fields["blamed"]:
            self.blame(each, Finding(Verdict.GARBLED, f"it signed what is {word}"))
        return word

    def receive(self, ballot: Ballot, now: float) -> tuple[str | None, list[Action]]:
        """The same for one that was read."""
        now = self._tick(now)
        seat = self._seats[ballot.author]
        if ballot.vote.valid_after != self.schedule.valid_after:
            detail = f"it voted for {ballot.vote.valid_after}"
            self.blame(ballot.author, Finding(Verdict.OTHER_INSTANT, detail))
            return "another-instant", []
        round = self.schedule.round(now)
        known = seat.known(ballot.digest)
        if known is not None:
            ballot = known.joined(ballot)
        if ballot.digest in seat.ballots:
            seat.ballots[ballot.digest] = ballot
            waits = ballot.digest not in seat.accepted and not self._closed
            return None, [Look(ballot)] if waits else []
        if round == 0 and not self._closed:
            return self._early(seat, ballot, now)
        over = self._closed or round > self.schedule.rounds
        if over or len(ballot.signatures) < round:
            when = "after the last round" if over else f"in round {round}"
            return "late", self._stray(
                seat, ballot, Finding(Verdict.LATE, f"{_signatures(ballot)} {when}")
            )
        if seat.convicted:
            return "equivocated", []
        return None, self._in_time(seat, ballot, round)

    def complete(self, author: bytes, digest: bytes, now: float) -> list[Action]:
        """Every descriptor that this ballot names is at hand, and good for the instant."""
        now = self._tick(now)
        seat = self._seats[author]
        round = self.schedule.round(now)
        over = self._closed or round > self.schedule.rounds
        if over or digest not in seat.ballots or digest in seat.accepted:
            return []
        return self._accept(seat, digest, round)

    def unusable(self, author: bytes, digest: bytes, detail: str, now: float) -> None:
        """What this ballot names cannot be had, or is nothing that may be listed; *detail* says
        what, should it stay so."""
        self._tick(now)
        if digest in self._seats[author].ballots:
            self.blame(author, Finding(Verdict.UNAVAILABLE, detail))

    def blame(self, author: bytes, finding: Finding) -> None:
        """What *author* did instead of voting, as far as is known; what is graver stays."""
        seat = self._seats.get(author)
        if seat is not None and _GRAVITY.index(finding.verdict) >= _GRAVITY.index(
            seat.heard.verdict
        ):
            seat.heard = finding

    def close(self, now: float) -> None:
        """The last round is over: nothing is taken any more."""
        self._tick(now)
        self._closed = True
        for seat in self._seats.values():
            self._expire(seat, self.schedule.rounds + 1)

    # -- what comes out --------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether the verdicts are final."""
        return self._closed

    @property
    def votes(self) -> list[Ballot]:
        """Those that count, ascending by author."""
        seats = sorted(self._seats.items())
        return [
            seat.ballots[digest]
            for _, seat in seats
            if not seat.convicted
            for digest in seat.accepted
        ]

    @property
    def lacking(self) -> list[bytes]:
        """The authors of whom nothing has been taken yet."""
        return [each for each, seat in self._seats.items() if not seat.accepted]

    def wants(self, digest: bytes) -> bool:
        """Whether what this ballot names is still of any use."""
        return any(digest in seat.ballots for seat in self._seats.values() if not seat.convicted)

    def finding(self, author: bytes) -> Finding:
        """The verdict on *author*, as it is now."""
        seat = self._seats[author]
        if seat.convicted:
            return Finding(Verdict.EQUIVOCATED)
        if seat.accepted:
            return Finding(Verdict.VOTED, "and signed another vote" if seat.strays else "")
        return seat.heard

    def ballot(self, author: bytes) -> Ballot | None:
        """What was taken of *author*, with every signature that is known; the first of two."""
        return next((ballot for ballot in self._in() if ballot.author == author), None)

    def evidence(self, author: bytes) -> tuple[Ballot, Ballot] | None:
        """Two votes that *author* signed for this instant, in time or not, by digest."""
        seat = self._seats.get(author)
        found = sorted(seat.distinct.values(), key=lambda each: each.digest) if seat else []
        return (found[0], found[1]) if len(found) >= MOST else None

    def known(self, digest: bytes) -> Ballot | None:
        """A ballot that is held, by its digest."""
        return next((b for seat in self._seats.values() if (b := seat.known(digest))), None)

    # -- inside ----------------------------------------------------------------------------------

    def _tick(self, now: float) -> float:
        """A clock that was put back does not bring a round back."""
        self._now = max(self._now, now)
        if not self._closed:
            for seat in self._seats.values():
                self._expire(seat, self.schedule.round(self._now))
        return self._now

    def _expire(self, seat: _Seat, round: int) -> None:
        """Let go of what is still looked for and has too few signatures by now."""
        if seat.convicted:
            return
        for digest, ballot in list(seat.ballots.items()):
            if digest not in seat.accepted and len(ballot.signatures) < round:
                del seat.ballots[digest]
                seat.strays[digest] = ballot
                self.blame(ballot.author, Finding(Verdict.UNAVAILABLE, seat.heard.detail))

    def _early(self, seat: _Seat, ballot: Ballot, now: float) -> tuple[str | None, list[Action]]:
        """Before the first round: by a clock that is ahead of ours, or wrong."""
        if now < self.schedule.opens:
            return "early", []
        if len(seat.early) < MOST or ballot.digest in seat.early:
            seat.early[ballot.digest] = ballot
        return None, []

    def _stray(self, seat: _Seat, ballot: Ballot, finding: Finding) -> list[Action]:
        """It has no effect, but somebody signed it, and with another one it convicts him."""
        self.blame(ballot.author, finding)
        if ballot.digest not in seat.strays and len(seat.distinct) >= MOST:
            return []
        seat.strays[ballot.digest] = ballot
        return self._tell(seat)

    def _tell(self, seat: _Seat) -> list[Action]:
        """Let the others know of a second vote that has no effect, once."""
        if seat.told or not seat.strays or len(seat.distinct) < MOST:
            return []
        seat.told = True
        stray = next(iter(seat.strays.values()))
        return [Evidence(stray), Spread(stray)]

    def _in_time(self, seat: _Seat, ballot: Ballot, round: int) -> list[Action]:
        seat.strays.pop(ballot.digest, None)
        seat.ballots[ballot.digest] = ballot
        while seat.strays and len(seat.distinct) > MOST:
            seat.strays.pop(next(iter(seat.strays)))
        if len(seat.ballots) < MOST:
            return [Look(ballot), *self._tell(seat)]
        # Two convict him, and nobody needs what they name.  Both are passed on, so that all do.
        new = [digest for digest in seat.ballots if digest not in seat.accepted]
        actions = [each for digest in new for each in self._accept(seat, digest, round)]
        return sorted(actions, key=lambda action: not isinstance(action, Keep))

    def _accept(self, seat: _Seat, digest: bytes, round: int) -> list[Action]:
        """Take it, and unless this is the last round, after which nobody counts, sign it and pass
        it on: one signature more than the round takes is what the next one takes."""
        seat.accepted.add(digest)
        ballot = seat.ballots[digest]
        if round > self.schedule.faults:
            return [Keep(ballot)]
        ballot = ballot.countersigned(self._identity, self._signer)
        seat.ballots[digest] = ballot
        return [Keep(ballot), Spread(ballot)]

    def _in(self) -> Iterator[Ballot]:
        for seat in self._seats.values():
            yield from (seat.ballots[each] for each in seat.ballots if each in seat.accepted)


_GRAVITY = (
    Verdict.ABSENT,
    Verdict.OTHER_INSTANT,
    Verdict.GARBLED,
    Verdict.LATE,
    Verdict.UNAVAILABLE,
)


def _signatures(ballot: Ballot) -> str:
    count = len(ballot.signatures)
    return f"{count} signature" if count == 1 else f"{count} signatures"
