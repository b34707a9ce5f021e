"""One end of a connection without any other end: octets go in by hand, out into memory."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.fuzz.targets.links import cut


class Wire(StringTransport):
    """A transport whose producer is asked by hand, and that ends as a real one does."""

    def __init__(self) -> None:
        super().__init__()
        self.tls = False

    def startTLS(self, context: object) -> None:
        """What follows is taken for decrypted."""
        self.tls = True

    def pump(self, times: int) -> None:
        """Let a pulling producer write so often."""
        for _ in range(times):
            if self.producer is not None and not self.streaming:
                self.producer.resumeProducing()

    def end(self, protocol: Any, *, clean: bool) -> None:
        """The connection is gone."""
        if self.producer is not None:
            self.producer.stopProducing()
        reason = ConnectionDone() if clean else ConnectionLost()
        protocol.connectionLost(Failure(reason))


def talk(protocol: Any, wire: Wire, octets: bytes, random: Random) -> Iterator[None]:
    """Feed *octets* to *protocol* in pieces, and lose the connection: before the end when the
    protocol wants that.  Yields after each step."""
    yield
    for piece in cut(octets, random):
        if wire.disconnecting:
            break
        protocol.dataReceived(piece)
        wire.pump(random.randrange(4))
        yield
    wire.end(protocol, clean=random.random() < 0.5)
    yield
