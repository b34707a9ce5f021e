"""One mix of a virtual network: real in everything but what surrounds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory

from mixminion.counters import Counters
from mixminion.crypto import kdf, sign
from mixminion.directory.descriptor import PROTOCOLS, Descriptor, PacketKey
from mixminion.directory.parts import Exit, Rule
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.dirhttp.sources import Source, over_tls
from mixminion.disk import private
from mixminion.exits.delivery import Delivery
from mixminion.exits.section import FragmentsSection
from mixminion.interfaces import IExit
from mixminion.mix.batches import Made, Wanted
from mixminion.mix.documents import Documents
from mixminion.mix.keys import PacketKeys
from mixminion.mix.server import MixServer, Surroundings
from mixminion.mix.unwrapping import Unwrapping
from mixminion.mix.workers import InlineWorkers
from mixminion.net.links import LinkCredentials, certify
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx import suites
from mixminion.store import InlineExecutor, Store
from mixminion.testing.collector import EXIT, Collector
from mixminion.testing.directory import PERIODS, server_signer
from mixminion.testing.handsigned import at_once
from mixminion.testing.process import Process
from mixminion.testing.wire import MemoryNetwork
from mixminion.util.hostport import HostPort

if TYPE_CHECKING:
    from mixminion.testing.virtual import VirtualNetwork

PORT = 48_099
DAY = 86_400
STORE = 64 * 2**20


class Listening:
    """Listens in a memory network while it runs."""

    def __init__(
        self, network: MemoryNetwork, host: str, factory: IProtocolFactory, process: Process
    ) -> None:
        self._endpoint = network.server(host, PORT)
        self._factory = process.factory(factory)
        self._process = process
        self._port: IListeningPort | None = None

    def startService(self) -> None:
        """Listen."""
        _ = self._endpoint.listen(self._factory).addCallback(self._listens)
        self._process.at_end(self.stopService)

    def stopService(self) -> Any:
        """Accept no more."""
        assert self._port is not None
        return self._port.stopListening()

    def _listens(self, port: IListeningPort) -> None:
        self._port = port


class VirtualMix:
    """One mix: its keys, its exit, and the server while it runs."""

    def __init__(self, network: VirtualNetwork, number: int) -> None:
        self._network = network
        self.host = f"127.{number}.0.1"
        self.nickname = f"mix{number}"
        self.folder = network.folder / self.nickname
        self.exit = Collector()
        self.accepts: Sequence[Rule] = ()
        self.dials: Sequence[Rule] = ()
        self.counters = Counters()
        self.server: MixServer | None = None
        self.process: Process | None = None
        now = network.clock.seconds()
        self._identity_private, self.identity = sign.generate()
        self.node_id = kdf.sha256(self.identity)
        self._signing_private, signing_public = sign.generate()
        start = int(now) - 3600
        self._credentials = LinkCredentials(
            self.identity,
            self._signing_private,
            certify(self._identity_private, signing_public, start, start + 60 * DAY),
            network.clock,
        )
        keys = self.folder / "keys"
        private.make_folder(keys)
        self.keys = PacketKeys(keys, self.node_id)
        self.cache = DocumentCache(network.directory.authorities)
        current = int(now // network.parameters.key_period)
        wanted = [
            Wanted(n, geometries.of(network.schedule(n))) for n in range(current, current + PERIODS)
        ]
        self.publish([self.keys.make(each) for each in wanted])

    def publish(self, made: Sequence[Made]) -> None:
        """Describe this server with those packet keys, and tell the network's authorities."""
        now = self._network.clock.seconds()
        self.descriptor = self.cache.descriptor = Descriptor(
            identity=self.identity,
            nickname=self.nickname,
            start=1,
            published=int(now),
            valid_after=int(now),
            valid_until=int(now) + 30 * DAY,
            addresses=(HostPort(self.host, PORT),),
            accepts=tuple(self.accepts),
            dials=tuple(self.dials),
            protocols=PROTOCOLS,
            suites=suites.NAMES,
            packet_keys=tuple(
                PacketKey(period=each.period, suite=each.suite, key=each.key) for each in made
            ),
            exits=tuple(
                Exit.described(name, FragmentsSection().published(exit.describe()))
                for name, exit in self._exits().items()
            ),
        ).sign(server_signer(self._identity_private, self._signing_private, now=now))
        self._network.directory.publish(self.descriptor)

    def _exits(self) -> dict[str, IExit]:
        """The exits of a server that starts now."""
        return {EXIT: self.exit, **self._network.exits()}

    def start(self) -> None:
        """Start it on what its store holds."""
        network = self._network
        network.clock.result_of(self.begin(Process(network.clock, network.wire, self.host)))

    def begin(self, process: Process) -> Deferred[None]:
        """Start it as *process*; fires when it is ready."""
        network = self._network
        random, clock, cache = network.random, process.clock, self.cache
        around = Surroundings(
            clock=clock,
            random=random,
            counters=self.counters,
            workers=InlineWorkers(Unwrapping(self.keys)),
            open_store=lambda: Store.open(
                self.folder / "store",
                map_size=STORE,
                in_thread=process.executor(InlineExecutor(clock), network.commit),
                random=random,
                free_reserve=0,
            ),
            listen=lambda factory: Listening(network.wire, self.host, factory, process),
            connect=lambda address: process.endpoint(
                network.wire.client(address.host, address.port, self.host)
            ),
            delivery=lambda store: Delivery(
                self._exits(), store, clock, random, self.counters, "mix.example"
            ),
            documents=QuietSite(resource(cache, clock), clock),
            publish=self.publish,
            accepts=self.accepts,
            dials=self.dials,
        )
        if cache.latest is None:
            at_once(cache.accept(network.directory.documents))
        view = cache.latest
        assert view is not None
        self.process = process
        self.server = MixServer(self._credentials, view, around)
        self.server.open()
        self._documents = Documents(
            clock=clock,
            random=random,
            cache=cache,
            fetcher=Fetcher(
                clock,
                lambda source: over_tls(source, around.connect(source.place), clock),
                random,
            ),
            sources=[Source.parse(source) for source in network.directory.sources],
            adopt=self.server.adopt,
        )
        self._documents.start()
        return Deferred.fromCoroutine(self.server.start())

    def kill(self) -> None:
        """End it at once; all that is left is what its store has committed."""
        assert self.process is not None
        self.process.kill()
        self.process = self.server = None

    def stop(self) -> None:
        """Stop it in order."""
        assert self.server is not None
        self._documents.stop()
        self._network.clock.result_of(Deferred.fromCoroutine(self.server.stop()))
        self.process = self.server = None
