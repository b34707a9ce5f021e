"""From the votes of one instant to a signed consensus: tally, sign once, collect signatures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from twisted.logger import Logger

from mixminion.authority.conduct import Misdeed
from mixminion.authority.holdings import Search
from mixminion.authority.office import Office
from mixminion.authority.peers import NoAnswer
from mixminion.authority.poll import Poll
from mixminion.authority.signatures import Collection, claimed
from mixminion.directory.agreement import majority
from mixminion.directory.consensus import Consensus
from mixminion.directory.detached import LIMIT, Detached
from mixminion.directory.errors import BadDocument, NewerDocument
from mixminion.directory.tally import NoConsensus, Tallied, previous_of, tally
from mixminion.errors import OperatorError

log = Logger()


class Signing:
    """The consensus of *poll*'s instant as we make it, and who signed what.

    *previous* finds the consensus of a digest, None where nobody has it; *gained* is called when a
    signature came, or our own was made.
    """

    def __init__(
        self,
        office: Office,
        poll: Poll,
        *,
        fresh_until: int,
        previous: Callable[[bytes], Awaitable[Consensus | None]],
        gained: Callable[[], None],
    ) -> None:
        self.valid_after = poll.valid_after
        self.fresh_until = fresh_until
        self.collection: Collection | None = None  #: of the consensus that we made
        self.keys: Mapping[bytes, bytes] = {}  #: its key documents
        self.problem = ""  #: why there is none
        self.claims: dict[bytes, bytes] = {}  #: who says that he signed another one: its digest
        self._office = office
        self._poll = poll
        self._previous = previous
        self._gained = gained
        self._unsigned = False  # made, and not ours to sign yet

    # -- making it -------------------------------------------------------------------------------

    async def make(self) -> None:
        """Tally and sign, or take up what was signed before; nothing, where there is no
        consensus to be made."""
        archive = self._office.archive
        if archive.has(self.valid_after, "signed"):
            self._take_up()
            return
        try:
            tallied = await self._tallied()
        except NoConsensus as error:
            self.problem = error.fields["problem"]
            return
        if tallied is None:
            return
        self.collection = Collection.made(tallied.consensus, self._office.authorities)
        self.keys = tallied.keys
        self._unsigned = True
        if self._poll.whole:
            self._sign()

    def _take_up(self) -> None:
        archive = self._office.archive
        octets = archive.signed(self.valid_after)
        try:
            if octets is None:
                raise BadDocument(document="consensus", problem="not readable")
            self.collection = Collection.read(octets, self._office.authorities)
        except (BadDocument, NewerDocument):
            self.problem = "what was signed is in the archive and cannot be read"
            return
        digests = [period.keys for period in self.collection.consensus.key_periods]
        found = {each: archive.keys(each) for each in digests}
        self.keys = {each: octets for each, octets in found.items() if octets is not None}
        self._send()
        self._gained()

    async def _tallied(self) -> Tallied | None:
        """:raises NoConsensus: the votes make none."""
        office = self._office
        votes = [ballot.vote for ballot in self._poll.exchange.votes]
        if len(votes) < majority(office.authorities):
            raise NoConsensus(
                problem=f"{len(votes)} votes, and it takes {majority(office.authorities)}"
            )
        digest, _ = previous_of(votes, office.authorities)
        previous = None if digest is None else await self._previous(digest)
        if digest is not None and previous is None:
            self.problem = "the consensus before is not at hand"
            return None
        named = self._poll.named
        if not await self._at_hand(named):
            self.problem = "descriptors are not at hand any more"
            return None
        made: list[Tallied] = []
        descriptors = office.holdings.all(named)
        await office.in_thread(
            lambda: made.append(tally(votes, office.authorities, descriptors, previous))
        )
        return made[0]

    async def _at_hand(self, named: set[bytes]) -> bool:
        """Have all descriptors again: after a restart the last ones may be gone."""
        office, at = self._office, self.valid_after
        search = Search(
            clock=office.clock,
            random=office.random,
            tasks=office.tasks,
            contacts=office.contacts,
            holdings=office.holdings,
            digests=named,
            at=at,
            until=self.fresh_until,
            pause=self._poll.schedule.length / 4,
            found=lambda: None,
        )
        search.start()
        search.ask(each for ballot in self._poll.exchange.votes for each in ballot.signatures)
        while not search.over and office.now < self.fresh_until:
            await office.tasks.pause(self._poll.schedule.length / 20)
        return search.over

    def _sign(self) -> None:
        """Sign it, which is on the disk before anybody hears of it."""
        collection, archive = self.collection, self._office.archive
        assert collection is not None
        self._unsigned = False
        collection.sign(self._office.me)
        if self._office.identity not in collection.signers:
            self.problem = "our signing key has no certificate for that time"
        try:
            archive.keep_keys(self.keys)
            archive.keep_signed(self.valid_after, collection.envelope.encode())
        except OperatorError as error:
            log.error("A consensus could not be kept ({code}).", code=error.code)
            self.problem = "what was signed cannot be written"
            self.collection = None
            return
        self._send()
        self._gained()

    def _send(self) -> None:
        assert self.collection is not None
        octets = self.collection.detached()
        if octets is not None:
            length = self._poll.schedule.length
            self._office.contacts.deliver("signatures", octets, self.fresh_until, length)

    # -- signatures ------------------------------------------------------------------------------

    def offered(self, detached: Detached) -> str | None:
        """Somebody sent these: None, or a word that says why they are not taken."""
        if self.collection is None:
            return "another-digest" if self.problem else "early"
        if detached.digest != self.collection.digest:
            return "another-digest"
        self._add(detached)
        return None

    def _add(self, detached: Detached) -> None:
        collection, office = self.collection, self._office
        assert collection is not None
        new = collection.add(detached.signatures)
        if self._unsigned and len(collection.signers) > self._poll.schedule.faults:
            self._sign()  # one of so many is honest and was there from the beginning
        if not new:
            return
        for who in new:
            if office.conduct.forgive(who, self.valid_after, Misdeed.NO_SIGNATURE):
                office.conduct.note(who, self.valid_after, Misdeed.LATE_SIGNATURE)
        if not self._unsigned:
            self._written(collection)
        self._gained()

    def _written(self, collection: Collection) -> None:
        try:
            self._office.archive.keep_signed(self.valid_after, collection.envelope.encode())
        except OperatorError as error:  # they can be fetched again
            log.error("Signatures could not be kept ({code}).", code=error.code)

    async def collect(self, fetch: Callable[[bytes], Any]) -> None:
        """Ask those whose signatures are missing, until all are there or it is fresh no longer.

        *fetch* is called with an authority that has a consensus which a majority signed and which
        we have not made.
        """
        for moment in self._moments():
            await self._office.tasks.until(moment)
            missing = self.missing()
            for peer in self._office.contacts.shuffled():
                if peer in missing:
                    _ = self._office.tasks.start(self._ask(peer, fetch))

    def missing(self) -> set[bytes]:
        """The authorities whose signature on our consensus we have not."""
        signers = self.collection.signers if self.collection is not None else frozenset()
        return {*self._office.authorities} - signers

    def due(self) -> None:
        """Valid-after has come: whoever has not signed by now should have."""
        for who in self.missing():
            if self.collection is not None:
                self._office.conduct.note(who, self.valid_after, Misdeed.NO_SIGNATURE)

    def _moments(self) -> Iterator[float]:
        length = self._poll.schedule.length
        now = self._office.now
        yield self._poll.schedule.closes + length
        after = length / 16
        moment = float(self.valid_after)
        while moment < self.fresh_until:
            if moment >= now:
                yield moment
            moment += after
            after = min(2 * after, length)

    async def _ask(self, peer: bytes, fetch: Callable[[bytes], Any]) -> None:
        office = self._office
        length = self._poll.schedule.length
        try:
            octets = await office.contacts.get(
                peer, f"signatures/{self.valid_after}", LIMIT, length / 4
            )
            detached = Detached.read(octets)
        except (NoAnswer, BadDocument, NewerDocument):
            return
        if detached.valid_after != self.valid_after:
            return
        if self.collection is not None and detached.digest == self.collection.digest:
            self._add(detached)
            return
        signed = claimed(detached, office.authorities)
        if peer in signed:
            self.claims[peer] = detached.digest
            self._compare()
        if len(signed) >= majority(office.authorities):
            fetch(peer)

    def _compare(self) -> None:
        """Some signed another consensus: they are wrong, or we are, as the majority has it."""
        if self.collection is None:
            return
        conduct, needed = self._office.conduct, majority(self._office.authorities)
        for digest in {*self.claims.values()}:
            others = {who for who, each in self.claims.items() if each == digest}
            wrong: set[bytes] = set()
            if len(self.collection.signers) >= needed:
                wrong = others
            elif len(others) >= needed:
                wrong = {self._office.identity}
            for who in wrong:
                conduct.note(who, self.valid_after, Misdeed.OTHER_CONSENSUS, digest.hex())
