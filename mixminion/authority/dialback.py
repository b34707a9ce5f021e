"""Dialling servers back: whoever is listed is found where he says, and proves who he is.

Every published address is dialled, names in each family they resolve to, by TLS as links
speak it, pinned to the server's identity, and hung up after the handshake.  What is new is
dialled at once, what answered every so often, what did not with back-off.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IHostResolution,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from mixminion.authority.admission import judged
from mixminion.authority.config import Settings
from mixminion.authority.records import Decision, Dialled, Record
from mixminion.authority.register import Register
from mixminion.directory.descriptor import PROTOCOLS
from mixminion.directory.parts import is_public
from mixminion.errors import PeerError
from mixminion.interfaces import Clock, Random
from mixminion.net import errors as net_errors
from mixminion.net.refusals import translate
from mixminion.net.tls import client_tls, negotiated
from mixminion.net.transport import LinkClientFactory
from mixminion.queues.backoff import Backoff
from mixminion.util.hostport import HostPort

log = Logger()

ALPN = PROTOCOLS[0].encode("ascii")
TIMEOUT = 30.0
"""Seconds for one attempt, TLS included."""
AT_ONCE = 16
"""Servers that are dialled at one time."""
FIRST = 12
"""Of the time between two dials, the part after which the first failure is followed up."""

PAUSE = 1.0
"""Seconds between two looks at what is due, at least."""

Connect = Callable[[HostPort], IStreamClientEndpoint]
Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""From a host name to the IP addresses it stands for."""


class DialFailed(PeerError):
    """No connection.  Field: ``problem``, a few words."""

    code = "dial-back-failed"
    sentence = "{problem}"


async def prove(clock: Clock, endpoint: IStreamClientEndpoint, identity: bytes) -> None:
    """Connect, see that the other side proves *identity* and speaks our protocol, and hang up.

    :raises DialFailed: there is no connection, or not in time.
    :raises LinkRefused: who answers is somebody else, or another program.
    """
    shaken: Deferred[None] = Deferred()
    probe = _Probe(shaken)
    factory = LinkClientFactory(client_tls(identity, None, [ALPN], clock), _Single(probe), clock)
    connecting = endpoint.connect(factory)

    def failed(failure: Failure) -> None:
        probe.over(DialFailed(problem=_problem(failure)))

    def late() -> None:
        connecting.cancel()
        probe.over(DialFailed(problem=f"no answer within {TIMEOUT:.0f} seconds"))

    _ = connecting.addErrback(failed)
    deadline = clock.callLater(TIMEOUT, late)
    try:
        await shaken
    finally:
        if deadline.active():
            deadline.cancel()
        probe.hang_up()


@implementer(IHandshakeListener)
class _Probe(Protocol):
    """Waits for the end of the handshake."""

    def __init__(self, shaken: Deferred[None]) -> None:
        self._shaken: Deferred[None] | None = shaken

    def handshakeCompleted(self) -> None:
        """The chain has been judged by now; a server without our protocol sends an alert."""
        found = negotiated(self.transport)
        spoken = found is not None and found.protocol == ALPN
        self.over(None if spoken else net_errors.WrongProtocol())

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.over(translate(reason, self.transport))

    def over(self, error: PeerError | None) -> None:
        """The attempt has ended; what comes later does not matter."""
        shaken, self._shaken = self._shaken, None
        if shaken is None:
            return
        if error is None:
            shaken.callback(None)
        else:
            shaken.errback(error)

    def hang_up(self) -> None:
        """Without a farewell, which a hostile peer need not answer."""
        if self.transport is not None:
            cast(Any, self.transport).abortConnection()


class _Single(Factory):
    """Gives its one protocol away."""

    noisy = False

    def __init__(self, probe: _Probe) -> None:
        self._probe = probe

    @override
    def buildProtocol(self, addr: IAddress | None) -> _Probe:
        return self._probe


def _problem(failure: Failure) -> str:
    """In a few words that name nobody."""
    if failure.check(DNSLookupError):
        return "its name is not known"
    return "no connection" if failure.check(ConnectError) else "the connection broke"


def resolver(reactor: Any) -> Resolve:
    """Names by the system's resolver, in the reactor's threads."""

    async def resolve(name: str) -> Sequence[str]:
        found: list[str] = []
        done: Deferred[None] = Deferred()

        class Receiver:
            def resolutionBegan(self, resolution: IHostResolution) -> None:
                pass

            def addressResolved(self, address: Any) -> None:
                found.append(address.host)

            def resolutionComplete(self) -> None:
                done.callback(None)

        reactor.nameResolver.resolveHostName(Receiver(), name)
        await done
        return list(dict.fromkeys(found))

    return resolve


def connector(reactor: Any) -> Connect:
    """Over TCP."""
    return lambda place: HostnameEndpoint(reactor, place.host, place.port, timeout=TIMEOUT)


