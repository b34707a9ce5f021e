"""One end of a connection in memory, which behaves as a TCP transport of Twisted's does.

Octets written in one turn travel together and arrive as one; they wait at the receiver
while it is paused, then at the sender, whose producer is paused in its turn.  Everything
happens as calls on the network's clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, TimeoutError
from twisted.internet.interfaces import (
    IConsumer,
    IDelayedCall,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from mixminion.testing.wire import MemoryNetwork

Address = IPv4Address | IPv6Address
log = Logger()

BUFFER = 65_536
"""Octets a writer may have waiting before its producer is paused, as in Twisted."""


@implementer(ITCPTransport, IConsumer, IPushProducer)
class MemoryTransport:
    """One end of a connection.

    ``written`` and ``received`` count octets, ``peer`` is the other end.

    :param begin: called when the peer's opening segment arrives (:meth:`knock`).
    :param after: called when this end is over.
    """

    peer: MemoryTransport

    def __init__(
        self,
        network: MemoryNetwork,
        host: Address,
        peer_address: Address,
        begin: Callable[[MemoryTransport], object] | None = None,
        after: Callable[[], object] | None = None,
    ) -> None:
        self._network = network
        self._clock = network.clock
        self._host = host
        self._peer_address = peer_address
        self._begin, self._after = begin, after
        self.protocol: IProtocol | None = None
        self.connected = self.over = False
        self.disconnecting = False
        self.reading = True
        self.written = self.received = 0
        self._no_delay = self._keep_alive = False
        # Written here and not sent yet; True when the end follows it.
        self._outbox = bytearray()
        self._finish = self._finished = False
        self._producer: Any = None
        self._streaming = self._producer_paused = False
        # Sent by the peer: (arrival, octets); None opens, empty octets are the end.
        self._inbox: deque[tuple[float, bytes | None]] = deque()
        self._waiting = 0  #: octets in the inbox
        self._flush_call: IDelayedCall | None = None
        self._take_call: IDelayedCall | None = None
        self._give_up_call: IDelayedCall | None = None

    # -- ITransport, ITCPTransport

    def write(self, data: bytes) -> None:
        """Send *data*, after what was written before."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError("a transport writes octets")
        if not self.connected or self._finish:
            return
        self.written += len(data)
        self._outbox += data
        self._flush_soon()
        if self._producer is not None and self._streaming and len(self._outbox) > BUFFER:
            self._producer_paused = True
            self._producer.pauseProducing()  # each time, as Twisted does: TLS counts on it

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send all of *data*."""
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close when everything written, by the producer too, has been sent."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self.reading = False
            self._flush_soon()

    def loseWriteConnection(self) -> None:
        """Close the way out when everything written has been sent; go on reading."""
        self._finish = True
        self._flush_soon()

    def abortConnection(self) -> None:
        """Close at once; the peer is told by a reset."""
        if self.connected:
            self.disconnecting = True
            self.reading = False
            self._clock.callLater(0, self.end, ConnectionAborted())
            self._reset_peer()

    def getHost(self) -> Any:
        """This end's address."""
        return self._host

    def getPeer(self) -> Any:
        """The other end's address."""
        return self._peer_address

    def getTcpNoDelay(self) -> bool:
        """What was set; it changes nothing here."""
        return self._no_delay

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Remembered, so that a test can see it."""
        self._no_delay = bool(enabled)

    def getTcpKeepAlive(self) -> bool:
        """What was set; it changes nothing here."""
        return self._keep_alive

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Remembered, so that a test can see it."""
        self._keep_alive = bool(enabled)

    # -- IConsumer: whoever writes here

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let *producer* write; a streaming one is paused while too much waits."""
        if self._producer is not None:
            raise RuntimeError("a producer is registered already")
        if not self.connected:
            producer.stopProducing()
            return
        self._producer, self._streaming, self._producer_paused = producer, streaming, False
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """The producer has written all it had."""
        self._producer = None
        self._flush_soon()

    # -- IPushProducer: what arrives here

    def pauseProducing(self) -> None:
        """Stop reading: what arrives waits, and in the end holds up the sender."""
        self.reading = False

    def resumeProducing(self) -> None:
        """Read again."""
        if self.connected and not self.disconnecting:
            self.reading = True
            self.wake()

    def stopProducing(self) -> None:
        """Nobody wants what arrives."""
        self.loseConnection()

    # -- the beginning and the end

    def open(self, protocol: IProtocol) -> None:
        """The connection is made for this end."""
        self.protocol = protocol
        self.connected = True
        self._network.opened(self)
        self._guarded(protocol.makeConnection, self)
        self.wake()

    def knock(self) -> None:
        """Tell the peer that this end is open; ahead of anything that is written."""
        self._send(None)

    def end(self, reason: Exception) -> None:
        """The connection is over for this end."""
        if self.over:
            return
        self.over, self.connected = True, False
        self._network.closed(self)
        for call in (self._flush_call, self._give_up_call):
            if call is not None and call.active():
                call.cancel()
        self._outbox.clear()
        producer, self._producer = self._producer, None
        if producer is not None:
            self._guarded(producer.stopProducing)
        if self.protocol is not None:
            self._guarded(self.protocol.connectionLost, Failure(reason))
        if self._after is not None:
            self._after()

    def abandon(self) -> None:
        """Close an end that nobody opened; the peer sees an orderly close."""
        self._send(b"")
        self.end(ConnectionDone())

    def wake(self) -> None:
        """See to what is in the inbox when it is due."""
        if self._inbox and self._take_call is None:
            delay = max(0.0, self._inbox[0][0] - self._clock.seconds())
            self._take_call = self._clock.callLater(delay, self._take)

    # -- the way there

    def _latency(self) -> float:
        return self._network.latency_between(self._host, self._peer_address)

    def _flush_soon(self) -> None:
        if self.connected and self._flush_call is None:
            self._flush_call = self._clock.callLater(0, self._flush)

    def _flush(self) -> None:
        """Send what the peer's window takes; when all is sent, ask for more, or close."""
        self._flush_call = None
        peer, network = self.peer, self._network
        while self._outbox and (room := network.window - peer._waiting) > 0:
            size = min(room, network.segment, len(self._outbox))
            self._send(bytes(self._outbox[:size]))
            del self._outbox[:size]
        if self._outbox:
            return
        producer = self._producer
        if producer is not None:
            if not self._streaming or self._producer_paused:
                self._producer_paused = False
                self._guarded(producer.resumeProducing)
        elif self.disconnecting or self._finish:
            if not self._finished:
                self._finish = self._finished = True
                self._send(b"")
            if self.disconnecting:
                self.end(ConnectionDone())

    def _send(self, octets: bytes | None) -> None:
        """Put one segment on its way; never faster than the one before it."""
        peer = self.peer
        arrival = self._clock.seconds() + self._latency()
        if peer._inbox:
            arrival = max(arrival, peer._inbox[-1][0])
        peer._inbox.append((arrival, octets))
        peer._waiting += len(octets or b"")
        peer.wake()

    def _reset_peer(self) -> None:
        """Break the connection for the peer too, if the news reaches it."""

        def arrive() -> None:
            if not self._network.parted(self._host, self._peer_address):
                self.peer.end(ConnectionLost())

        self._clock.callLater(self._latency(), arrive)

    # -- the way here

    def _take(self) -> None:
        """Hand what has arrived to the protocol, unless it is paused or the way is cut."""
        self._take_call = None
        while self._inbox and self._inbox[0][0] <= self._clock.seconds():
            if self._network.parted(self._host, self._peer_address):
                self.peer._lose_patience()
                return
            self.peer._keep_patience()
            if self.over:
                self._inbox.clear()
                self._waiting = 0
                self._reset_peer()
                return
            if not self.reading:
                return
            _, octets = self._inbox.popleft()
            if octets is None:
                assert self._begin is not None
                self._begin(self)
            elif octets:
                self._receive(octets)
            else:
                self._peer_finished()
        self.wake()

    def _receive(self, octets: bytes) -> None:
        self.received += len(octets)
        self._waiting -= len(octets)
        if self.peer._outbox:
            self.peer._flush_soon()
        assert self.protocol is not None
        self._guarded(self.protocol.dataReceived, octets)

    def _peer_finished(self) -> None:
        """The end of the peer's octets."""
        half = IHalfCloseableProtocol(self.protocol, None)
        if half is None:
            self.end(ConnectionDone())
        else:
            self._guarded(half.readConnectionLost)

    def _lose_patience(self) -> None:
        """What this end sent does not arrive: after a while it gives up."""
        if self.connected and self._give_up_call is None:
            self._give_up_call = self._clock.callLater(self._network.patience, self._give_up)

    def _keep_patience(self) -> None:
        if self._give_up_call is not None:
            call, self._give_up_call = self._give_up_call, None
            if call.active():
                call.cancel()

    def _give_up(self) -> None:
        self.peer._inbox.clear()
        self.peer._waiting = 0
        self.end(TimeoutError())

    def _guarded(self, function: Callable[..., object], *args: object) -> None:
        """Call into the protocol; what it raises is logged and costs it the connection."""
        try:
            function(*args)
        except Exception as error:
            log.failure("A protocol raised")
            if not self.over:
                self.end(error)
                self._reset_peer()
