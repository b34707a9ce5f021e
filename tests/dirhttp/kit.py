"""A network in memory whose servers serve documents."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from typing_extensions import override

from mixminion.directory.checks import SignedConsensus
from mixminion.dirhttp.cache import DocumentCache, Documents
from mixminion.dirhttp.resource import DocumentsResource
from mixminion.dirhttp.site import QuietSite
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.directory import SignedDirectory, sign_directory
from mixminion.testing.wire import MemoryNetwork
from tests.directory.network import NOW, authorities, published

PRIVATE, PUBLIC = authorities(3)
T = TypeVar("T")


def directory(
    *names: str, at: int = NOW, signers: Sequence[bytes] = PRIVATE, **changes: Any
) -> SignedDirectory:
    """A signed directory of the servers of those names."""
    descriptors = [published(name, i) for i, name in enumerate(names, 1)]
    return sign_directory(descriptors, signers, now=at, **changes)


def documents(signed: SignedDirectory, now: float = NOW) -> Documents:
    """The same as a fetch would give it."""
    return Documents(SignedConsensus.verify(signed.consensus, PUBLIC, now), signed.keys)


class Reader(Protocol):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.received = b""
        self.ended = False

    @override
    def dataReceived(self, data: bytes) -> None:
        self.received += data

    @override
    def connectionLost(self, reason: object = None) -> None:
        self.ended = True


class _Telling(DocumentsResource):
    """Tells what it was asked for."""

    def __init__(self, cache: DocumentCache, clock: HeapClock, asked: list[str]) -> None:
        super().__init__(cache, clock)
        self._asked = asked

    @override
    def render(self, request: Any) -> bytes | int:
        self._asked.append(request.path.decode().removeprefix("/mixminion/2/"))
        return super().render(request)


class ServingCase(SyncTestCase):
    """Servers on a virtual clock; ``asked`` has what they were asked for."""

    def setUp(self) -> None:
        self.asked: list[str] = []
        self.clock = HeapClock(NOW)
        self.network = MemoryNetwork(self.clock, latency=0.01)
        self.cache = DocumentCache(PUBLIC)

    def run_(self, work: Coroutine[Deferred[Any], Any, T], at_most: float = 3600.0) -> T:
        """The result of a coroutine, in at most so many virtual seconds."""
        return self.clock.result_of(Deferred.fromCoroutine(work), at_most)

    def serve(self, cache: DocumentCache, host: str, **options: int) -> QuietSite:
        """Serve *cache* on port 80 of *host*."""
        site = QuietSite(_Telling(cache, self.clock, self.asked), self.clock, **options)
        self.clock.result_of(self.network.server(host, 80).listen(site))
        return site

    def connect(self, host: str) -> Reader:
        """A raw connection to port 80 of *host*."""
        factory = Factory.forProtocol(Reader)
        factory.noisy = False
        connected: Any = self.clock.result_of(self.network.client(host, 80).connect(factory))
        reader: Reader = connected
        return reader
