"""A network in memory: endpoints, latency, partitions and lost connections on a virtual clock.

::

    clock = HeapClock()
    network = MemoryNetwork(clock, latency=0.05)
    port = clock.result_of(network.server("127.1.0.1", 48099).listen(factory))
    protocol = clock.result_of(network.client("127.1.0.1", 48099).connect(other))

TLS runs over it as over sockets, when ``clock=`` is given to ``wrapClientTLS``,
``wrapServerTLS`` and ``TLSMemoryBIOFactory``; without it their writes wait for ever.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import (
    CannotListenError,
    ConnectingCancelledError,
    ConnectionLost,
    ConnectionRefusedError,
    NoProtocol,
    TimeoutError,
)
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from mixminion.testing.transports import Address, MemoryTransport

Latency = Callable[[str, str], float]
log = Logger()


def address(host: str, port: int) -> Address:
    """The address of *port* at *host*, a numeric IPv4 or IPv6 address."""
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)


class MemoryNetwork:
    """Hosts, named by numeric addresses, and the connections between them.

    :param clock: everything happens as calls on it; a :class:`~mixminion.testing.clock.HeapClock`.
    :param latency: seconds one way, or a function of the sending and the receiving host,
        asked for each segment (segments of one connection never overtake each other).
    :param window: octets that may be under way or unread in one direction.
    :param segment: the most octets a protocol receives at once; 1 tries every border.
    :param patience: seconds a connection waits for a partition to heal before it is lost
        (to the side that has sent something), and a connect attempt for its answer.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        latency: float | Latency = 0.001,
        window: int = 262_144,
        segment: int = 65_536,
        patience: float = 30.0,
    ) -> None:
        self.clock = clock
        self.latency = latency
        self.window = window
        self.segment = segment
        self.patience = patience
        self.ports: dict[Address, MemoryPort] = {}
        self._transports: dict[MemoryTransport, None] = {}  # in order of opening
        self._parted: set[tuple[str, str]] = set()
        self._ephemeral = itertools.count(49_152)

    # -- the ends

    def server(self, host: str, port: int = 0) -> MemoryServerEndpoint:
        """An endpoint that listens at *host*; port 0 takes a free one."""
        return MemoryServerEndpoint(self, host, port)

    def client(self, host: str, port: int, source: str = "127.0.0.1") -> MemoryClientEndpoint:
        """An endpoint that connects from the host *source* to *port* at *host*."""
        return MemoryClientEndpoint(self, address(host, port), source)

    def join(
        self,
        client: IProtocol,
        server: IProtocol,
        source: str = "127.0.0.1",
        host: str = "127.0.0.2",
    ) -> tuple[MemoryTransport, MemoryTransport]:
        """Connect two protocols at once, without endpoints: the client's and the server's end."""
        near = MemoryTransport(self, self.free(source), self.free(host))
        far = MemoryTransport(self, near.getPeer(), near.getHost())
        near.peer, far.peer = far, near
        near.open(client)
        far.open(server)
        return near, far

    def connections(self, *hosts: str) -> list[MemoryTransport]:
        """The open ends, in the order they were opened, of those connections that touch all
        of *hosts*."""
        return [end for end in self._transports if {*hosts} <= {*_hosts(end)}]

    # -- events

    def drop(self, *hosts: str) -> int:
        """Cut every connection that touches all of *hosts* (none named: every one), now and
        for both ends; how many ends that were."""
        ends = self.connections(*hosts)
        for end in ends:
            end.end(ConnectionLost())
        return len(ends)

    def part(self, some: Iterable[str], others: Iterable[str]) -> None:
        """Nothing passes between *some* and *others* any more, until :meth:`heal`."""
        for one, other in itertools.product([*some], [*others]):
            self._parted |= {(one, other), (other, one)}

    def heal(self) -> None:
        """Everything passes again; what was held on the way arrives."""
        self._parted.clear()
        for end in [*self._transports]:
            end.wake()
            end.peer.wake()

    def parted(self, one: Address, other: Address) -> bool:
        """Whether a partition is between the two."""
        return (one.host, other.host) in self._parted

    def latency_between(self, sender: Address, receiver: Address) -> float:
        """Seconds a segment needs that leaves now."""
        if callable(self.latency):
            return self.latency(sender.host, receiver.host)
        return self.latency

    # -- for the ends

    def free(self, host: str) -> Address:
        """An address at *host* with a port nobody has had."""
        return address(host, next(self._ephemeral))

    def opened(self, end: MemoryTransport) -> None:
        """*end* is connected."""
        self._transports[end] = None

    def closed(self, end: MemoryTransport) -> None:
        """*end* is over."""
        self._transports.pop(end, None)


