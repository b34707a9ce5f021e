"""A network of which only the doors are real: mixes that listen with TLS and MMTP, serve a
hand-signed directory beside it, and keep what they get.  Packets are unwrapped when a test
asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from mixminion import api
from mixminion.counters import Counters
from mixminion.crypto import kdf
from mixminion.crypto import sign as ed25519
from mixminion.directory.descriptor import PROTOCOLS, Descriptor, PacketKey
from mixminion.directory.parameters import Parameters
from mixminion.directory.parts import Exit
from mixminion.dirhttp.documents import Known
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.interfaces import IIntake, Refusal
from mixminion.mmtp import ALPN
from mixminion.mmtp.server import MMTPServerFactory
from mixminion.net.alpn import link_factory
from mixminion.net.links import LinkCredentials, certify
from mixminion.net.tls import server_tls
from mixminion.payload import frame, message
from mixminion.payload.fragments import Fragment
from mixminion.sphinx import geometry, suites
from mixminion.sphinx.unwrap import Deliver, Relay, Unwrapper
from mixminion.testing.cases import AsyncTestCase, SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.directory import SignedDirectory, server_signer, sign_directory
from mixminion.testing.wire import MemoryNetwork
from mixminion.util.hostport import HostPort

reactor: Any = installed
GEOMETRY = geometry.default("xwing")
DAY = 86_400
SMTP = Exit(name="smtp", module="smtp", max_message=24_000)
DROP = Exit(name="drop", module="drop", max_message=2**25, policy={"fragments": 432_000})

Listen = Callable[[str, Any], int]
"""Listen at a host with a factory; the port."""


@implementer(IIntake)
class Intake:
    """Keeps packets; refuses or leaves them unanswered when a test says so."""

    def __init__(self) -> None:
        self.packets: list[bytes] = []
        self.refusal: Refusal | None = None
        self.silent = False

    def receive(self, packet: bytes) -> Awaitable[Refusal | None]:
        if self.refusal is None:
            self.packets.append(packet)
        return Deferred() if self.silent else succeed(self.refusal)

    def padding(self) -> Awaitable[Refusal | None]:
        return succeed(self.refusal)


class Mix:
    """One server: its keys, where it listens, what it got."""

    def __init__(self, network: Network, number: int, exits: tuple[Exit, ...]) -> None:
        self.nickname = f"mix{number}"
        self.host = f"127.{number}.0.1"
        self.identity_private, self.identity = ed25519.generate()
        self.node_id = kdf.sha256(self.identity)
        self.exits = exits
        self.packet_keys: dict[int, tuple[bytes, bytes]] = {}
        self.intake = Intake()
        self.door: Any = Door(network)
        self.changes: dict[str, Any] = {}  #: of its descriptor
        clock, now = network.clock, int(network.clock.seconds())
        signing_private, signing_public = ed25519.generate()
        certificate = certify(self.identity_private, signing_public, now - DAY, now + 60 * DAY)
        credentials = LinkCredentials(self.identity, signing_private, certificate, clock)
        protocols: dict[bytes, Any] = {
            ALPN: MMTPServerFactory(self.intake, clock, GEOMETRY.packet, 64, Counters()),
            b"http/1.1": QuietSite(resource(self.door, clock), clock),
        }
        tls = server_tls(credentials, [ALPN, b"http/1.1"], clock)
        self.port = network.listen(self.host, link_factory(tls, protocols, clock, Counters()))

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def key(self, period: int) -> tuple[bytes, bytes]:
        if period not in self.packet_keys:
            self.packet_keys[period] = suites.XWING.generate()
        return self.packet_keys[period]

    def published(self, now: int, parameters: Parameters) -> bytes:
        current = now // parameters.key_period
        fields: dict[str, Any] = {
            "identity": self.identity,
            "nickname": self.nickname,
            "start": 1,
            "published": now,
            "valid_after": now - 1,
            "valid_until": now + 30 * DAY,
            "addresses": (HostPort(self.host, self.port),),
            "protocols": PROTOCOLS,
            "suites": ("xwing",),
            "packet_keys": tuple(
                PacketKey(period=period, suite="xwing", key=self.key(period)[1])
                for period in range(current, current + 2)
            ),
            "exits": self.exits,
            "family": f"family-{self.nickname}",
        }
        described = Descriptor(**(fields | self.changes))
        return described.sign(server_signer(self.identity_private, now=now))


class Shelf:
    """What the mixes serve: whatever a test puts there, verified or not."""

    descriptor: bytes | None = None

    def __init__(self) -> None:
        self.asked = 0
        self.known: list[Known] = []  # the newest first
        self._signed: Any = None
        self._octets: dict[bytes, bytes] = {}

    def put(self, directory: SignedDirectory) -> None:
        known = Known.read(directory.consensus)
        self._signed = SimpleNamespace(octets=directory.consensus, digest=known.digest)
        self._octets |= directory.keys
        self._octets[known.digest] = directory.consensus
        self.known = [known, *self.known][:3]

    @property
    def signed(self) -> Any:
        self.asked += 1
        return self._signed

    def keys(self, digest: bytes) -> bytes | None:
        return self._octets.get(digest)

    async def consensus(self, digest: bytes) -> bytes | None:
        return self._octets.get(digest)

    async def key_document(self, digest: bytes) -> bytes | None:
        return self._octets.get(digest)


class Door:
    """What one mix serves: what all serve, or a shelf of its own."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.own: Shelf | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own or self._network.shelf, name)


