"""A network in memory of which only the directory is there: servers that hold documents, and a
client's directory in a folder."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from typing_extensions import override

from mixminion.client.comparison import TIMEOUT, Comparison
from mixminion.client.database import Database, InlineExecutor
from mixminion.client.directory import Directory
from mixminion.client.imported import ImportedServers
from mixminion.client.progress import Event
from mixminion.client.schedule import Schedule
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.consensus import Consensus
from mixminion.directory.parameters import Parameters
from mixminion.directory.view import View
from mixminion.dirhttp.cache import DocumentCache, Documents
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.dirhttp.sources import Source
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.directory import SignedDirectory
from mixminion.testing.wire import MemoryNetwork
from mixminion.util.hostport import HostPort
from tests.directory.network import NOW
from tests.dirhttp.kit import PUBLIC, directory

T = TypeVar("T")
HOUR = 3600
PORT = 48_099
REAL = Parameters.default()


def host(number: int) -> str:
    """Where the server of that number is; the network lists it there."""
    return f"127.{number}.0.1"


class Talker(Protocol):
    """Answers whatever comes with *octets*: once, or without an end, or slowly, or never."""

    octets = b""
    endless = False

    @override
    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(self.octets)
        if self.endless:
            transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        transport: Any = self.transport
        transport.write(b"x" * 65_536)

    def pauseProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class CachesCase(SyncTestCase):
    """Servers ``mix1``, ``mix2``, ... on a virtual clock, the first *configured* of which the
    client knows without a directory."""

    servers = 4
    configured = 2

    def setUp(self) -> None:
        self.clock = HeapClock(NOW)
        self.wire = MemoryNetwork(self.clock, latency=0.01)
        self.names = [f"mix{n}" for n in range(1, self.servers + 1)]
        self.caches: dict[int, DocumentCache] = {}
        for number in range(1, self.servers + 1):
            self.serve(number)
        self.newest: SignedDirectory | None = None
        self.events: list[Event] = []
        self.dialled: list[tuple[float, str]] = []
        self.begin(b"client")

    def serve(self, number: int, documents: Documents | None = None) -> None:
        """Let that server hold these documents and nothing else."""
        cache = self.caches[number] = DocumentCache(PUBLIC)
        if documents is not None:
            self.ask(cache.accept(documents))
        self.listen(number, QuietSite(resource(cache, self.clock), self.clock))

    def listen(self, number: int, factory: Any) -> None:
        self.stop_listening(number)
        self.clock.result_of(self.wire.server(host(number), PORT).listen(factory))

    def talk(self, number: int, octets: bytes, endless: bool = False) -> None:
        """Let that server answer with nonsense."""
        protocol = type("Talking", (Talker,), {"octets": octets, "endless": endless})
        factory = Factory.forProtocol(protocol)
        factory.noisy = False
        self.listen(number, factory)

    def stop_listening(self, number: int) -> None:
        for where, port in list(self.wire.ports.items()):
            if where.host == host(number):
                self.clock.result_of(port.stopListening())

    # -- the authorities ---------------------------------------------------------------------

    def publish(
        self,
        at: float | None = None,
        to: Sequence[int] | None = None,
        *names: str,
        **changes: Any,
    ) -> Documents:
        """A consensus of now, or *at* another time, that follows the newest one; the servers
        *to* whom it goes, or all, hold it."""
        moment = int(self.clock.seconds() if at is None else at)
        previous = None
        if self.newest is not None:
            _, envelope = Consensus.open(self.newest.consensus)
            previous = envelope.digest
        fields = {"parameters": REAL, "previous": previous} | changes
        signed = directory(*(names or self.names), at=moment, **fields)
        if at is None:
            self.newest = signed
        found = Documents(SignedConsensus.verify(signed.consensus, PUBLIC, moment), signed.keys)
        for number in self.caches if to is None else to:
            self.ask(self.caches[number].accept(found))
        return found

    # -- the client --------------------------------------------------------------------------

    def begin(self, seed: bytes, held: Documents | None = None) -> None:
        """Another client, which holds these documents."""
        self.folder = Path(self.mktemp()).absolute()
        self.start(seed)
        if held is not None:
            self.ask(self.cache.accept(held))
            self.start(seed)

    def start(self, seed: bytes = b"client") -> None:
        """A client's run: what is on the disk is from the one before."""
        random = SeededRandom(seed)
        self.cache = DocumentCache(PUBLIC, self.folder / "directory")
        self.database = Database(self.folder / "client.sqlite", InlineExecutor())
        self.addCleanup(lambda: self.ask(self.database.close()))
        self.schedule = Schedule(self.database, self.clock, random)
        self.directory = Directory(
            cache=self.cache,
            fetcher=Fetcher(self.clock, self.dial, random),
            comparison=Comparison(
                self.cache, Fetcher(self.clock, self.dial, random, TIMEOUT), self.clock, random
            ),
            schedule=self.schedule,
            configured=[Source(HostPort(host(n + 1), PORT)) for n in range(self.configured)],
            beside=ImportedServers(self.database, InlineExecutor(), self.clock).beside,
            executor=InlineExecutor(),
            clock=self.clock,
            random=random,
        )

    def dial(self, source: Source) -> Any:
        self.dialled.append((self.clock.seconds(), source.place.host))
        return self.wire.client(source.place.host, source.place.port)

    def ask(self, awaitable: Awaitable[T], at_most: float = 86_400.0) -> T:
        waited: Any = awaitable
        if not isinstance(waited, Deferred):
            waited = Deferred.fromCoroutine(waited)
        result: T = self.clock.result_of(waited, at_most)
        return result

    def view(self) -> View:
        self.events.clear()
        return self.ask(self.directory.view(self.events.append))

    def update(self) -> Consensus:
        self.events.clear()
        return self.ask(self.directory.update(self.events.append))

    def told(self, kind: type[T]) -> list[T]:
        """The events of one kind, of the last use."""
        return [event for event in self.events if isinstance(event, kind)]
