"""Publishing this server: its descriptor goes to every authority, and what each says is kept.

A descriptor is sent when it is another one, and again every 6 to 12 hours; after each new
consensus the authorities are asked where this server stands.  Nothing waits for any of it, and an
authority that is away is tried again by itself, later and later.  A machine whose clock
is wrong publishes nothing, since what it signs would be dated wrongly; it goes on asking.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mixminion.crypto import kdf
from mixminion.directory import documents, receipt
from mixminion.directory.bootstrap import Authority
from mixminion.directory.descriptor import LIMIT, NAME, VERSION, Descriptor
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.errors import BadSignature
from mixminion.directory.receipt import Receipt, State
from mixminion.dirhttp.errors import FetchFailed
from mixminion.dirhttp.requester import Requester
from mixminion.dirhttp.sources import Source
from mixminion.errors import PeerError
from mixminion.interfaces import Clock, Random
from mixminion.mix import standing
from mixminion.mix.clockcheck import ClockCheck
from mixminion.mix.standing import Standing
from mixminion.queues.backoff import Backoff

log = Logger()

AGAIN = 6 * 3600.0
"""Seconds until a descriptor is sent again that did not change; at most twice that."""
SPREAD = 600.0
"""Seconds after a new consensus in which the authorities are asked, at most."""
WRONG_CLOCK = 600.0
"""Seconds until a machine whose clock is wrong asks again."""
BACKOFF = Backoff(first=60.0, factor=2.0, longest=3600.0)
LONGEST_WORDS = 200
"""Characters of what an authority says without signing it."""


@dataclass(slots=True)
class _Correspondent:
    """One authority, and when it is written to next."""

    standing: Standing
    source: Source
    failures: int = 0
    timer: IDelayedCall | None = None
    lock: DeferredLock = field(default_factory=DeferredLock)


class Publishing:
    """Sends the descriptor of the server *identity* to those of *authorities* that have an
    address.  *renew* makes a new one, and hands it over with :meth:`offer`."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        requester: Requester,
        authorities: Sequence[Authority],
        identity: bytes,
        renew: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._random = random
        self._requester = requester
        self._identity = identity
        self._renew = renew
        self._all = [
            _Correspondent(Standing(each), Source.parse(each.url))
            for each in authorities
            if each.url
        ]
        self.check = ClockCheck(len(self._all))
        self._descriptor = b""
        self._digest: bytes | None = None
        self._stale = float("inf")  # when the descriptor should be made anew
        self._running: set[Deferred[None]] = set()
        self._round: IDelayedCall | None = None
        self._ready = self._stopped = False

    # -- what happens --------------------------------------------------------------------------

    def start(self) -> None:
        """Ask every authority, which tells the time as well, and publish what was offered."""
        self._run(self._begin())

    def stop(self) -> None:
        """No more of it; requests under way are cancelled."""
        self._stopped = True
        for timer in (self._round, *(each.timer for each in self._all)):
            if timer is not None and timer.active():
                timer.cancel()
        for running in list(self._running):
            running.cancel()

    def offer(self, descriptor: bytes) -> None:
        """This is the descriptor from now on, in its envelope; another one is published soon."""
        payload = Envelope.decode(descriptor, PayloadType.DESCRIPTOR, limit=LIMIT).payload
        said = documents.decode(Descriptor, payload, name=NAME, version=VERSION, limit=LIMIT)
        digest = kdf.sha256(payload)
        if digest == self._digest:
            return
        self._descriptor, self._digest = descriptor, digest
        self._stale = (said.valid_after + said.valid_until) / 2
        if self._ready:
            for each in self._all:
                self._wind(each, 0.0)

    def consensus(self, interval: float) -> None:
        """There is a new consensus; one is made every *interval* seconds."""
        if self._ready and (self._round is None or not self._round.active()):
            wait = self._random.uniform() * min(SPREAD, interval / 8)
            self._round = self._clock.callLater(wait, lambda: self._run(self._ask_all()))

    async def now(self) -> None:
        """Publish at every authority now; returns when each has answered or failed."""
        if self.check.wrong or not self._ready:
            await self._ask_all()
        if not self.check.wrong:
            await self._at_all(self._visit)

    # -- what there is to say ------------------------------------------------------------------

    @property
    def configured(self) -> bool:
        """Whether there is anybody to publish to."""
        return bool(self._all)

    def attention(self) -> Iterator[str]:
        """What an operator has to do or to wait for, a sentence each."""
        yield from self.check.attention()
        yield from standing.attention([each.standing for each in self._all])

    def status(self) -> list[Mapping[str, Any]]:
        """JSON values, one object for each authority."""
        now = self._clock.seconds()
        return [each.standing.for_status(now, self._digest) for each in self._all]

    # -- writing to an authority ---------------------------------------------------------------

    async def _begin(self) -> None:
        await self._ask_all()
        self._ready = True
        for each in self._all:
            self._wind(each, 0.0)

    async def _ask_all(self) -> None:
        await self._at_all(self._ask)
        for each in self._all:
            found = each.standing.receipt
            lacks = found is not None and found.digest != self._digest
            if self._ready and lacks and each.standing.state in (State.UNKNOWN, State.LISTED):
                self._wind(each, 0.0)

    async def _at_all(self, work: Callable[[_Correspondent], Coroutine[Any, Any, None]]) -> None:
        working = [Deferred.fromCoroutine(work(each)) for each in self._all]
        await gatherResults(working, consumeErrors=True)

    def _wind(self, each: _Correspondent, wait: float) -> None:
        if each.timer is not None and each.timer.active():
            each.timer.cancel()
        if not self._stopped:
            each.timer = self._clock.callLater(wait, lambda: self._run(self._visit(each)))

    async def _visit(self, each: _Correspondent) -> None:
        """Send the descriptor there is, and see to the next time, whatever happens."""
        wait = BACKOFF.longest
        try:
            wait = await self._attempt(each)
        finally:
            self._wind(each, wait)

    async def _attempt(self, each: _Correspondent) -> float:
        """Seconds until the next one."""
        if self._clock.seconds() >= self._stale:
            self._stale = float("inf")  # whatever comes of it, once is enough
            self._renew()
        if self.check.wrong:
            await self._ask(each)
        wrong, sent = self.check.wrong, self._digest
        if not wrong and sent is not None:
            async with each.lock:
                await self._send(each)
        if sent != self._digest:
            return 0.0
        if wrong:
            return WRONG_CLOCK * (1 + self._random.uniform()) / 2
        if each.failures:
            return BACKOFF.wait(each.failures, self._random)
        return AGAIN * (1 + self._random.uniform())

    async def _send(self, each: _Correspondent) -> None:
        asked = self._clock.seconds()
        try:
            answer = await self._requester.post(
                each.source, "descriptor", self._descriptor, receipt.LIMIT, receipt.NAME
            )
        except FetchFailed as error:
            self._failed(each, error.fields["why"])
        else:
            if answer.code == 200:
                self._take(each, answer.octets, asked)
            else:
                words = _words(answer.octets)
                self._failed(each, f"it answered {answer.code}" + (words and f", {words}"))
        each.failures = 0 if each.standing.error is None else each.failures + 1

    async def _ask(self, each: _Correspondent) -> None:
        """Where this server stands; an answer is as good as one to a descriptor."""
        async with each.lock:
            asked = self._clock.seconds()
            name = f"standing/{self._identity.hex()}"
            try:
                octets = await self._requester.get(each.source, name, receipt.LIMIT, receipt.NAME)
            except FetchFailed as error:
                self._failed(each, error.fields["why"])
            else:
                self._take(each, octets, asked)

    def _take(self, each: _Correspondent, octets: bytes, asked: float) -> None:
        """A receipt, if it is one."""
        now = self._clock.seconds()
        authority = each.standing.authority.identity
        try:
            found, dated = _verify(octets, authority, now)
        except PeerError:
            self._failed(each, "its receipt cannot be believed")
            return
        self.check.heard(authority, found.time, asked, now)
        if found.identity != self._identity:
            self._failed(each, "its receipt is about another server")
        elif not dated:
            self._failed(each, "its signing key is not valid by this machine's clock")
        else:
            if found.state is not each.standing.state:
                log.info(
                    "Authority {number} of {count} says of this server: {state}.",
                    number=self._all.index(each) + 1,
                    count=len(self._all),
                    state=str(found.state),
                )
            each.standing.receipt, each.standing.heard = found, now
            each.standing.error = None

    def _failed(self, each: _Correspondent, why: str) -> None:
        if each.standing.error is None:
            log.warn(
                "Authority {number} of {count} gave no good answer; tried again later.",
                number=self._all.index(each) + 1,
                count=len(self._all),
            )
        each.standing.error = why

    # -- work under way ------------------------------------------------------------------------

    def _run(self, work: Coroutine[Deferred[Any], Any, None]) -> None:
        if self._stopped:
            work.close()
            return
        running = Deferred.fromCoroutine(work)
        self._running.add(running)
        _ = running.addBoth(self._ended, running)

    def _ended(self, result: object, running: Deferred[None]) -> None:
        self._running.discard(running)
        if isinstance(result, Failure) and not self._stopped:
            log.failure("Publishing failed.", result)


def _verify(octets: bytes, authority: bytes, now: float) -> tuple[Receipt, bool]:
    """A receipt, and whether it is signed by a key that is certified *now*; a clock that is wrong
    by months makes every certificate look ended, and only receipts can tell."""
    with suppress(BadSignature):
        return Receipt.verify(octets, authority, now), True
    payload = Envelope.decode(octets, PayloadType.RECEIPT, limit=receipt.LIMIT).payload
    said = documents.decode(
        Receipt, payload, name=receipt.NAME, version=receipt.VERSION, limit=receipt.LIMIT
    )
    return Receipt.verify(octets, authority, said.time), False


def _words(octets: bytes) -> str:
    """What an authority says without signing it, fit for a screen."""
    text = octets.decode("utf-8", "replace").strip()
    return "".join(each for each in text if each.isprintable())[:LONGEST_WORDS]
