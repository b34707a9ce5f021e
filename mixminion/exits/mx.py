"""Mail handed to the recipients' own servers, found by the DNS."""

from __future__ import annotations

import enum
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from mixminion.exits import dane
from mixminion.exits.mta_sts import Policies
from mixminion.exits.mx_names import Names, NoAnswer, NoMail
from mixminion.exits.mx_route import Route, Routes, Terms
from mixminion.exits.smtp_relay import Relay
from mixminion.exits.smtp_session import LOOP, Envelope, Manner, Unreachable
from mixminion.exits.smtp_tls import TlsMaker
from mixminion.interfaces import Outcome, OutcomeKind, Random
from mixminion.mail.errors import MailError
from mixminion.queues import Backoff

MOST_RELAYS = 200
MOST_DOWN = 10_000

DOWN = Backoff(300.0, 2.0, 4 * 3600.0)
"""How long a domain is left alone whose servers were all away."""


class Level(enum.Enum):
    """How a server is spoken to."""

    PLAIN = enum.auto()
    TRIED = enum.auto()  #: TLS when it is offered, by any certificate, if at all
    CHECKED = enum.auto()
    VOUCHED = enum.auto()  #: by what the DNS says of its certificate


_Key = tuple[str, str, Level, tuple[dane.Record, ...]]