class Network:
    """Mixes ``mix1``, ``mix2``, ...; the last two have the exits ``smtp`` and ``drop``."""

    def __init__(self, clock: Any, listen: Listen, mixes: int = 5, authorities: int = 3) -> None:
        self.clock = clock
        self.listen = listen
        self.shelf = Shelf()
        self.parameters = Parameters.local_demo()
        self.authorities = [ed25519.generate() for _ in range(authorities)]
        self.mixes = [
            Mix(self, n, (DROP, SMTP) if n > mixes - 2 else ()) for n in range(1, mixes + 1)
        ]

    def sign(self, now: float | None = None, signers: Any = None, **changes: Any) -> None:
        """Serve a new directory, signed by *signers* (private keys) or all authorities."""
        moment = int(self.clock.seconds() if now is None else now)
        self.shelf.put(
            sign_directory(
                [mix.published(moment, self.parameters) for mix in self.mixes],
                signers or [private for private, _ in self.authorities],
                now=moment,
                parameters=self.parameters,
                **changes,
            )
        )

    def config(self, more: str = "", sources: str | None = None) -> str:
        """The text of a client's configuration."""
        keys = ", ".join(public.hex() for _, public in self.authorities)
        places = sources or ", ".join(mix.address for mix in self.mixes[:2])
        return f"[Directory]\nauthorities = {keys}\nsources = {places}\n{more}"

    @property
    def arrived(self) -> list[bytes]:
        """All packets at all mixes."""
        return [packet for mix in self.mixes for packet in mix.intake.packets]

    def mix(self, nickname: str) -> Mix:
        return next(mix for mix in self.mixes if mix.nickname == nickname)

    def open(self, packet: bytes, period: int | None = None) -> Any:
        """Unwrap a packet to its end: the path's nicknames, the delays in seconds, and exit,
        recipients and content of its message, or its fragment."""
        now = int(self.clock.seconds())
        number = now // self.parameters.key_period if period is None else period
        (entry,) = [mix for mix in self.mixes if packet in mix.intake.packets]
        mix, path, delays = entry, [], []
        while True:
            path.append(mix.nickname)
            unwrapper = Unwrapper(GEOMETRY, mix.node_id, mix.key(number)[0])
            answer = unwrapper.unwrap(packet)
            assert isinstance(answer, Relay | Deliver)
            delays.append(answer.delay_ms / 1000)
            if isinstance(answer, Deliver):
                found = frame.parse(answer.body)
                content = found.content
                if found.kind is frame.Kind.FRAGMENT:
                    return path, delays, Fragment.parse(content)
                if found.kind is frame.Kind.DEFLATED:
                    content = message.expand(content)
                return path, delays, message.parse(content)
            packet = answer.packet
            mix = next(each for each in self.mixes if each.node_id == answer.next)


class NetworkCase(AsyncTestCase):
    """A network on real sockets of this machine, and clients for it."""

    timeout = 60

    def setUp(self):
        self.network = Network(reactor, self.listen)
        self.network.sign(reactor.seconds() - 1000)
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(0o700)
        self.config = self.folder / "mixminion.conf"

    def listen(self, host, factory):
        port = reactor.listenTCP(0, factory, interface=host)
        self.addCleanup(port.stopListening)
        return port.getHost().port

    def client(self, more="", sources=None):
        self.config.write_text(self.network.config(more, sources))
        client = api.Client(reactor, api.load_config(str(self.config)))
        self.addCleanup(lambda: Deferred.fromCoroutine(client.close()))
        return client


class VirtualCase(SyncTestCase):
    """One client, five mixes, no socket and no second of real time; two days before the end of a
    key period."""

    def setUp(self) -> None:
        self.clock = HeapClock(start=3000 * 7 * DAY - 2 * DAY)
        self.wire = MemoryNetwork(self.clock, latency=0.01)
        self.network = Network(self.clock, self.listen)
        self.network.parameters = Parameters(consensus_valid=4 * 7 * DAY)
        self.network.sign()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(0o700)
        self.config = self.folder / "mixminion.conf"
        self.config.write_text(self.network.config())
        self.client = self.make_client()

    def listen(self, host: str, factory: Any) -> int:
        port: Any = self.clock.result_of(self.wire.server(host).listen(factory))
        return int(port.getHost().port)

    def make_client(self) -> api.Client:
        return api.Client(
            self.clock,
            api.load_config(str(self.config)),
            executor=api.InlineExecutor(),
            dial=lambda place: self.wire.client(place.host, place.port),
        )

    def ask(self, coroutine: Any) -> Any:
        return self.clock.result_of(Deferred.fromCoroutine(coroutine))
