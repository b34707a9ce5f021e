"""What a plain mix can tell of replies and forward packets: nothing.

A reply has crossed over and is on its way along the path of its reply block; the mix is the second
of four, and neither the first hop after the crossover nor the last.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from types import FrameType
from typing import Any

from mixminion.crypto.rng import SeededRandom
from mixminion.mix import batches
from mixminion.payload import message, reply
from mixminion.sphinx import build, geometry, surb
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.unwrap import Deliver, Relay, Reply, Unwrapper
from mixminion.testing.cases import SyncTestCase
from tests.sphinx import telling
from tests.sphinx.networks import SMALL_X25519, Nodes


class World(Nodes):
    """A path of three or four nodes, and packets of every kind that its second one gets."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry, SeededRandom(b"alike"))
        self.there = self.path(geometry.hops)
        self.crossover = self.path(1)
        self.middle = self.unwrappers[self.there[1].node_id]

    def _after_the_first(self, packet: bytes) -> bytes:
        answer = self.unwrappers[self.there[0].node_id].unwrap(packet)
        assert isinstance(answer, Relay) and answer.next == self.there[1].node_id
        return answer.packet

    def forward(self) -> bytes:
        """A message for an exit, as the second node gets it."""
        body = message.to_body(self.geometry, "smtp", ["bob@example.org"], b"Hello", self.random)
        return self._after_the_first(build.forward(self.geometry, self.there, body, self.random))

    def bound(self) -> bytes:
        """A reply that is yet to cross over."""
        g = self.geometry
        block, _ = surb.make(g, self.there[::-1], "smtp", "me@example.org", 0, 1, self.random)
        body = reply.to_body(g, block, b"Hello", self.random)
        return self._after_the_first(build.crossover(g, self.there, body, self.random))

    def reply(self) -> bytes:
        """A reply that has crossed over."""
        g = self.geometry
        block, _ = surb.make(g, self.there, "smtp", "me@example.org", 0, 1, self.random)
        body = reply.to_body(g, block, b"Hello", self.random)
        packet = build.crossover(g, self.crossover, body, self.random)
        answer = self.unwrappers[self.crossover[0].node_id].unwrap(packet)
        assert isinstance(answer, Relay) and answer.next == self.there[0].node_id
        return self._after_the_first(answer.packet)


def features(octets: bytes, at: Sequence[int]) -> telling.Features:
    """The histogram, and the octets at some positions."""
    counts = Counter(octets)
    return [*(counts[value] for value in range(256)), *(octets[i] for i in at)]


def borders(g: Geometry) -> list[int]:
    """Positions of octets that a classifier looks at one by one: all of a small packet; of a larger
    one what is around the places where something begins, and some in between."""
    if g.packet <= 1024:
        return list(range(g.packet))
    near = [0, g.header - 32, g.header, g.header + g.sealed, g.header * 2 + 104, g.packet]
    found = {at + i for at in near for i in range(-32, 32)} | set(range(0, g.packet, 61))
    return sorted(at for at in found if 0 <= at < g.packet)