def _hosts(end: MemoryTransport) -> Iterator[str]:
    yield end.getHost().host
    yield end.getPeer().host


@implementer(IListeningPort)
class MemoryPort:
    """A listening port."""

    def __init__(self, network: MemoryNetwork, where: Address, factory: IProtocolFactory) -> None:
        self._network = network
        self._where = where
        self.factory = factory

    def startListening(self) -> None:
        """Accept from now on.

        :raises CannotListenError: when somebody listens there.
        """
        if self._where in self._network.ports:
            raise CannotListenError(self._where.host, self._where.port, OSError("in use"))
        self._network.ports[self._where] = self
        self.factory.doStart()

    def stopListening(self) -> Deferred[None]:
        """Accept no more; connections stay."""
        if self._network.ports.get(self._where) is self:
            del self._network.ports[self._where]
            self.factory.doStop()
        return succeed(None)

    def accept(self, end: MemoryTransport) -> None:
        """A client's connection is open; *end* is ours."""
        try:
            protocol = self.factory.buildProtocol(end.getPeer())
        except Exception:
            log.failure("A factory raised")
            protocol = None
        if protocol is None:
            end.abandon()
        else:
            end.open(protocol)

    def getHost(self) -> Address:
        """Where it listens."""
        return self._where


@implementer(IStreamServerEndpoint)
@dataclass(frozen=True)
class MemoryServerEndpoint:
    """Listens in a :class:`MemoryNetwork`."""

    network: MemoryNetwork
    host: str
    port: int

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Fires with a :class:`MemoryPort`; fails with ``CannotListenError``."""
        where = address(self.host, self.port) if self.port else self.network.free(self.host)
        port = MemoryPort(self.network, where, protocolFactory)
        try:
            port.startListening()
        except CannotListenError:
            return fail()
        return succeed(port)


@implementer(IStreamClientEndpoint)
@dataclass(frozen=True)
class MemoryClientEndpoint:
    """Connects in a :class:`MemoryNetwork`."""

    network: MemoryNetwork
    target: Address
    source: str

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with the connected protocol; fails with Twisted's ``ConnectError``s."""
        return _Attempt(self.network, self.network.free(self.source), self.target).start(
            protocolFactory
        )


class _Attempt:
    """One connect: a question over, an answer back, as TCP's first two segments."""

    def __init__(self, network: MemoryNetwork, source: Address, target: Address) -> None:
        self._network = network
        self._clock = network.clock
        self._source, self._target = source, target

    def start(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        self._factory = factory
        self._done: Deferred[IProtocol] = Deferred(self._cancel)
        self._give_up = self._clock.callLater(self._network.patience, self._fail, TimeoutError())
        factory.doStart()
        self._after(self._source, self._target, self._knock)
        return self._done

    def _after(self, sender: Address, receiver: Address, step: Callable[[], None]) -> None:
        """Call *step* when a segment has gone over, unless a partition swallows it."""

        def arrive() -> None:
            if self._give_up.active() and not self._network.parted(sender, receiver):
                step()

        self._clock.callLater(self._network.latency_between(sender, receiver), arrive)

    def _knock(self) -> None:
        port = self._network.ports.get(self._target)
        if port is None:
            self._after(self._target, self._source, self._refused)
        else:
            self._after(self._target, self._source, lambda: self._answered(port))

    def _refused(self) -> None:
        self._fail(ConnectionRefusedError())

    def _answered(self, port: MemoryPort) -> None:
        """The client's side is up; its next segment opens the server's."""
        try:
            protocol = self._factory.buildProtocol(self._target)
        except Exception as error:
            self._fail(error)
            return
        if protocol is None:
            self._fail(NoProtocol())
            return
        self._give_up.cancel()
        near = MemoryTransport(
            self._network, self._source, self._target, after=self._factory.doStop
        )
        near.peer = MemoryTransport(self._network, self._target, self._source, begin=port.accept)
        near.peer.peer = near
        near.knock()
        near.open(protocol)
        self._done.callback(protocol)

    def _cancel(self, done: Deferred[IProtocol]) -> None:
        self._fail(ConnectingCancelledError(self._target))

    def _fail(self, error: Exception) -> None:
        if self._give_up.active():
            self._give_up.cancel()
        self._factory.doStop()
        self._done.errback(error)
