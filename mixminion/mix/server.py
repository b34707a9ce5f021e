"""One mix server: what it is made of, how it starts, how it stops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.logger import Logger

from mixminion.counters import Counters
from mixminion.crypto import kdf
from mixminion.directory.consensus import Server
from mixminion.directory.parts import Rule, allowed
from mixminion.directory.view import View
from mixminion.errors import MixminionError, OperatorError, PeerError
from mixminion.interfaces import Clock, IDelivery, Random
from mixminion.mix.cache import PacketCache
from mixminion.mix.intake import Intake
from mixminion.mix.keycare import KeyCare, Publish
from mixminion.mix.network import Network
from mixminion.mix.outgoing import Outgoing
from mixminion.mix.pipeline import Pipeline
from mixminion.mix.pool import Pool
from mixminion.mix.receipts import Receipts
from mixminion.mix.storagecare import StorageCare
from mixminion.mix.workers import Workers
from mixminion.mixing import strategies
from mixminion.mixing.delays import fresh
from mixminion.mmtp import ALPN, FETCH_ALPN
from mixminion.mmtp.client import Link, LinkUser, connect
from mixminion.mmtp.fetch_server import FetchServerFactory
from mixminion.mmtp.server import MMTPServerFactory
from mixminion.net.admission import Admission
from mixminion.net.alpn import link_factory
from mixminion.net.links import LinkCredentials
from mixminion.net.tls import client_tls, server_tls
from mixminion.store import Entry, Store
from mixminion.util.hostport import HostPort

log = Logger()

HTTP = b"http/1.1"
EXIT = b"exit:"
CACHE = 32 * 2**20
"""Octets of recently pooled packets kept in memory."""

STOPPING = 30.0
"""Seconds that each part gets for ending; then the others go on with theirs."""


class UnknownServer(PeerError):
    """A packet is for a server that the directory does not list (any more)."""

    code = "not-in-directory"
    sentence = "The directory does not list that server."


class Listening(Protocol):
    """What listens: :class:`mixminion.net.listeners.Listener`, or a memory wire."""

    def startService(self) -> None:
        """Listen."""

    def stopService(self) -> Awaitable[Any]:
        """Accept no more."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that a server takes from outside itself."""

    clock: Clock
    random: Random
    counters: Counters
    workers: Workers
    open_store: Callable[[], Store]
    listen: Callable[[IProtocolFactory], Listening]
    connect: Callable[[HostPort], IStreamClientEndpoint]
    delivery: Callable[[Store], IDelivery]
    documents: IProtocolFactory  #: serves the directory, over HTTP on the same port
    storage_period: float | None = None  #: seconds; None for the key period
    publish: Publish = lambda made: None  #: gets new public keys
    max_connections: int = 1024
    accepts: Sequence[Rule] = ()  #: from whom connections are taken
    dials: Sequence[Rule] = ()  #: to whom they are made