class Mx:
    """A way out with sessions to one server after another.

    *tls* makes the client's side of TLS for a host.  *checked*, which looks at certificates, does
    where *manner* requires it, and for a domain that has a policy; what the DNS vouches for
    comes before both.  Nothing of one
    domain waits for another: what cannot leave now is put off at once, and a domain whose
    servers are away is left alone for a while.
    """

    def __init__(
        self,
        reactor: Any,
        random: Random,
        names: Names,
        terms: Terms,
        manner: Manner,
        tls: TlsMaker,
        checked: TlsMaker,
        policies: Policies | None,
    ) -> None:
        self._reactor = reactor
        self._random = random
        self._names = names
        self._routes = Routes(reactor, random, names, terms, manner.hello)
        self._policies = policies
        self._terms = terms
        self._manner = replace(manner, refuse_loop=True)
        self._tls = tls
        self._checked = checked
        self._relays: OrderedDict[_Key, Relay] = OrderedDict()
        self._busy: Counter[str] = Counter()
        self._down: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._sending: set[Deferred[Mapping[str, Outcome]]] = set()
        self._stopping = False

    async def send(self, envelope: Envelope) -> Mapping[str, Outcome]:
        """See :class:`~mixminion.exits.answers.Way`; each domain gets the mail by itself."""
        if self._stopping:
            raise Unreachable("stopping")
        domains: dict[str, list[str]] = {}
        for recipient in envelope.recipients:
            domains.setdefault(recipient.rpartition("@")[2].lower(), []).append(recipient)
        sending = [
            ensureDeferred(self._limited(domain, replace(envelope, recipients=tuple(names))))
            for domain, names in domains.items()
        ]
        self._sending.update(sending)
        try:
            results = await DeferredList(sending, consumeErrors=True)
        finally:
            self._sending.difference_update(sending)
            for each in sending:
                each.cancel()
        outcomes: dict[str, Outcome] = {}
        for _, result in results:
            if isinstance(result, Failure):
                result.raiseException()
            outcomes |= result
        return outcomes

    async def stop(self) -> None:
        """See :class:`~mixminion.exits.answers.Way`."""
        self._stopping = True
        await DeferredList([ensureDeferred(relay.stop()) for relay in self._relays.values()])
        for each in list(self._sending):  # those that wait for a name
            each.cancel()

    # -- one domain ---------------------------------------------------------------------------

    async def _limited(self, domain: str, envelope: Envelope) -> Mapping[str, Outcome]:
        if self._busy[domain] >= self._terms.sessions:
            return _all(envelope, OutcomeKind.TEMPORARY, "busy")
        self._busy[domain] += 1
        try:
            return await self._to_domain(domain, envelope)
        finally:
            self._busy[domain] -= 1
            if not self._busy[domain]:
                del self._busy[domain]

    async def _to_domain(self, domain: str, envelope: Envelope) -> Mapping[str, Outcome]:
        failures, until = self._down.get(domain, (0, 0.0))
        if self._reactor.seconds() < until:
            return _all(envelope, OutcomeKind.TEMPORARY, "left-alone")
        try:
            policy = None if self._policies is None else await self._policies.of(domain)
            checked = self._manner.required or policy is not None
            reason = "no-host" if policy is None else "mta-sts"
            route = await self._routes.to(domain, policy)
            for host, address in route.places:
                try:
                    vouched = await self._vouched(host, route)
                    level = _level(vouched, checked=checked)
                    answers = await self._to_host(host, address, envelope, level, vouched or ())
                except Unreachable as error:
                    reason = error.reason
                    if reason == LOOP:
                        raise NoMail(LOOP) from None
                    if error.sent or self._stopping:
                        break
                else:
                    self._down.pop(domain, None)
                    return answers
        except NoMail as error:
            return _all(envelope, OutcomeKind.PERMANENT, error.reason)
        except NoAnswer:
            return _all(envelope, OutcomeKind.TEMPORARY, "dns")
        except MailError as error:
            return _all(envelope, OutcomeKind.PERMANENT, error.code)
        wait = DOWN.wait(failures + 1, self._random)
        self._down[domain] = (failures + 1, self._reactor.seconds() + wait)
        if len(self._down) > MOST_DOWN:
            self._down.popitem(last=False)
        return _all(envelope, OutcomeKind.TEMPORARY, reason)

    # -- one host ------------------------------------------------------------------------------

    async def _vouched(self, host: str, route: Route) -> tuple[dane.Record, ...] | None:
        """What the DNS vouches for at *host*; None for nothing."""
        if not self._terms.dane or not route.validated:
            return None
        try:
            return await self._names.certificates(host, self._terms.port)
        except NoAnswer:
            raise Unreachable("dane") from None

    async def _to_host(
        self,
        host: str,
        address: str,
        envelope: Envelope,
        level: Level,
        vouched: tuple[dane.Record, ...],
    ) -> Mapping[str, Outcome]:
        """Opportunistic TLS that fails is no TLS: somebody in the middle could have it so."""
        try:
            answers = await self._relay(host, address, level, vouched).send(envelope)
        except Unreachable as error:
            if error.reason != "tls-failed" or level is not Level.TRIED:
                raise
            answers = await self._relay(host, address, Level.PLAIN).send(envelope)
        return {name: _not_whole(outcome) for name, outcome in answers.items()}

    def _relay(
        self, host: str, address: str, level: Level, vouched: tuple[dane.Record, ...] = ()
    ) -> Relay:
        if self._stopping:
            raise Unreachable("stopping")
        key = (host, address, level, vouched)
        relay = self._relays.get(key)
        if relay is None:
            for other in [each for each, relay in self._relays.items() if relay.unused]:
                if len(self._relays) < MOST_RELAYS:
                    break
                del self._relays[other]
            manner = self._leveled(host, level, vouched)
            relay = self._relays[key] = Relay(self._reactor, self._endpoint(address), manner)
        self._relays.move_to_end(key)
        return relay

    def _leveled(self, host: str, level: Level, vouched: tuple[dane.Record, ...]) -> Manner:
        match level:
            case Level.PLAIN:
                return replace(self._manner, tls=None)
            case Level.TRIED:
                return replace(self._manner, tls=self._tls(host))
            case Level.CHECKED:
                return replace(self._manner, tls=self._checked(host), required=True)
            case Level.VOUCHED:
                return replace(self._manner, tls=dane.DaneTls(host, vouched), required=True)

    def _endpoint(self, address: str) -> IStreamClientEndpoint:
        six = ip_address(address).version == 6
        kind = TCP6ClientEndpoint if six else TCP4ClientEndpoint
        source = self._terms.source6 if six else self._terms.source
        bind = None if source is None else (source, 0)
        endpoint: IStreamClientEndpoint = kind(
            self._reactor, address, self._terms.port, self._terms.connect_timeout, bind
        )
        return endpoint


def _level(vouched: tuple[dane.Record, ...] | None, *, checked: bool) -> Level:
    """Records that nobody can use ask for TLS only, which is less than a check."""
    if vouched:
        return Level.VOUCHED
    if checked:
        return Level.CHECKED
    return Level.TRIED if vouched is None else Level.VOUCHED


def _all(envelope: Envelope, kind: OutcomeKind, reason: str) -> Mapping[str, Outcome]:
    return dict.fromkeys(envelope.recipients, Outcome(kind, reason))


def _not_whole(outcome: Outcome) -> Outcome:
    """One server that does not like us says nothing about the others."""
    if outcome.kind is OutcomeKind.UNREACHABLE:
        return Outcome(OutcomeKind.TEMPORARY, outcome.reason)
    return outcome
