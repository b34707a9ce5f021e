"""A whole network in one process, on a virtual clock.

The mixes are real in everything but what surrounds them: memory wires carry real TLS, the
store is real LMDB in a folder, packets are real, directories are fetched over real HTTP, and the
clock jumps from call to call, so that an hour of mixing takes as long as its work does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from mixminion.client.client import Client, load_config
from mixminion.client.database import InlineExecutor
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.view import View
from mixminion.disk import private
from mixminion.interfaces import IExit
from mixminion.mmtp import ALPN
from mixminion.mmtp.client import connect
from mixminion.net.tls import client_tls
from mixminion.payload import message
from mixminion.sphinx import build
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.build import Hop
from mixminion.sphinx.geometry import Geometry
from mixminion.testing.clock import HeapClock
from mixminion.testing.collector import EXIT
from mixminion.testing.directory import Schedule
from mixminion.testing.handsigned import HandSigned
from mixminion.testing.sender import Sender
from mixminion.testing.signings import Signings, always
from mixminion.testing.virtualmix import PORT, VirtualMix
from mixminion.testing.wire import MemoryNetwork

SIGNER = "127.0.9.1"
"""Where the directory that is signed by hand is served."""
CLIENT = """\
[Client]

[Directory]
authorities = {authorities}
sources = {sources}
"""


class Directory(Protocol):
    """Who says what the network is; :class:`~mixminion.testing.handsigned.HandSigned` here."""

    @property
    def authorities(self) -> Sequence[bytes]:
        """Whom servers and clients believe."""

    @property
    def lines(self) -> Sequence[str]:
        """What they have of those in their configurations; with an address where mixes publish
        and everybody fetches."""

    @property
    def sources(self) -> Sequence[str]:
        """Where they fetch besides from those and from the mixes: URLs."""

    @property
    def view(self) -> View:
        """The network as the newest consensus shows it."""

    def publish(self, descriptor: bytes) -> None:
        """A mix describes itself; whoever has an address hears of it from the mix."""

    def remove(self, identity: bytes) -> None:
        """A mix is to be listed no longer."""


class VirtualNetwork:
    """*count* mixes under *folder*, and the directory that lists them.

    With ``network.signer.start()`` the directory is signed again in each consensus interval,
    and mixes fetch it; they join with :meth:`join` and leave with :meth:`leave`.  A subclass
    that makes another ``directory`` has real authorities in the place of the signer.
    """

    def __init__(
        self,
        folder: Path,
        count: int = 4,
        *,
        parameters: Parameters | None = None,
        geometry: Geometry | None = None,
        schedule: Schedule | None = None,
        seed: bytes = b"network",
        commit: float = 0.0,
        exits: Callable[[], Mapping[str, IExit]] = dict,
    ) -> None:
        """*geometry* is that of all key periods, unless a *schedule* says otherwise; *commit*
        how many seconds pass before a mix's store has done what it is asked for; *exits* makes
        those that each mix has besides its collector, anew for every start."""
        self.exits = exits
        self.folder = folder
        self.clock = HeapClock()
        self.random = SeededRandom(seed)
        self.commit = commit
        self.wire = MemoryNetwork(self.clock)
        self.parameters = parameters or Parameters.local_demo()
        g = geometry or geometries.default()
        sizes = PacketGeometry.make(g.suite.name, g.hops, g.commands, g.packet)
        self.schedule = schedule or always(sizes)
        self.directory = self.make_directory()
        self.mixes: list[VirtualMix] = []
        for number in range(1, count + 1):
            self.mixes.append(VirtualMix(self, number))
        self.begin_directory()

    def make_directory(self) -> Directory:
        """Who is to say what the network is; asked for before there are any mixes."""
        signings = Signings(self.parameters, self.schedule)
        self.signer = HandSigned(self.clock, signings, [f"http://{SIGNER}:80/"])
        self.clock.result_of(self.wire.server(SIGNER, 80).listen(self.signer.site))
        return self.signer

    def begin_directory(self) -> None:
        """Have a first consensus, of the mixes that have described themselves."""
        self.signer.sign()

    @property
    def view(self) -> View:
        """The network as the newest consensus shows it."""
        return self.directory.view

    @property
    def geometry(self) -> Geometry:
        """Of the packets that leave now."""
        period = self.view.current_period(self.clock.seconds())
        return geometries.of(self.view.geometry_of(period))

    def start(self) -> None:
        """Start every mix."""
        for mix in self.mixes:
            mix.start()

    def stop(self) -> None:
        """Stop those that run."""
        for mix in self.mixes:
            if mix.server is not None:
                mix.stop()

    def join(self) -> VirtualMix:
        """Start one more mix; the next consensus lists it."""
        mix = VirtualMix(self, len(self.mixes) + 1)
        self.mixes.append(mix)
        mix.start()
        return mix

    def leave(self, mix: VirtualMix) -> None:
        """Have the directory list *mix* no longer; it runs on until it is stopped."""
        self.directory.remove(mix.identity)

    # -- a sender ------------------------------------------------------------------------------

    def packet(self, path: Sequence[VirtualMix], text: bytes, delay_ms: int = 500) -> bytes:
        """A packet that leaves now, with a message for the last mix's exit."""
        view, geometry = self.view, self.geometry
        period = view.current_period(self.clock.seconds())
        hops = [Hop(mix.node_id, view.packet_key(mix.identity, period), delay_ms) for mix in path]
        body = message.to_body(geometry, EXIT, ["bob@example.test"], text, self.random)
        return build.forward(geometry, hops, body, self.random)

    def client(
        self, name: str = "client", clock: IReactorTime | None = None, host: str = "127.0.0.1"
    ) -> Client:
        """A client at *host* with a state of its own, at *clock* if its own is to be wrong."""
        home = self.folder / name
        private.make_folder(home)
        authorities = ", ".join(self.directory.lines)
        sources = ", ".join(self.directory.sources)
        config = home / "mixminion.conf"
        private.write(config, CLIENT.format(authorities=authorities, sources=sources).encode())
        return Client(
            clock or self.clock,
            load_config(str(config)),
            random=self.random,
            executor=InlineExecutor(),
            dial=lambda place: self.wire.client(place.host, place.port, host),
        )

    def send(self, mix: VirtualMix, packets: Sequence[bytes]) -> Sender:
        """Hand packets to a mix as a client does, who has no certificate; once they are
        answered the link is closed."""
        sender = Sender(packets)
        _ = connect(
            self.clock,
            self.wire.client(mix.host, PORT),
            client_tls(mix.identity, None, [ALPN], self.clock),
            self.view.packet_length,
            sender,
        ).addErrback(sender.failed)
        self.clock.run_until(lambda: sender.over)
        return sender
