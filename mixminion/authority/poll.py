"""The exchange of votes for one instant, with the world around it: what the machine
(:mod:`mixminion.authority.exchange`) wants is written, sent, looked for and asked for here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from twisted.logger import Logger

from mixminion.authority.ballots import Ballot, NotABallot
from mixminion.authority.conduct import Misdeed
from mixminion.authority.exchange import (
    Action,
    Evidence,
    Exchange,
    Finding,
    Keep,
    Look,
    Spread,
    Verdict,
)
from mixminion.authority.holdings import Search
from mixminion.authority.office import Office
from mixminion.authority.peers import NoAnswer
from mixminion.authority.schedule import Schedule
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.vote import LIMIT
from mixminion.errors import OperatorError

log = Logger()


class Poll:
    """The exchange of *schedule*'s instant, from what the archive has of it on.

    *latest* is the last consensus that is held, for our vote.
    """

    def __init__(
        self, office: Office, schedule: Schedule, latest: Callable[[], SignedConsensus | None]
    ) -> None:
        self.schedule = schedule
        self.valid_after = schedule.valid_after
        self.problem = ""  #: why we have no vote in it
        self.whole = False  #: whether we have been there from the first round on
        self.seen = False  #: whether, too, we were there until the last one
        self._office = office
        self._latest = latest
        self._searches: dict[bytes, Search] = {}
        self._unwritten: set[bytes] = set()  # taken, and not on the disk: neither sent nor served
        kept = list(self._read(office.archive.votes(self.valid_after)))
        self.exchange = Exchange(schedule, office.authorities, office.identity, office.me, kept)
        for stray in self._read(office.archive.votes(self.valid_after, "stray")):
            self.exchange.receive(stray, office.now)

    async def run(self) -> None:
        """All of it; returns when the verdicts are final."""
        schedule, tasks = self.schedule, self._office.tasks
        await tasks.until(schedule.begins)
        late = self._office.now - schedule.begins
        if late < schedule.rounds * schedule.length:
            self._begin()
            self.seen = self.whole
            if late > schedule.length / 4:
                self._ask_for_missing()
            for round in range(1, schedule.rounds + 1):
                middle = schedule.ends(round) - schedule.length / 2
                if middle > self._office.now:
                    await tasks.until(middle)
                    self._ask_for_missing()
            await tasks.until(schedule.closes)
        self.exchange.close(self._office.now)
        self._let_go()

    def offered(self, octets: bytes) -> str | None:
        """Somebody sent this: None, or a word that says why it is not taken."""
        word, actions = self.exchange.offered(octets, self._office.now)
        return self._told(word, actions)

    def receive(self, ballot: Ballot) -> str | None:
        """The same for one that was read."""
        word, actions = self.exchange.receive(ballot, self._office.now)
        return self._told(word, actions)

    def served(self, author: bytes) -> bytes | None:
        """The vote of *author* that was taken, in its envelope."""
        ballot = self.exchange.ballot(author)
        return None if ballot is None or ballot.digest in self._unwritten else ballot.octets

    @property
    def named(self) -> set[bytes]:
        """The digests of all descriptors that votes which count name."""
        return {each.descriptor for ballot in self.exchange.votes for each in ballot.vote.servers}

    def judge(self) -> None:
        """Remember what the verdicts say, once they are final, if we can tell: who was away has
        no right to say of others that they were."""
        if not self.seen:
            return
        conduct, at = self._office.conduct, self.valid_after
        for author in self._office.authorities:
            finding = self.exchange.finding(author)
            misdeed = _MISDEEDS.get(finding.verdict)
            for each in (*_MISDEEDS.values(), Misdeed.SECOND_VOTE):
                conduct.forgive(author, at, each)
            if misdeed is not None:
                conduct.note(author, at, misdeed, finding.detail)
            if self._keep_evidence(author) and misdeed is not Misdeed.EQUIVOCATED:
                conduct.note(author, at, Misdeed.SECOND_VOTE, "it had no effect")

    # -- our own vote ----------------------------------------------------------------------------

    def _begin(self) -> None:
        self.whole = bool(self.exchange.ballot(self._office.identity))
        own = None if self.whole else self._own()
        self.whole = self.whole or own is not None
        self._do(self.exchange.begin(self._office.now, own))

    def _own(self) -> Ballot | None:
        """Our vote, made now; never a second one, and none when the others would hardly have it
        in the first round."""
        office, schedule = self._office, self.schedule
        if office.archive.has(self.valid_after, "vote", office.identity):
            self.problem = "our vote is in the archive and cannot be read"
        elif office.now > schedule.begins + schedule.length / 2:
            self.problem = "we came too late to vote"
        else:
            try:
                vote = office.make_vote(self.valid_after, self._latest())
                octets = vote.sign(office.me).encode()
                own = Ballot.read(octets, office.authorities, self.valid_after)
                return own if self._written(office.archive.keep_vote, own) else None
            except NotABallot:
                self.problem = "our signing key has no certificate for that time"
            except Exception:
                log.failure("Our vote could not be made")
                self.problem = "our vote could not be made"
        self.exchange.blame(office.identity, Finding(Verdict.ABSENT, self.problem))
        return None

    # -- what the machine wants ------------------------------------------------------------------

    def _told(self, word: str | None, actions: Iterable[Action]) -> str | None:
        self._do(actions)
        if self.exchange.closed and word == "late":
            self.judge()
        return word

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            ballot = action.ballot
            match action:
                case Keep():
                    if not self._written(self._office.archive.keep_vote, ballot):
                        self._unwritten.add(ballot.digest)
                case Evidence():
                    self._written(self._office.archive.keep_stray, ballot)
                case Spread() if ballot.digest not in self._unwritten:
                    self._office.contacts.deliver(
                        "vote", ballot.octets, self.schedule.closes, self.schedule.length
                    )
                case Look():
                    self._look(ballot)

    def _written(self, write: Callable[[Ballot], None], ballot: Ballot) -> bool:
        """Whether it is on the disk; what is not is not sent either."""
        try:
            write(ballot)
        except OperatorError as error:
            log.error("A vote could not be kept ({code}).", code=error.code)
            self.problem = "votes cannot be written"
            return False
        return True

    def _keep_evidence(self, author: bytes) -> bool:
        """Whether there is evidence against *author*; then it is kept."""
        found, at = self.exchange.evidence(author), self.valid_after
        archive = self._office.archive
        if found is not None and not archive.has(at, "evidence", author):
            self._written(lambda _: archive.keep_evidence(at, author, found), found[0])
        return found is not None

    def _look(self, ballot: Ballot) -> None:
        search = self._searches.get(ballot.digest)
        if search is None:
            search = self._searches[ballot.digest] = self._search(ballot)
            search.start()
        search.ask(ballot.signatures)

    def _search(self, ballot: Ballot) -> Search:
        office, author, digest = self._office, ballot.author, ballot.digest
        return Search(
            clock=office.clock,
            random=office.random,
            tasks=office.tasks,
            contacts=office.contacts,
            holdings=office.holdings,
            digests=(server.descriptor for server in ballot.vote.servers),
            at=self.valid_after,
            until=self.schedule.closes,
            pause=self.schedule.length / 4,
            found=lambda: self._do(self.exchange.complete(author, digest, office.now)),
            problem=lambda words: self.exchange.unusable(author, digest, words, office.now),
        )

    # -- votes that did not come -----------------------------------------------------------------

    def _ask_for_missing(self) -> None:
        """Ask everybody for the votes that are missing: what was sent may have been lost, and
        whoever was away gets the signatures of all who were not."""
        self._let_go()
        tasks, contacts = self._office.tasks, self._office.contacts
        for author in self.exchange.lacking:
            if author != self._office.identity:
                for peer in contacts.shuffled():
                    _ = tasks.start(self._ask(peer, author))

    async def _ask(self, peer: bytes, author: bytes) -> None:
        contacts, exchange = self._office.contacts, self.exchange
        name = f"votes/{self.valid_after}/{author.hex()}"
        try:
            octets = await contacts.get(peer, name, LIMIT, self.schedule.length / 4)
        except NoAnswer:
            if peer == author:
                why = contacts.silent.get(author, "it has no vote")
                exchange.blame(author, Finding(Verdict.ABSENT, why))
            return
        word = self.offered(octets)
        if peer == author and word in ("malformed", "unsigned"):
            exchange.blame(author, Finding(Verdict.GARBLED, "it serves what is no vote"))

    def _let_go(self) -> None:
        """What a vote named that is out has been fetched in vain."""
        for digest in [each for each in self._searches if not self.exchange.wants(each)]:
            self._searches.pop(digest).drop()

    def _read(self, kept: Iterable[bytes]) -> Iterator[Ballot]:
        for octets in kept:
            try:
                yield Ballot.read(octets, self._office.authorities, self.valid_after)
            except NotABallot:
                continue  # of an authority that is none any more


_MISDEEDS = {
    Verdict.ABSENT: Misdeed.ABSENT,
    Verdict.OTHER_INSTANT: Misdeed.OTHER_INSTANT,
    Verdict.LATE: Misdeed.LATE,
    Verdict.GARBLED: Misdeed.GARBLED,
    Verdict.UNAVAILABLE: Misdeed.UNAVAILABLE,
    Verdict.EQUIVOCATED: Misdeed.EQUIVOCATED,
}
