"""What somebody sees who watches a sender's line for a week: fetches and sends, by the servers that
are dialled.  The one must say nothing about the other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mixminion import api
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parameters import Parameters
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.wire import MemoryNetwork
from tests.client.network import DAY, Network

HOUR = 3600
PAUSE = 3000.0
"""Seconds between two messages, on average: a Poisson process."""


def distance(sends: list[float], fetches: list[float]) -> float:
    """How far *fetches* are from having nothing to do with *sends*: Kolmogorov and Smirnov's
    statistic of the times since the last send before each, which are exponentially distributed
    when the fetches do not depend on the sends.  1.95 is passed once in 1,000 weeks."""
    values = sorted(
        1 - math.exp((max(send for send in sends if send < fetch) - fetch) / PAUSE)
        for fetch in fetches
    )
    n = len(values)
    gaps = (max((i + 1) / n - value, value - i / n) for i, value in enumerate(values))
    return math.sqrt(n) * max(gaps)


class CaptureTests(SyncTestCase):
    def setUp(self) -> None:
        self.clock = HeapClock()
        self.begin = self.clock.seconds()
        wire = MemoryNetwork(self.clock, latency=0.01)

        def listen(host: str, factory: Any) -> int:
            self.clock.result_of(wire.server(host, 48_099).listen(factory))
            return 48_099

        self.network = Network(self.clock, listen, mixes=5)
        self.network.parameters = Parameters(mean_delay_ms=500, delay_cap_ms=5000)
        path = Path(self.mktemp()).absolute()
        path.write_text(self.network.config("[Client]\nhome = state\n"))
        self.client = api.Client(
            self.clock,
            api.load_config(str(path)),
            random=SeededRandom(b"client"),
            executor=api.InlineExecutor(),
            dial=lambda place: wire.client(place.host, place.port),
        )
        self.addCleanup(lambda: self.clock.result_of(Deferred.fromCoroutine(self.client.close())))
        self.fetches: list[float] = []
        self.sends: list[float] = []
        self.seen = 0

    def publish(self) -> None:
        """A consensus every hour."""
        self.network.sign()
        self.clock.callLater(HOUR, self.publish)

    def watch(self) -> None:
        """Note when the servers are asked for a directory."""
        if self.network.shelf.asked != self.seen:
            self.seen = self.network.shelf.asked
            if not self.fetches or self.clock.seconds() - self.fetches[-1] > 60:
                self.fetches.append(self.clock.seconds())
        self.clock.callLater(1, self.watch)

    def send(self) -> None:
        """A message, and the next one when the generator says so."""
        self.sends.append(self.clock.seconds())
        self.messages.append(Deferred.fromCoroutine(self.client.send("drop", b"x")))
        self.clock.callLater(self.random.exponential(PAUSE), self.send)

    def week(self) -> None:
        """A week of both."""
        self.publish()
        self.random = SeededRandom(b"sends")
        self.messages: list[Deferred[api.Sent]] = []
        self.client.keep_updated()
        self.clock.callLater(0, self.watch)
        self.clock.callLater(2 * HOUR, self.send)
        self.clock.run_until(self.begin + 7 * DAY)
        self.fetches = [fetch for fetch in self.fetches if fetch > self.sends[0]]
        self.assertGreater(len(self.fetches), 60)
        self.assertGreater(len(self.sends), 150)

    def test_independent(self) -> None:
        """Fetches fall where they would fall if nothing were sent; every message is handed over,
        and none of them waits for a fetch."""
        self.week()
        self.assertLess(distance(self.sends, self.fetches), 1.95)
        handed = [self.successResultOf(each) for each in self.messages[:-1]]
        self.assertEqual(len(self.network.arrived), len(handed) + 1)

    def test_the_measure(self) -> None:
        """The statistic does see fetches that are made because somebody sends."""
        random = SeededRandom(b"measure")
        sends, moment = [0.0], 0.0
        while moment < 7 * DAY:
            moment += random.exponential(PAUSE)
            sends.append(moment)
        sometimes = [
            sends[4 * i] + 1 if i % 2 else 2000.0 + 7000 * i for i in range(len(sends) // 5)
        ]
        self.assertGreater(distance(sends, sometimes), 1.95)
        never = [1000.0 + 7000 * i for i in range(80)]
        self.assertLess(distance(sends, never), 1.95)
