"""Authorities in one process, on a virtual clock: real rounds, codecs, signatures and HTTP.

Each lives in a process of its own that can be killed and started again on what its archive has;
its clock may be wrong.  A bad one is a real one too, whose requests and answers somebody tampers
with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater

from mixminion.authority.archive import Archive
from mixminion.authority.office import MakeVote
from mixminion.authority.peers import Answer, HttpPeers
from mixminion.authority.rounds import Rounds
from mixminion.authority.schedule import Schedule, following
from mixminion.authority.web import AuthorityResource
from mixminion.crypto import kdf
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.checks import SignedConsensus
from mixminion.directory.descriptor import LIMIT, Descriptor
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.parameters import Parameters
from mixminion.directory.vote import Vote, VotedServer
from mixminion.dirhttp.cache import DocumentCache, Documents
from mixminion.dirhttp.resource import resource
from mixminion.dirhttp.site import QuietSite
from mixminion.dirhttp.sources import Source
from mixminion.errors import PeerError
from mixminion.testing.clock import HeapClock, WrongClock
from mixminion.testing.directory import server_signer
from mixminion.testing.process import Process
from mixminion.testing.wire import MemoryNetwork
from mixminion.util.hostport import HostPort
from tests.authority.votes import authority, fields, signer
from tests.directory.network import NOW, identity, private_key, published

SERVERS = ("alice", "bob", "carol")
PORT = 80
LIMIT_UPLOAD = 9 * 2**20


def digest_of(octets: bytes) -> bytes:
    """Of a descriptor in its envelope."""
    return kdf.sha256(Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=LIMIT).payload)


class MemoryFolder:
    """Files that outlive the program that wrote them, as on a disk."""

    def __init__(
        self,
        files: dict[str, bytes],
        alive: Callable[[], bool] = lambda: True,
        written: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._files = files
        self._alive = alive
        self._written = written

    def read(self, name: str) -> bytes:
        try:
            return self._files[name]
        except KeyError:
            raise FileNotFoundError(name) from None

    def write(self, name: str, octets: bytes) -> None:
        if self._alive():  # what a killed program still does reaches nobody
            self._files[name] = octets
            self._written(name)

    def names(self) -> list[str]:
        return sorted(self._files)

    def remove(self, name: str) -> None:
        if self._alive():
            self._files.pop(name, None)


class Register:
    """Descriptors by digest."""

    def __init__(self, octets: Iterable[bytes] = ()) -> None:
        self.held = {digest_of(each): each for each in octets}

    def get(self, digest: bytes) -> bytes | None:
        return self.held.get(digest)

    def put(self, octets: bytes) -> None:
        self.held[digest_of(octets)] = octets


class Tampering:
    """What a bad authority does to what it sends and serves; this one nothing."""

    def sends(self, peer: bytes, name: str, octets: bytes) -> Iterable[tuple[float, bytes]]:
        """What it sends instead, and how many seconds later."""
        return [(0.0, octets)]

    def serves(self, name: str, octets: bytes | None) -> bytes | None:
        """What it serves instead."""
        return octets


class TamperedPeers:
    """HTTP to the others, tampered with."""

    def __init__(self, node: Node, inner: HttpPeers, clock: Any) -> None:
        self._node = node
        self._inner = inner
        self._clock = clock

    async def get(self, peer: bytes, name: str, limit: int, seconds: float) -> Answer:
        return await self._inner.get(peer, name, limit, seconds)

    async def post(self, peer: bytes, name: str, octets: bytes, seconds: float) -> Answer:
        answer = Answer(b"")
        for delay, instead in self._node.tampering.sends(peer, name, octets):
            await deferLater(self._clock, delay, lambda: None)
            answer = await self._inner.post(peer, name, instead, seconds)
        return answer


class Tampered:
    """The rounds of *node* as HTTP serves them, tampered with."""

    def __init__(self, node: Node, rounds: Rounds) -> None:
        self._node = node
        self._rounds = rounds
        self.offered = rounds.offered
        self.signatures_offered = rounds.signatures_offered

    def vote(self, valid_after: int, identity: bytes) -> bytes | None:
        name = f"votes/{valid_after}/{identity.hex()}"
        return self._node.tampering.serves(name, self._rounds.vote(valid_after, identity))

    def signatures(self, valid_after: int) -> bytes | None:
        name = f"signatures/{valid_after}"
        return self._node.tampering.serves(name, self._rounds.signatures(valid_after))

    def evidence(self, valid_after: int, identity: bytes) -> bytes | None:
        return self._rounds.evidence(valid_after, identity)


class Node:
    """An authority at 192.0.2.(number + 1)."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.identity = authority(number)
        self.host = f"192.0.2.{number + 1}"
        self.ahead = 0.0
        self.days = 30  # of its certificate
        self.files: dict[str, bytes] = {}
        self.register = Register(world.descriptors)
        self.published: list[tuple[SignedConsensus, Mapping[bytes, bytes]]] = []
        self.lives = 0
        self.tampering = Tampering()
        self.make_vote: MakeVote = self.vote
        self.written: Callable[[str], None] = lambda name: None
        self.rounds: Rounds | None = None

    # -- living ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, or begin again with what is on the disk."""
        world = self.world
        self.lives += 1
        self.process = Process(world.clock, world.wire, self.host)
        process = self.process
        self.clock = WrongClock(process.clock, self.ahead)
        sources = {
            authority(each): Source(HostPort(f"192.0.2.{each + 1}", PORT), tls=False)
            for each in range(world.n)
        }
        self.peers = HttpPeers(
            self.clock,
            lambda source: process.endpoint(
                world.wire.client(source.place.host, source.place.port, self.host)
            ),
            sources,
        )
        self.rounds = self._rounds()
        site = QuietSite(self._tree(), self.clock, longest_upload=LIMIT_UPLOAD)
        listening: Any = world.wire.server(self.host, PORT).listen(process.factory(site))
        port = world.clock.result_of(listening)
        process.at_end(port.stopListening)
        self.rounds.start()

    def _rounds(self) -> Rounds:
        process = self.process
        folder = MemoryFolder(self.files, lambda: process.alive, lambda name: self.written(name))
        return Rounds(
            clock=self.clock,
            random=SeededRandom(f"{self.number} {self.lives}".encode()),
            me=signer(self.number, self.days),
            identity=self.identity,
            authorities=self.world.authorities,
            peers=TamperedPeers(self, self.peers, self.clock),
            archive=Archive(folder),
            make_vote=lambda at, previous: self.make_vote(at, previous),
            descriptors=self.register,
            publish=self._publish,
            parameters=self.world.parameters,
        )

    def _tree(self) -> AuthorityResource:
        self.cache = DocumentCache(self.world.authorities)
        nobody: Any = None  # there are no servers that publish, or ask how they stand
        return AuthorityResource(
            clock=self.clock,
            documents=resource(self.cache, self.clock),
            intake=nobody,
            receipts=nobody,
            descriptors=self.descriptor,
            exchange=lambda: None if self.rounds is None else Tampered(self, self.rounds),
        )

    def reload(self) -> None:
        """Stop the rounds, and start others in the same process."""
        assert self.rounds is not None
        self.world.wait(self.rounds.stop())
        self.rounds = self._rounds()
        self.rounds.start()

    def kill(self) -> None:
        """End as by SIGKILL."""
        if self.rounds is not None:
            self.process.kill()
            self.rounds = None

    def restart(self, at: float, seconds: float) -> None:
        """Be killed then, and start again so much later."""
        self.world.at(at, self.kill)
        self.world.at(at + seconds, self.start)

    def _publish(self, signed: SignedConsensus, keys: Mapping[bytes, bytes]) -> None:
        if self.process.alive:
            self.published.append((signed, keys))
            kept = Deferred.fromCoroutine(self.cache.accept(Documents(signed, keys)))
            _ = kept.addErrback(lambda failure: failure.trap(PeerError))

    # -- what it says ----------------------------------------------------------------------------

    def vote(
        self, valid_after: int, previous: SignedConsensus | None = None, **changes: Any
    ) -> Vote:
        """A vote for everything in the register."""
        secret = kdf.sha256(b"%d %d" % (self.number, valid_after))
        old = 0 if previous is None else previous.consensus.valid_after
        made: dict[str, Any] = {
            "published": int(self.clock.seconds()),
            "valid_after": valid_after,
            "parameters": self.world.parameters,
            "previous": None if previous is None else previous.digest,
            "commitment": kdf.sha256(secret),
            "reveal": None if previous is None else kdf.sha256(b"%d %d" % (self.number, old)),
            "servers": tuple(sorted(self.servers(), key=lambda each: each.identity)),
        }
        return Vote(**fields(self.number, **(made | changes)))

    def servers(self) -> list[VotedServer]:
        """What it lists."""
        names = {digest_of(each): name for name, each in self.world.named.items()}
        return [
            VotedServer(
                identity=identity(names[digest]),
                descriptor=digest,
                usable_from=NOW,
                flags=("usable",),
            )
            for digest in self.register.held
            if digest in names
        ]

    def taken(self, octets: bytes) -> str | None:
        """A vote that was handed to it."""
        assert self.rounds is not None
        return self.rounds.offered(octets)

    def descriptor(self, digest: bytes) -> bytes | None:
        """What it serves."""
        assert self.rounds is not None
        return self.rounds.descriptor(digest) or self.register.get(digest)

    # -- what came of it -------------------------------------------------------------------------

    def held(self, valid_after: int) -> SignedConsensus | None:
        """The consensus of an instant that it has published, with most signatures."""
        found = [each for each, _ in self.published if each.consensus.valid_after == valid_after]
        return found[-1] if found else None

    def misdeeds(self, other: Node, valid_after: int) -> set[str]:
        """What its status says that *other* did at an instant."""
        assert self.rounds is not None
        told = self.rounds.status()["authorities"][other.identity.hex()]["misdeeds"]
        return {each["what"] for each in told if each["valid-after"] == valid_after}


