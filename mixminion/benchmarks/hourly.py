"""``directory-10k-hourly``: what a client downloads in an hour in which 10,000 servers changed
nothing: all octets of its connection, both ways, TLS included; the bound is 100 kB."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from typing_extensions import override
from zope.interface import implementer

from mixminion.benchmarks import large
from mixminion.benchmarks.large import NOW, Large
from mixminion.counters import Counters
from mixminion.crypto import sign
from mixminion.crypto.rng import SystemRandom
from mixminion.directory.checks import SignedConsensus
from mixminion.dirhttp.cache import DocumentCache, Documents
from mixminion.dirhttp.endpoints import ALPN
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.dirhttp.sources import Source, over_tls
from mixminion.net.alpn import link_factory
from mixminion.net.links import LinkCredentials, certify
from mixminion.net.tls import server_tls
from mixminion.testing.clock import HeapClock
from mixminion.testing.wire import MemoryNetwork

HOUR = 3600
DAY = 86_400
BOUND = 100.0
"""kB."""


class _Counted(ProtocolWrapper):
    factory: Any

    @override
    def dataReceived(self, data: bytes) -> None:
        self.factory.octets += len(data)
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    @override
    def write(self, data: bytes) -> None:
        self.factory.octets += len(data)
        super().write(data)  # type: ignore[no-untyped-call]

    @override
    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))


class _Counting(WrappingFactory[Any]):
    protocol = _Counted
    noisy = False
    octets = 0


@implementer(IStreamClientEndpoint)
class _Meter:
    """Counts what its connections carry."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint
        self._made: list[_Counting] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with *protocolFactory*'s protocol."""
        counting = _Counting(protocolFactory)  # type: ignore[no-untyped-call]
        self._made.append(counting)
        connecting: Any = self._endpoint.connect(counting)
        unwrapped: Deferred[IProtocol] = connecting.addCallback(lambda each: each.wrappedProtocol)
        return unwrapped

    @property
    def octets(self) -> int:
        """So far."""
        return sum(each.octets for each in self._made)


def run(servers: int = large.SERVERS) -> list[dict[str, Any]]:
    """The row."""
    value = hourly(servers) / 1000
    return [
        {
            "name": "directory-10k-hourly",
            "value": round(value, 1),
            "unit": "kB",
            "bound": BOUND,
            "ratio": round(value / BOUND, 3),
        }
    ]


def hourly(servers: int) -> int:
    """Octets of one fetch by a client that holds the consensus of an hour before."""
    clock = HeapClock(NOW + HOUR + 60)
    before, after = large.make(servers), large.make(servers, NOW + HOUR)
    network = MemoryNetwork(clock)
    theirs, ours = (DocumentCache(before.authorities) for _ in range(2))
    for cache, directory in ((theirs, before), (theirs, after), (ours, before)):
        clock.result_of(Deferred.fromCoroutine(cache.accept(_documents(directory))))
    clock.result_of(network.server("127.1.0.1", 48099).listen(_server(theirs, clock)))
    meter = _Meter(network.client("127.1.0.1", 48099))
    source = Source.parse("https://127.1.0.1:48099/")
    fetcher = Fetcher(clock, lambda source: over_tls(source, meter, clock), SystemRandom())
    fetched = clock.result_of(Deferred.fromCoroutine(fetcher.fetch([source], ours)))
    if fetched.documents.signed.octets != after.consensus:
        raise AssertionError("it is not the newest")
    return meter.octets


def _documents(directory: Large) -> Documents:
    signed = SignedConsensus.verify(directory.consensus, directory.authorities, NOW + HOUR)
    return Documents(signed, directory.keys)


def _server(cache: DocumentCache, clock: HeapClock) -> Any:
    """A server's own port."""
    identity_private, identity = sign.generate()
    signing_private, signing_public = sign.generate()
    certificate = certify(identity_private, signing_public, NOW - DAY, NOW + 30 * DAY)
    credentials = LinkCredentials(identity, signing_private, certificate, clock)
    site = QuietSite(resource(cache, clock), clock)
    return link_factory(server_tls(credentials, [ALPN], clock), {ALPN: site}, clock, Counters())
