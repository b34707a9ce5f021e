"""A whole network in one process, on a virtual clock.

The mixes are real in everything but what surrounds them: memory wires carry real TLS, the
store is real LMDB in a folder, packets are real, and the clock jumps from call to call, so
that an hour of mixing takes as long as its work does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.internet.protocol import Factory
from zope.interface import implementer

from mixminion.counters import Counters
from mixminion.crypto import kdf, sign
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.descriptor import PROTOCOLS, Descriptor, PacketKey
from mixminion.directory.parameters import Parameters
from mixminion.directory.parts import Exit
from mixminion.directory.view import View
from mixminion.disk import private
from mixminion.errors import PeerError
from mixminion.exits.delivery import Delivery
from mixminion.interfaces import (
    DeliveryPolicy,
    IExit,
    Message,
    Outcome,
    OutcomeKind,
    Refusal,
)
from mixminion.mix.keys import PacketKeys
from mixminion.mix.periods import KeyPeriods
from mixminion.mix.server import MixServer, Surroundings
from mixminion.mix.unwrapping import Unwrapping
from mixminion.mix.workers import InlineWorkers
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import Link, connect
from mixminion.net.links import LinkCredentials, certify
from mixminion.net.tls import client_tls
from mixminion.payload import message
from mixminion.sphinx import build
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.build import Hop
from mixminion.sphinx.geometry import Geometry
from mixminion.store import InlineExecutor, Store
from mixminion.testing.clock import HeapClock
from mixminion.testing.directory import server_signer, sign_directory
from mixminion.testing.process import Process
from mixminion.testing.wire import MemoryNetwork
from mixminion.util.hostport import HostPort

PORT = 48_099
DAY = 86_400
STORE = 64 * 2**20
EXIT = "collect"


@implementer(IExit)
class Collector:
    """An exit that keeps what it is handed; ``outcome`` is what it says of the next ones."""

    name = EXIT
    domain = "mix.example"
    policy = DeliveryPolicy(concurrency=4, retry_first=60.0, retry_longest=600.0, expiry=DAY)

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.outcome = Outcome(OutcomeKind.DELIVERED, "collected")

    def describe(self) -> Mapping[str, Any]:
        """See :class:`IExit`."""
        return {"module": "collect", "max-message": 2**20}

    def check(self, recipients: Sequence[str], content: bytes, reply: bool) -> str | None:
        """Everything is welcome."""
        return None

    def start(self) -> Awaitable[None]:
        """Nothing to start."""
        return succeed(None)

    def stop(self) -> Awaitable[None]:
        """Nothing to stop."""
        return succeed(None)

    def deliver(self, message: Message) -> Awaitable[Outcome]:
        """Keep it, if it is to be delivered."""
        if self.outcome.kind is OutcomeKind.DELIVERED:
            self.messages.append(message)
        return succeed(self.outcome)


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
        self.folder = network.folder / f"mix{number}"
        self.exit = Collector()
        self.counters = Counters()
        self.server: MixServer | None = None
        self.process: Process | None = None
        now = network.clock.seconds()
        identity_private, self.identity = sign.generate()
        self.node_id = kdf.sha256(self.identity)
        signing_private, signing_public = sign.generate()
        start = int(now) - 3600
        self._credentials = LinkCredentials(
            self.identity,
            signing_private,
            certify(identity_private, signing_public, start, start + 60 * DAY),
            network.clock,
        )
        keys = self.folder / "keys"
        private.make_folder(keys)
        self.keys = PacketKeys(keys, network.geometry, self.node_id)
        parameters = network.parameters
        periods = KeyPeriods(parameters.key_period, parameters.key_grace).published(now)
        suite = network.geometry.suite.name
        self.descriptor = Descriptor(
            identity=self.identity,
            nickname=f"mix{number}",
            start=1,
            published=int(now),
            valid_after=int(now),
            valid_until=int(now) + 30 * DAY,
            addresses=(HostPort(self.host, PORT),),
            protocols=PROTOCOLS,
            suites=(suite,),
            packet_keys=tuple(
                PacketKey(period=n, suite=suite, key=self.keys.make(n)) for n in periods
            ),
            exits=(Exit.described(EXIT, self.exit.describe()),),
        ).sign(server_signer(identity_private, signing_private, now=now))

    def start(self) -> None:
        """Start it on what its store holds."""
        network = self._network
        network.clock.result_of(self.begin(Process(network.clock, network.wire, self.host)))

    def begin(self, process: Process) -> Deferred[None]:
        """Start it as *process*; fires when it is ready."""
        network = self._network
        random, clock = network.random, process.clock
        around = Surroundings(
            clock=clock,
            random=random,
            counters=self.counters,
            workers=InlineWorkers(Unwrapping(self.keys, None, network.geometry.packet)),
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
                {EXIT: self.exit}, store, clock, random, self.counters, "mix.example"
            ),
            documents=Factory(),
        )
        self.process = process
        self.server = MixServer(self._credentials, network.view, around)
        self.server.open()
        return Deferred.fromCoroutine(self.server.start())

    def kill(self) -> None:
        """End it at once; all that is left is what its store has committed."""
        assert self.process is not None
        self.process.kill()
        self.process = self.server = None

    def stop(self) -> None:
        """Stop it in order."""
        assert self.server is not None
        self._network.clock.result_of(Deferred.fromCoroutine(self.server.stop()))
        self.process = self.server = None


class VirtualNetwork:
    """*count* mixes under *folder*, and the directory that lists them."""

    def __init__(
        self,
        folder: Path,
        count: int = 4,
        *,
        parameters: Parameters | None = None,
        geometry: Geometry | None = None,
        seed: bytes = b"network",
        commit: float = 0.0,
    ) -> None:
        """*commit*: seconds that pass before a mix's store has done what it is asked for."""
        self.folder = folder
        self.clock = HeapClock()
        self.random = SeededRandom(seed)
        self.commit = commit
        self.wire = MemoryNetwork(self.clock)
        self.parameters = parameters or Parameters.local_demo()
        self.geometry = geometry or geometries.default()
        self.mixes = [VirtualMix(self, n) for n in range(1, count + 1)]
        self.view = self._sign()

    def start(self) -> None:
        """Start every mix."""
        for mix in self.mixes:
            mix.start()

    def stop(self) -> None:
        """Stop those that run."""
        for mix in self.mixes:
            if mix.server is not None:
                mix.stop()

    def _sign(self) -> View:
        private, _ = sign.generate()
        return sign_directory(
            [mix.descriptor for mix in self.mixes],
            [private],
            now=self.clock.seconds(),
            parameters=self.parameters,
        ).view()

    # -- a sender ------------------------------------------------------------------------------

    def packet(self, path: Sequence[VirtualMix], text: bytes, delay_ms: int = 500) -> bytes:
        """A packet with a message for the last mix's exit."""
        period = self.view.current_period(self.clock.seconds())
        hops = [
            Hop(mix.node_id, self.view.packet_key(mix.identity, period), delay_ms) for mix in path
        ]
        body = message.to_body(self.geometry, EXIT, ["bob@example.test"], text, self.random)
        return build.forward(self.geometry, hops, body, self.random)

    def send(self, mix: VirtualMix, packets: Sequence[bytes]) -> Sender:
        """Hand packets to a mix as a client does, who has no certificate; once they are
        answered the link is closed."""
        sender = Sender(packets)
        _ = connect(
            self.clock,
            self.wire.client(mix.host, PORT),
            client_tls(mix.identity, None, [ALPN], self.clock),
            self.geometry.packet,
            sender,
        ).addErrback(sender.failed)
        self.clock.run_until(lambda: sender.over)
        return sender


class Sender:
    """A link's user with some packets to send, once each; keys are their places in line."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        self._packets = packets
        self._next = 0
        self.received_keys: list[int] = []
        self.refusals: dict[int, Refusal] = {}
        self.left: list[int] = []
        self.over = False

    def opened(self, link: Link) -> None:
        """Begin."""
        self._link = link
        self._feed()

    def received(self, keys: list[int]) -> None:
        """On the mix's disk."""
        self.received_keys += keys
        self._feed()

    def refused(self, key: int, refusal: Refusal) -> None:
        """Not taken."""
        self.refusals[key] = refusal
        self._feed()

    def lost(self, unacknowledged: list[int], error: PeerError | None) -> None:
        """The end."""
        self.left = unacknowledged
        self.over = True

    def failed(self, failure: object) -> None:
        """There was no link."""
        self.left = list(range(len(self._packets)))
        self.over = True

    def _feed(self) -> None:
        while self._next < len(self._packets) and self._link.room:
            self._link.send(self._next, self._packets[self._next])
            self._next += 1
        if len(self.received_keys) + len(self.refusals) == len(self._packets):
            _ = self._link.close()