class DialBack:
    """Dials all servers of the register that may be listed, and notes what came of it.

    *settings* is asked each time.  ``connect`` gets IP addresses only.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        register: Register,
        settings: Callable[[], Settings],
        connect: Connect,
        resolve: Resolve,
    ) -> None:
        self._clock = clock
        self._random = random
        self._register = register
        self._settings = settings
        self._connect = connect
        self._resolve = resolve
        self._under_way: dict[bytes, Deferred[None]] = {}
        self._next: dict[bytes, float] = {}
        self._timer: IDelayedCall | None = None
        self._stopped = True

    def start(self) -> None:
        """Dial from now on."""
        self._stopped = False
        self._look()

    async def stop(self) -> None:
        """Dial no more; returns when nothing is under way."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for dialling in list(self._under_way.values()):
            dialling.cancel()
        await DeferredList(list(self._under_way.values()))

    def soon(self, record: Record) -> None:
        """A server has published something new: dial it now."""
        self._next[record.identity] = 0.0
        if not self._stopped:
            self._look()

    def _look(self) -> None:
        """Dial what is due, and look again when the next one is."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        now = self._clock.seconds()
        waiting = sorted(
            (self._due(record), record.identity)
            for record in self._register.records.values()
            if record.described is not None
            and record.described.valid(now)
            and record.decision not in (Decision.BANNED, Decision.REJECTED)
            and record.identity not in self._under_way
        )
        ready = [identity for moment, identity in waiting if moment <= now]
        free = AT_ONCE - len(self._under_way)
        for identity in ready[:free]:
            self._begin(self._register.records[identity])
        wait = self._settings().admission.dial_every / FIRST
        if len(ready) > free:
            wait = 0.0
        elif len(ready) < len(waiting):
            wait = min(wait, waiting[len(ready)][0] - now)
        self._timer = self._clock.callLater(max(wait, PAUSE), self._look)

    def _due(self, record: Record) -> float:
        """When a server is to be dialled; one with an address that never was, now."""
        places = self._places(record)
        if not places:
            return math.inf
        if record.identity not in self._next:
            every = self._settings().admission.dial_every
            tried = [record.dials[str(each)].tried for each in places if str(each) in record.dials]
            if len(tried) < len(places):
                return 0.0
            # After a restart they are spread, not dialled all at once.
            self._next[record.identity] = min(tried) + every * (1 + self._random.uniform()) / 2
        return self._next[record.identity]

    def _places(self, record: Record) -> list[HostPort]:
        if record.described is None:
            return []
        return judged(record.described, self._settings().admission)

    def _begin(self, record: Record) -> None:
        dialling = Deferred.fromCoroutine(self._dial(record))
        self._under_way[record.identity] = dialling

        def over(result: object) -> None:
            self._under_way.pop(record.identity, None)
            if self._stopped:
                return
            if isinstance(result, Failure):
                log.failure("Dialling a server back went wrong.", result)
                self._next[record.identity] = self._clock.seconds() + TIMEOUT
            now_known = self._register.records.get(record.identity)
            if now_known is not None and now_known.described is not record.described:
                self.soon(now_known)  # it published meanwhile

        _ = dialling.addBoth(over)

    async def _dial(self, record: Record) -> None:
        """All addresses of one server, one after the other."""
        worst = 0
        for place in self._places(record):
            problem = await self._problem_at(place, record.identity)
            now = int(self._clock.seconds())
            before = record.dials.get(str(place), Dialled(0, now))
            if problem is None:
                found = Dialled(0, now, now)
            else:
                found = Dialled(before.failures + 1, now, before.reached, problem)
            worst = max(worst, found.failures)
            self._register.dialled(record.identity, str(place), found)
        every = self._settings().admission.dial_every
        wait = every * (1 + self._random.uniform()) / 2
        if worst:
            wait = Backoff(every / FIRST, 2, every).wait(worst, self._random)
        self._next[record.identity] = self._clock.seconds() + wait

    async def _problem_at(self, place: HostPort, identity: bytes) -> str | None:
        """What is wrong with an address, in a few words; None when the server is there."""
        hosts: Sequence[str] = [place.host]
        settings = self._settings()
        if place.address is None:
            hosts = await self._resolve(place.host)
            if not hosts:
                return "its name is not known"
        for host in hosts:
            at = HostPort(host, place.port)
            if not settings.network.test_network and not is_public(at):
                return "it is an address that cannot be reached from elsewhere"
            if at.address and f"ipv{at.address.version}" not in settings.admission.dial_families:
                continue
            try:
                await prove(self._clock, self._connect(at), identity)
            except net_errors.WrongIdentity:
                return "another identity was proved there"
            except DialFailed as error:
                return str(error.fields["problem"])
            except PeerError as error:
                return f"the link was refused ({error.code})"
        return None
