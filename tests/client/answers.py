"""Reply blocks for :mod:`tests.client.network`, and what comes by them."""

from __future__ import annotations

from mixminion.interfaces import Random
from mixminion.payload import reply
from mixminion.payload.frame import Frame
from mixminion.sphinx import build, surb
from mixminion.sphinx.surb import SurbKey
from mixminion.sphinx.unwrap import Relay, Reply, Unwrapper
from tests.client.network import GEOMETRY, Network


class Owner:
    """Whoever hands out reply blocks, and reads what comes."""

    def __init__(self, network: Network, random: Random) -> None:
        self.network = network
        self.random = random
        self.keys: dict[bytes, SurbKey] = {}

    @property
    def period(self) -> int:
        """The key period that it is."""
        return int(self.network.clock.seconds()) // self.network.parameters.key_period

    def block(self, period: int | None = None, way: tuple[str, ...] = ("mix2", "mix3")) -> bytes:
        """A reply block of the current period, or another."""
        period, length = period or self.period, self.network.parameters.key_period
        mixes = [self.network.mix(name) for name in way]
        hops = [build.Hop(mix.node_id, mix.key(period)[1], 1000) for mix in mixes]
        dates = period * length, (period + 1) * length
        made, key = surb.make(GEOMETRY, hops, "drop", "owner", *dates, self.random)
        self.keys[key.surb_id] = key
        return made.encode()

    def arrived(self) -> list[tuple[list[str], Frame]]:
        """What comes of the packets at all mixes, and the mixes that it went through."""
        found = []
        for path, answer in self.delivered():
            inside = reply.unseal(GEOMETRY, self.keys[answer.surb_id], answer.payload)
            assert inside is not None
            found.append((path, inside))
        return found

    def delivered(self) -> list[tuple[list[str], Reply]]:
        """The same, as the last mix has it, whoever opens it."""
        return [self._walk(packet) for packet in self.network.arrived]

    def _walk(self, packet: bytes) -> tuple[list[str], Reply]:
        mixes = self.network.mixes
        [mix] = [each for each in mixes if packet in each.intake.packets]
        path = []
        while True:
            path.append(mix.nickname)
            answer = Unwrapper(GEOMETRY, mix.node_id, mix.key(self.period)[0]).unwrap(packet)
            if isinstance(answer, Reply):
                return path, answer
            assert isinstance(answer, Relay)
            packet = answer.packet
            mix = next(each for each in mixes if each.node_id == answer.next)