class World:
    """*n* authorities, one consensus an hour."""

    def __init__(self, n: int, parameters: Parameters | None = None) -> None:
        self.n = n
        self.clock = HeapClock(NOW)
        self.wire = MemoryNetwork(self.clock, latency=0.05)
        self.authorities = [authority(number) for number in range(n)]
        self.parameters = parameters or Parameters.default()
        self.named = {name: published(name, i) for i, name in enumerate(SERVERS, 1)}
        self.descriptors = list(self.named.values())
        self.nodes = [Node(self, number) for number in range(n)]
        self.first = following(NOW, self.parameters.consensus_interval, n)

    def schedule(self, number: int = 0) -> Schedule:
        """That of the first consensus, or a later one."""
        interval = self.first.interval
        return Schedule(self.first.valid_after + number * interval, interval, self.n)

    def at(self, time: float, call: Callable[[], object]) -> None:
        """Call something at a moment of the true time."""
        self.clock.callLater(time - self.clock.seconds(), call)

    def start(self, nodes: Iterable[Node] | None = None) -> None:
        """Start all, or some."""
        for node in self.nodes if nodes is None else nodes:
            node.start()

    def stall(self, node: Node) -> None:
        """Have something at its address that takes connections and never says anything."""
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        self.wait(self.wire.server(node.host, PORT).listen(factory))

    def expired(self, name: str) -> bytes:
        """The descriptor of that server in another envelope, with a certificate that is over."""
        said = Descriptor.verify(self.named[name], NOW)
        return said.sign(server_signer(private_key(name), now=NOW - 90 * 86_400, days=60))

    def until(self, time: float) -> None:
        """Let it be that time."""
        self.clock.run_until(time)

    def wait(self, done: Deferred[Any]) -> Any:
        """The result of something."""
        return self.clock.result_of(done)
