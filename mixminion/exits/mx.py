"""Mail handed to the recipients' own servers, found by the DNS."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import DeferredList, ensureDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from mixminion.exits.mx_names import Names, NoAnswer, NoMail
from mixminion.exits.smtp_relay import Relay
from mixminion.exits.smtp_session import LOOP, Envelope, Manner, Unreachable
from mixminion.exits.smtp_tls import TlsMaker
from mixminion.interfaces import Outcome, OutcomeKind, Random
from mixminion.mail.errors import MailError
from mixminion.queues import Backoff

MOST_TRIED = 5
"""Addresses of one domain that one attempt goes through."""

MOST_RELAYS = 200
MOST_DOWN = 10_000
CONFIRMED_FOR = 3600.0
"""Seconds after which the name of our IPv6 address is looked up again."""

DOWN = Backoff(300.0, 2.0, 4 * 3600.0)
"""How long a domain is left alone whose servers were all away."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How to reach the world.  *source* and *source6* are addresses of ours; without the
    latter IPv6 is not used.  *internal* lets mail go to addresses that are not public."""

    port: int
    connect_timeout: float
    sessions: int  #: for one domain at once
    source: str | None = None
    source6: str | None = None
    internal: bool = False


class Mx:
    """A way out with sessions to one server after another.

    *tls* makes the client's side of TLS for a host; *manner* says the rest.  Nothing of one
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
    ) -> None:
        self._reactor = reactor
        self._random = random
        self._names = names
        self._terms = terms
        self._manner = replace(manner, refuse_loop=True)
        self._tls = tls
        self._relays: OrderedDict[tuple[str, str, bool], Relay] = OrderedDict()
        self._busy: Counter[str] = Counter()
        self._down: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._confirmed: tuple[float, bool] | None = None
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
        try:
            results = await DeferredList(sending, consumeErrors=True)
        finally:
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
        reason = "no-host"
        try:
            for host, address in await self._route(domain):
                try:
                    answers = await self._to_host(host, address, envelope)
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

    async def _route(self, domain: str) -> list[tuple[str, str]]:
        """The hosts and addresses to try, in order.

        :raises NoMail: there are none for good, also because we are the best of them
            ourselves (``loop``) or none is in public (``not-public``).
        """
        hosts = await self._names.hosts(domain)
        ours = [preference for preference, name in hosts if name == self._manner.hello.lower()]
        before = [name for preference, name in hosts if not ours or preference < min(ours)]
        if not before:
            raise NoMail(LOOP)
        found: list[tuple[str, str]] = []
        hidden = False
        for host in before:
            for address in await self._addresses(host):
                if self._terms.internal or ip_address(address).is_global:
                    found.append((host, address))
                else:
                    hidden = True
            if len(found) >= MOST_TRIED:
                break
        if hidden and not found:
            raise NoMail("not-public")
        return found[:MOST_TRIED]

    async def _addresses(self, host: str) -> list[str]:
        """IPv4 first; but IPv6 first from an address of ours that has a name."""
        four = await self._names.addresses(host, six=False)
        source6 = self._terms.source6
        if source6 is None:
            return four
        six = await self._names.addresses(host, six=True)
        return [*six, *four] if await self._is_confirmed(source6) else [*four, *six]

    async def _is_confirmed(self, source6: str) -> bool:
        now = self._reactor.seconds()
        if self._confirmed is None or self._confirmed[0] + CONFIRMED_FOR < now:
            self._confirmed = now, await self._names.confirmed(source6)
        return self._confirmed[1]

    # -- one host ------------------------------------------------------------------------------

    async def _to_host(self, host: str, address: str, envelope: Envelope) -> Mapping[str, Outcome]:
        """Opportunistic TLS that fails is no TLS: somebody in the middle could have it so."""
        try:
            answers = await self._relay(host, address, secure=True).send(envelope)
        except Unreachable as error:
            if error.reason != "tls-failed" or self._manner.required:
                raise
            answers = await self._relay(host, address, secure=False).send(envelope)
        return {name: _not_whole(outcome) for name, outcome in answers.items()}

    def _relay(self, host: str, address: str, *, secure: bool) -> Relay:
        key = (host, address, secure)
        relay = self._relays.get(key)
        if relay is None:
            for other in [each for each, relay in self._relays.items() if relay.unused]:
                if len(self._relays) < MOST_RELAYS:
                    break
                del self._relays[other]
            manner = replace(self._manner, tls=self._tls(host) if secure else None)
            relay = Relay(self._reactor, self._endpoint(address), manner)
            self._relays[key] = relay
        self._relays.move_to_end(key)
        return relay

    def _endpoint(self, address: str) -> IStreamClientEndpoint:
        six = ip_address(address).version == 6
        kind = TCP6ClientEndpoint if six else TCP4ClientEndpoint
        source = self._terms.source6 if six else self._terms.source
        bind = None if source is None else (source, 0)
        endpoint: IStreamClientEndpoint = kind(
            self._reactor, address, self._terms.port, self._terms.connect_timeout, bind
        )
        return endpoint


def _all(envelope: Envelope, kind: OutcomeKind, reason: str) -> Mapping[str, Outcome]:
    return dict.fromkeys(envelope.recipients, Outcome(kind, reason))


def _not_whole(outcome: Outcome) -> Outcome:
    """One server that does not like us says nothing about the others."""
    if outcome.kind is OutcomeKind.UNREACHABLE:
        return Outcome(OutcomeKind.TEMPORARY, outcome.reason)
    return outcome