def lines(unwrapper: Unwrapper, packet: bytes) -> frozenset[tuple[str, int]]:
    """The lines of ours that run from a packet to a worker's answer."""
    found: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        name = frame.f_globals.get("__name__", "")
        if event == "line" and name.startswith("mixminion."):
            found.add((name, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        batches.encode_answer(batches.Answer(1, unwrapper.unwrap(packet)))
    finally:
        sys.settrace(before)
    return frozenset(found)


@dataclass
class Seen:
    """What a mix sees of one kind: ``arriving`` and ``leaving``, as classifiers are given them, and
    how often which octet is there; ``times`` in seconds that it takes."""

    arriving: list[telling.Features] = field(default_factory=list)
    leaving: list[telling.Features] = field(default_factory=list)
    octets: tuple[Counter[int], Counter[int]] = field(
        default_factory=lambda: (Counter(), Counter())
    )
    times: list[float] = field(default_factory=list)


class AlikeTests(SyncTestCase):
    def see(self, world: World, make: Sequence[Callable[[], bytes]], n: int) -> list[Seen]:
        """*n* packets of each of two kinds, unwrapped in turns; all of one length before and after,
        and all answered in the same way."""
        g, at = world.geometry, borders(world.geometry)
        seen = [Seen(), Seen()]
        for turn in range(n):
            packets = [each() for each in make]
            for kind in (0, 1) if turn % 2 else (1, 0):
                began = time.thread_time()
                answer = world.middle.unwrap(packets[kind])
                seen[kind].times.append(time.thread_time() - began)
                assert isinstance(answer, Relay)
                self.assertEqual((len(packets[kind]), len(answer.packet)), (g.packet, g.packet))
                self.assertEqual((answer.next, answer.delay_ms), (world.there[2].node_id, 1000))
                for octets, counts, kept in zip(
                    (packets[kind], answer.packet),
                    seen[kind].octets,
                    (seen[kind].arriving, seen[kind].leaving),
                    strict=True,
                ):
                    counts.update(octets)
                    kept.append(features(octets, at))
        return seen

    def told_apart(self, first: Seen, second: Seen) -> list[float]:
        """How well both classifiers do, as the packets arrive and as they leave; 0.5 is a guess."""
        return [
            telling.cross_validated(train, low, high)
            for train in (telling.naive_bayes, telling.logistic)
            for low, high in ((first.arriving, second.arriving), (first.leaving, second.leaving))
        ]

    def check(self, world: World, make: Sequence[Callable[[], bytes]]) -> None:
        """2,000 of each cannot be told apart."""
        guesses: list[float] = []
        for _ in range(2):  # chance has more than 0.03 once in a thousand times, and not twice
            first, second = self.see(world, make, 2000)
            for mine, other in zip(first.octets, second.octets, strict=True):
                self.assertLess(telling.alike_z(mine, other), 5.0)
            ratio = median(second.times) / median(first.times)
            self.assertTrue(0.95 < ratio < 1.05, ratio)
            guesses = [*self.told_apart(first, second), telling.auc(first.times, second.times)]
            if all(0.47 <= guess <= 0.53 for guess in guesses):
                return
        self.fail(f"they can be told apart: {guesses}")

    def test_default(self) -> None:
        """At the default size: octets around every border inside the packet, their histogram, and
        the time that unwrapping takes."""
        world = World(geometry.default())
        self.check(world, (world.forward, world.reply))

    def test_small(self) -> None:
        """In small packets, every octet."""
        world = World(SMALL_X25519)
        self.check(world, (world.forward, world.reply))

    def test_before_the_crossover(self) -> None:
        """A reply that is still on its way to its crossover."""
        world = World(SMALL_X25519)
        self.check(world, (world.forward, world.bound))

    def test_code(self) -> None:
        """The same lines of ours run for both, in the packet's room and in what a worker does with
        the answer; at the last hop others do."""
        world = World(SMALL_X25519)
        first, second = (
            {lines(world.middle, each()) for _ in range(50)}
            for each in (world.forward, world.reply)
        )
        self.assertEqual(len(first), 1)
        self.assertEqual(first, second)
        [found] = first
        self.assertGreater(len(found), 60)
        ends = set()
        for make in (world.forward, world.reply):
            *_, before, _ = world.walk(world.there[1].node_id, make())
            assert isinstance(before, Relay)
            ends.add(lines(world.unwrappers[before.next], before.packet))
        self.assertEqual(len(ends), 2)

    def test_planted(self) -> None:
        """A mark is found: an octet of the payload that is never above 127 in replies; and replies
        with a histogram of their own."""
        world = World(SMALL_X25519)
        g, random = world.geometry, world.random

        def with_a_bit() -> bytes:
            octets = bytearray(random.octets(g.packet))
            octets[g.header + 100] &= 127
            return bytes(octets)

        def with_zeros() -> bytes:
            return random.octets(g.packet - 20) + bytes(20)

        at = borders(g)
        plain = [random.octets(g.packet) for _ in range(1000)]
        for planted in (with_a_bit, with_zeros):
            marked = [planted() for _ in range(1000)]
            seen = (
                Seen([features(each, at) for each in plain]),
                Seen([features(each, at) for each in marked]),
            )
            for one in seen:
                one.leaving = one.arriving
            self.assertGreater(min(self.told_apart(*seen)), 0.6)
            counts = [Counter(b"".join(each)) for each in (plain, marked)]
            self.assertEqual(telling.alike_z(*counts) > 5.0, planted is with_zeros)

    def test_the_last_hop(self) -> None:
        """It can tell, since it has to: a reply has an address beside its payload."""
        world = World(SMALL_X25519)
        for make, kind in ((world.forward, Deliver), (world.reply, Reply)):
            *_, last = world.walk(world.there[1].node_id, make())
            self.assertIsInstance(last, kind)
