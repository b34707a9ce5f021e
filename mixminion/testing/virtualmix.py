"""One mix of a virtual network: real in everything but what surrounds it.

It fetches the directory, and publishes where an authority has an address, over real HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from typing_extensions import override

from mixminion.counters import Counters
from mixminion.crypto import kdf, sign
from mixminion.directory.bootstrap import Authority, authority
from mixminion.directory.descriptor import PROTOCOLS, Descriptor, PacketKey
from mixminion.directory.parts import Exit, Rule
from mixminion.directory.view import View
from mixminion.dirhttp.cache import DocumentCache
from mixminion.dirhttp.fetch import Fetcher
from mixminion.dirhttp.requester import Requester
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.dirhttp.sources import Dial, Source, over_tls
from mixminion.disk import private
from mixminion.exits.delivery import Delivery
from mixminion.exits.section import FragmentsSection
from mixminion.interfaces import IExit
from mixminion.mix.batches import Made, Wanted
from mixminion.mix.documents import Documents
from mixminion.mix.keys import PacketKeys
from mixminion.mix.publishing import Publishing
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


class Workers(InlineWorkers):
    """Do not look at key files again and again, which would be most of a month's work."""

    @override
    def check(self) -> Deferred[None]:
        """Nobody else has them."""
        return succeed(None)


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
        self._identity_private, self.identity = sign.generate()
        self.node_id = kdf.sha256(self.identity)
        self.certify()
        self._start = 1  # the number of its store's start
        self.publishing: Publishing | None = None
        keys = self.folder / "keys"
        private.make_folder(keys)
        self.keys = PacketKeys(keys, self.node_id)
        self.cache = DocumentCache(network.directory.authorities)
        current = int(network.clock.seconds() // network.parameters.key_period)
        wanted = [
            Wanted(n, geometries.of(network.schedule(n))) for n in range(current, current + PERIODS)
        ]
        self.publish([self.keys.make(each) for each in wanted])

    def certify(self) -> None:
        """Make a new signing key, valid for 60 days; one that runs uses it for links when it is
        started again."""
        now = self._network.clock.seconds()
        secret, public = sign.generate()
        start = int(now) - 3600
        certificate = certify(self._identity_private, public, start, start + 60 * DAY)
        self._signer = server_signer(self._identity_private, secret, now=now)
        self._credentials = LinkCredentials(self.identity, secret, certificate, self._network.clock)

    def publish(self, made: Sequence[Made]) -> None:
        """Describe this server with those packet keys, and tell the network's authorities."""
        now = self._network.clock.seconds()
        self.descriptor = self.cache.descriptor = Descriptor(
            identity=self.identity,
            nickname=self.nickname,
            start=self._start,
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
        ).sign(self._signer)
        self._network.directory.publish(self.descriptor)
        if self.publishing is not None:
            self.publishing.offer(self.descriptor)

    def update(self) -> None:
        """Fetch the directory for one that does not run."""
        network = self._network
        fetcher = self._fetcher(Process(network.clock, network.wire, self.host))
        fetching = Deferred.fromCoroutine(fetcher.fetch(self._sources, self.cache))
        at_once(self.cache.accept(network.clock.result_of(fetching).documents))

    def _exits(self) -> dict[str, IExit]:
        """The exits of a server that starts now."""
        return {EXIT: self.exit, **self._network.exits()}

    def start(self) -> None:
        """Start it on what its store holds; where it has no directory it fetches one first."""
        network = self._network
        if self.cache.latest is None:
            self.update()
        network.clock.result_of(self.begin(Process(network.clock, network.wire, self.host)))

    def begin(self, process: Process) -> Deferred[None]:
        """Start it as *process*; fires when it is ready."""
        network = self._network
        random, clock, cache = network.random, process.clock, self.cache
        around = Surroundings(
            clock=clock,
            random=random,
            counters=self.counters,
            workers=Workers(Unwrapping(self.keys)),
            open_store=lambda: self._open(process),
            listen=lambda factory: Listening(network.wire, self.host, factory, process),
            connect=lambda address: self._endpoint(process, address),
            delivery=lambda store: Delivery(
                self._exits(), store, clock, random, self.counters, "mix.example"
            ),
            documents=QuietSite(resource(cache, clock), clock),
            publish=self.publish,
            accepts=self.accepts,
            dials=self.dials,
        )
        view = cache.latest
        assert view is not None
        self.process = process
        self.server = MixServer(self._credentials, view, around)
        self.server.open()
        self.publishing = Publishing(
            clock=clock,
            random=random,
            requester=Requester(clock, self._dialler(process)),
            authorities=self._authorities,
            identity=self.identity,
            renew=self.server.publish,
        )
        self._documents = Documents(
            clock=clock,
            random=random,
            cache=cache,
            fetcher=self._fetcher(process),
            sources=self._sources,
            adopt=self._adopt,
            early=self.publishing.check.early,
        )
        self._documents.start()
        self.publishing.start()
        return Deferred.fromCoroutine(self.server.start())

    def _open(self, process: Process) -> Store:
        network = self._network
        store = Store.open(
            self.folder / "store",
            map_size=STORE,
            in_thread=process.executor(InlineExecutor(process.clock), network.commit),
            random=network.random,
            published=self._start,
            free_reserve=0,
        )
        self._start = store.started.number
        return store

    # -- the directory -------------------------------------------------------------------------

    @property
    def _authorities(self) -> list[Authority]:
        return [authority.read(line) for line in self._network.directory.lines]

    @property
    def _sources(self) -> list[Source]:
        """Everywhere to ask but at other mixes."""
        urls = [each.url for each in self._authorities if each.url]
        return [Source.parse(url) for url in (*urls, *self._network.directory.sources)]

    def _endpoint(self, process: Process, place: HostPort) -> IStreamClientEndpoint:
        return process.endpoint(self._network.wire.client(place.host, place.port, self.host))

    def _dialler(self, process: Process) -> Dial:
        return lambda source: over_tls(source, self._endpoint(process, source.place), process.clock)

    def _fetcher(self, process: Process) -> Fetcher:
        return Fetcher(process.clock, self._dialler(process), self._network.random)

    def _adopt(self, view: View) -> None:
        """A newer consensus."""
        assert self.server is not None
        self.server.adopt(view)
        assert self.publishing is not None
        self.publishing.consensus(float(view.parameters.consensus_interval))

    # -- ending --------------------------------------------------------------------------------

    def kill(self) -> None:
        """End it at once; all that is left is what its store has committed."""
        assert self.process is not None
        self.process.kill()
        self.process = self.server = self.publishing = None

    def stop(self) -> None:
        """Stop it in order."""
        assert self.server is not None and self.publishing is not None
        self._documents.stop()
        self.publishing.stop()
        self._network.clock.result_of(Deferred.fromCoroutine(self.server.stop()))
        self.process = self.server = self.publishing = None
