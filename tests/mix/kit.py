"""What several tests of the mix need: small packets, and what goes between a mix and its parts."""

from collections.abc import Callable
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from mixminion.crypto.rng import SeededRandom
from mixminion.disk import private
from mixminion.mix.batches import Made, Wanted
from mixminion.mix.keys import PacketKeys
from mixminion.sphinx import build, suites
from mixminion.sphinx.build import Hop
from mixminion.sphinx.geometry import Geometry

GEOMETRY = Geometry(suites.X25519, hops=2, commands=80, packet=1024)
NODE = bytes(range(32))
OTHER = bytes(range(32, 64))


class Maker:
    """Makes packets for the node ``NODE``, whose keys it keeps in *folder*."""

    def __init__(self, folder: Path, geometry: Geometry = GEOMETRY) -> None:
        private.make_folder(folder)
        self.folder = folder
        self.geometry = geometry
        self.keys = PacketKeys(folder, NODE)
        self.random = SeededRandom(b"packets")

    def wanted(self, period: int) -> Wanted:
        """The key of *period*, as it is asked for."""
        return Wanted(period, self.geometry)

    def make(self, period: int) -> Made:
        """The key of *period*, which is made if need be."""
        return self.keys.make(self.wanted(period))

    def body(self, text: bytes) -> bytes:
        """*text*, filled up."""
        return text.ljust(self.geometry.body, b".")

    def deliver(self, text: bytes, period: int = 1, delay_ms: int = 0) -> bytes:
        """A packet that ends here."""
        hop = Hop(NODE, self.make(period).key, delay_ms)
        return build.forward(self.geometry, [hop], self.body(text), self.random)

    def relay(self, text: bytes, period: int = 1, delay_ms: int = 0, node: bytes = OTHER) -> bytes:
        """A packet that goes on to *node*."""
        public = self.make(period).key
        path = [Hop(NODE, public, delay_ms), Hop(node, public, 0)]
        return build.forward(self.geometry, path, self.body(text), self.random)


async def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for something on the real reactor."""
    for _ in range(int(seconds / 0.01)):
        if true():
            return
        await pause()
    raise AssertionError(f"it has not happened within {seconds} seconds")


def pause(seconds: float = 0.01) -> Deferred[None]:
    """A moment of real time."""
    return deferLater(reactor, seconds, lambda: None)
