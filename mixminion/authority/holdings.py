"""The descriptors that votes name: which are at hand and good for an instant, and the search for
the others among those who say, by a signature, that they have them.

A digest names a payload, and there may be several envelopes of one: what counts is that one of
them verifies at the instant's valid-after.  Whoever has such a one says the same of it at any
time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from mixminion.authority.contacts import Contacts
from mixminion.authority.peers import NoAnswer
from mixminion.authority.tasks import Tasks
from mixminion.crypto import kdf
from mixminion.directory import certificate
from mixminion.directory.descriptor import LIMIT, Descriptor
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.errors import PeerError
from mixminion.interfaces import Clock, Random

MOST_OCTETS = 192 * 2**20
"""Of the payloads that one vote may name: what everybody can fetch within a round."""
ABREAST = 4
"""Requests to one authority at the same time."""
BROKEN_PROMISES = 3
"""Descriptors that somebody does not serve, in a row, before he is left alone for a while."""
_SLICE = 64


class Descriptors(Protocol):
    """Where descriptors are kept: the register."""

    def get(self, digest: bytes) -> bytes | None:
        """The one of that digest, in its envelope."""

    def put(self, octets: bytes) -> None:
        """Keep one.

        :raises PeerError: it is none.
        """


@dataclass(frozen=True, slots=True)
class _Good:
    octets: bytes
    length: int  # of the payload
    begins: int  # from when it verifies
    ends: int


class Holdings:
    """What is known to verify, beside *kept*."""

    def __init__(self, kept: Descriptors) -> None:
        self._kept = kept
        self._good: dict[bytes, _Good] = {}

    def descriptor(self, digest: bytes) -> bytes | None:
        """One that votes named, in an envelope that verified."""
        good = self._good.get(digest)
        return None if good is None else good.octets

    def length(self, digest: bytes, at: int) -> int | None:
        """The length of the payload of that digest if it verifies *at* that moment; None if it
        does not, or is not at hand."""
        good = self._good.get(digest)
        if good is None or not good.begins <= at < good.ends:
            octets = self._kept.get(digest)
            good = None if octets is None else self._take(digest, octets, at)
        return None if good is None else good.length

    def take(self, digest: bytes, octets: bytes, at: int) -> bool | None:
        """Take what somebody served under *digest*: True when it verifies *at* that moment, False
        when it is that descriptor and does not, None when it is something else."""
        try:
            payload = Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=LIMIT).payload
        except PeerError:
            return None
        if kdf.sha256(payload) != digest:
            return None
        if self._take(digest, octets, at) is None:
            return False
        self._kept.put(octets)
        return True

    def all(self, digests: Iterable[bytes]) -> Mapping[bytes, bytes]:
        """Those of *digests* that are at hand."""
        return {each: self._good[each].octets for each in digests if each in self._good}

    def tidy(self, wanted: Iterable[bytes]) -> None:
        """Forget all but *wanted*."""
        self._good = {each: self._good[each] for each in {*wanted} if each in self._good}

    def forget(self, digests: Iterable[bytes]) -> None:
        """Forget these; who needs one of them after all can look for it again."""
        for each in digests:
            self._good.pop(each, None)

    def _take(self, digest: bytes, octets: bytes, at: int) -> _Good | None:
        try:
            said = Descriptor.verify(octets, at)
            envelope = Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=LIMIT)
            begins, ends = said.valid_after, said.valid_until
            statement = envelope.signatures[0].certificate
            if statement is not None:
                dates = certificate.read(statement)
                begins, ends = max(begins, dates.valid_after), min(ends, dates.valid_until)
        except PeerError:
            return None
        if kdf.sha256(envelope.payload) != digest:
            return None
        good = self._good[digest] = _Good(octets, len(envelope.payload), begins, ends)
        return good


class Search:
    """For all that *digests* name, good *at* a moment.  Calls *found* when it is there, and
    *problem* with a few words whenever it seems that it is not to be had."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        tasks: Tasks,
        contacts: Contacts,
        holdings: Holdings,
        digests: Iterable[bytes],
        at: int,
        until: float,
        pause: float,
        found: Callable[[], None],
        problem: Callable[[str], None] = lambda words: None,
    ) -> None:
        self._clock = clock
        self._random = random
        self._tasks = tasks
        self._contacts = contacts
        self._holdings = holdings
        self._at = at
        self._until = until
        self._pause = pause
        self._found = found
        self._problem = problem
        self._digests = tuple(dict.fromkeys(digests))
        self._missing: set[bytes] = set()
        self._octets = 0
        self._asked: set[bytes] = set()
        self._holders: set[bytes] = set()
        self._fetched: list[bytes] = []
        self._looked = False
        self.over = False

    def start(self) -> None:
        """Look at what is at hand: at once, and in slices when it is much."""
        _ = self._tasks.start(self._look())

    def ask(self, holders: Iterable[bytes]) -> None:
        """These say that they have it all."""
        self._holders |= {*holders} & {*self._contacts.others}
        if self._looked and not self.over:
            for holder in self._holders - self._asked:
                self._asked.add(holder)
                _ = self._tasks.start(self._all_from(holder))

    def drop(self) -> None:
        """Nobody needs it any more: let go of what was fetched."""
        self.over = True
        self._holdings.forget(self._fetched)
        self._fetched.clear()

    async def _look(self) -> None:
        for number, digest in enumerate(self._digests, 1):
            length = self._holdings.length(digest, self._at)
            if length is None:
                self._missing.add(digest)
            else:
                self._octets += length
            if number % _SLICE == 0:
                await self._tasks.pause(0)
        self._looked = True
        self._check()
        self.ask(())

    async def _all_from(self, holder: bytes) -> None:
        """Ask one of them, again and again while the others have not given all."""
        while not self.over and self._clock.seconds() < self._until:
            order = list(self._missing)
            self._random.shuffle(order)
            rest = iter(order)
            failed: list[str] = []
            abreast = [
                self._tasks.start(self._some_from(holder, rest, failed)) for _ in range(ABREAST)
            ]
            for each in abreast:
                await each
            if not self.over and self._missing:
                words = failed[-1] if failed else "is not to be had"
                self._problem(f"{_descriptors(len(self._missing))} that it names {words}")
            await self._tasks.pause(self._pause * (1 + self._random.uniform()) / 2)

    async def _some_from(self, holder: bytes, rest: Iterator[bytes], failed: list[str]) -> None:
        for digest in rest:
            if self.over or len(failed) >= BROKEN_PROMISES:
                return
            left = self._until - self._clock.seconds()
            if digest not in self._missing or left <= 0:
                continue
            try:
                octets = await self._contacts.get(
                    holder, f"descriptors/{digest.hex()}", LIMIT, min(left, self._pause)
                )
            except NoAnswer:
                failed.append("cannot be had")
                continue
            if digest not in self._missing or self.over:
                continue
            good = self._holdings.take(digest, octets, self._at)
            if good:
                self._fetched.append(digest)
                self._missing.discard(digest)
                self._octets += self._holdings.length(digest, self._at) or 0
                self._check()
            else:
                failed.append("cannot be had" if good is None else "cannot be listed then")

    def _check(self) -> None:
        if self._octets > MOST_OCTETS:
            self.over = True
            self._problem("the descriptors that it names are too long together")
        elif self._looked and not self._missing and not self.over:
            self.over = True
            self._found()


def _descriptors(count: int) -> str:
    return "a descriptor" if count == 1 else f"{count} descriptors"