class MixServer:
    """A mix in the network that *view* shows, with the identity of *credentials*."""

    def __init__(
        self,
        credentials: LinkCredentials,
        view: View,
        around: Surroundings,
        idle: float = 300.0,
    ) -> None:
        self._credentials = credentials
        self._around = around
        self._idle = idle
        self.network = Network(view)
        self._packet_length = view.packet_length
        parameters = view.parameters
        self._strategy = strategies.make(parameters.strategy, parameters, around.random)
        self._taken_up = self._stopping = False

    @property
    def ready(self) -> bool:
        """Whether it has taken up what was stored, and has its packet keys."""
        return self._taken_up and self._keycare.ready

    @property
    def view(self) -> View:
        """The network as the newest consensus shows it."""
        return self.network.view

    # -- starting ------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the store, start the workers, listen.  Nothing is awaited."""
        around, parameters = self._around, self.view.parameters
        cache = PacketCache(CACHE)
        self.store = around.open_store()
        self._held = self.store.waiting()  # asked for before anything new can be taken in
        self.delivery = around.delivery(self.store)
        self.outgoing = Outgoing(
            clock=around.clock,
            random=around.random,
            counters=around.counters,
            store=self.store,
            cache=cache,
            dial=self._dial,
            expiry=parameters.peer_queue_expiry,
            idle=self._idle,
        )
        self.pool = Pool(around.clock, self._strategy, self._offer, around.counters)
        node_id = kdf.sha256(self._credentials.identity_public)
        self.delivery.answer_by(
            Receipts(node_id, lambda: self.view, self.pool, around.clock, around.random)
        )
        self.pipeline = Pipeline(
            clock=around.clock,
            random=around.random,
            counters=around.counters,
            store=self.store,
            workers=around.workers,
            accepted=lambda now: self.network.periods.accepted(now),
            cap_ms=lambda now: self.network.delay_cap_ms(now),
            knows=lambda node_id: bool(self._places(self._next_hop(node_id))),
            pool=self.pool,
            delivery=self.delivery,
            cache=cache,
        )
        self.intake = Intake(self.store, self.view.geometry.packet, self.pipeline.add)
        self._keycare = KeyCare(
            around.clock, self.network.periods, around.workers, self.store, around.publish
        )
        self._storagecare = StorageCare(around.clock, self.store, self._storage_period)
        self.sessions = MMTPServerFactory(
            self.intake,
            around.clock,
            self._packet_length,
            parameters.mmtp_window,
            around.counters,
        )
        protocols: dict[bytes, IProtocolFactory] = {ALPN: self.sessions, HTTP: around.documents}
        self.fetches: FetchServerFactory | None = None
        if self.delivery.mailboxes is not None:
            self.fetches = protocols[FETCH_ALPN] = FetchServerFactory(
                self.delivery.mailboxes,
                self._credentials.identity_public,
                around.clock,
                self._packet_length,
                around.counters,
            )
        tls = server_tls(self._credentials, list(protocols), around.clock)
        around.workers.start()
        admission = Admission(
            total=around.max_connections,
            wanted=lambda host: allowed(around.accepts, HostPort(host, 0)),
        )
        self._listening = around.listen(
            link_factory(tls, protocols, around.clock, around.counters, admission)
        )
        self._listening.startService()

    async def start(self) -> None:
        """Take up what the store holds from before; then the server is ready."""
        held = await self._held
        if self._stopping:
            return
        remembered = await self.delivery.recall(
            [
                (entry.id, entry.destination, entry.due_ms / 1000)
                for entry in held.pooled
                if _is_exit(entry.destination)
            ]
        )
        if self._stopping:
            return
        now_ms = int(self._around.clock.seconds() * 1000)
        for entry in held.pooled:
            if entry.id not in remembered:
                self._pool_again(entry, now_ms)
        self.pipeline.take_up(held.incoming)
        await self.delivery.start()
        if not self._stopping:
            await self._keycare.start(held.tag_keys)
            self._storagecare.start()
        self._taken_up = not self._stopping

    def _pool_again(self, entry: Entry, now_ms: int) -> None:
        """Its queue counts from its old moment, or from now where a clock was wrong."""
        parameters = self.view.parameters
        mean_ms, cap_ms = parameters.mean_delay_ms, parameters.delay_cap_ms
        delay_ms = fresh(self._around.random, mean_ms, cap_ms, entry.due_ms, now_ms)
        due_ms = min(entry.due_ms, now_ms + delay_ms)
        self.pool.add(entry.id, entry.destination, due_ms / 1000, delay_ms / 1000)

    # -- stopping ----------------------------------------------------------------------------

    async def stop(self) -> None:
        """End in order: no new connections, no new frames, batches under way, the pool, links,
        hand-overs, workers, and the store last.  What is accepted and not yet away stays stored.
        No part is waited for longer than :data:`STOPPING`."""
        self._stopping = True
        self._taken_up = False
        await self._end("listening", self._listening.stopService)
        await self._end("sessions", self.sessions.stop)
        if self.fetches is not None:
            await self._end("mailboxes' sessions", self.fetches.stop)
        self.intake.stop()
        self._keycare.stop()
        self._storagecare.stop()
        await self._end("unwrapping", self.pipeline.stop)
        self.pool.stop()
        await self._end("links", self.outgoing.stop)
        await self._end("hand-overs", self.delivery.stop)
        await self._end("workers", self._around.workers.stop)
        await self._end("the store", self.store.close)

    async def _end(self, part: str, stop: Callable[[], Awaitable[Any]]) -> None:
        """Wait until *part* has ended; one that hangs or fails keeps nothing else from ending."""
        over: Deferred[None] = Deferred()

        async def run() -> None:
            try:
                await stop()
            except Exception:
                log.failure("Stopping: {part} ended badly.", part=part)
            if not over.called:
                over.callback(None)

        def late() -> None:
            if not over.called:
                log.warn("Stopping: {part} did not end in time.", part=part)
                over.callback(None)

        _ = Deferred.fromCoroutine(run())
        timer = self._around.clock.callLater(STOPPING, late)
        await over
        if timer.active():
            timer.cancel()

    # -- the middle --------------------------------------------------------------------------

    def adopt(self, view: View) -> None:
        """A newer consensus of the same network: its servers, key periods and parameters.

        What only a start takes up is told by :meth:`status`.
        """
        self.network.adopt(view, self._around.clock.seconds())
        parameters = view.parameters
        self._strategy.adjust(parameters)
        self.outgoing.expire_after(parameters.peer_queue_expiry)
        self.sessions.window = parameters.mmtp_window  # of sessions that begin from now on
        self._storagecare.length = self._storage_period
        self._keycare.adopt(self.network.periods)

    @property
    def _storage_period(self) -> float:
        return self._around.storage_period or float(self.view.parameters.key_period)

    def _next_hop(self, node_id: bytes) -> Server | None:
        return self.network.next_hop(node_id, self._around.clock.seconds())

    def _places(self, server: Server | None) -> list[HostPort]:
        """Where links to *server* may be made."""
        places = () if server is None else server.addresses
        return [place for place in places if allowed(self._around.dials, place)]

    def _offer(self, record_id: int, destination: bytes, due: float) -> None:
        """What leaves the pool joins its queue."""
        if _is_exit(destination):
            self.delivery.offer(record_id, destination, due)
        else:
            self.outgoing.offer(record_id, destination, due)

    def _dial(self, node_id: bytes, user: LinkUser) -> Deferred[Link]:
        server = self._next_hop(node_id)
        places = self._places(server)
        if server is None or not places:
            return fail(UnknownServer())
        address = places[self._around.random.below(len(places))]
        return connect(
            self._around.clock,
            self._around.connect(address),
            client_tls(server.identity, self._credentials, [ALPN], self._around.clock),
            self._packet_length,
            user,
            counters=self._around.counters,
        )

    def publish(self) -> None:
        """Have the public keys of this server handed over once more, to be published anew."""
        self._keycare.publish()

    @property
    def problems(self) -> list[MixminionError]:
        """What keeps parts of it from their work at present, and its operator can mend."""
        found = (self._keycare.problem, self.pipeline.problem)
        return [error for error in found if isinstance(error, OperatorError)]

    # -- for status ----------------------------------------------------------------------------

    async def status(self) -> Mapping[str, Any]:
        """What there is to say of a running server: JSON values that identify nobody."""
        counts = await self.store.counts()
        negotiated = [link.negotiated for link in self.outgoing.links()]
        return {
            "ready": self.ready,
            "store": {
                "incoming": counts.incoming,
                "pooled": counts.pooled,
                "tags": counts.tags,
                "used": counts.used,
                "limit": counts.limit,
                "map-limit": counts.map_limit,
                "damaged": counts.damaged,
            },
            "packets": {
                "incoming": len(self.pipeline),
                "pool": len(self.pool),
                "peers": sum(self.outgoing.waiting().values()),
                "exits": dict(self.delivery.waiting()),
                "incomplete": self.delivery.incomplete(),
                "held": self.delivery.held(),
            },
            "hand-overs": {name: dict(found) for name, found in self.delivery.tallies().items()},
            "links": {
                "in": len(self.sessions.sessions),
                "out": len(negotiated),
                "tls": sorted({f"{each.version} {each.group}" for each in negotiated if each}),
            },
            "key-periods": {str(made.period): made.suite for made in self._keycare.public},
            "needs-restart": list(self.network.outdated),
        }

    def complaints(self) -> Iterator[str]:
        """What the operator has to do for the network's sake, a sentence each."""
        now = self._around.clock.seconds()
        return self.network.complaints(self._keycare.public, now)


def _is_exit(destination: bytes) -> bool:
    """Exits' names are ASCII behind a prefix; a node id is a hash, and one that looked like that
    would harm its own server only."""
    return destination.startswith(EXIT) and destination.isascii()
