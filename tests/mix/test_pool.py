"""The pool lets packets go as the network's strategy says, on a virtual clock."""

from __future__ import annotations

from collections import Counter
from math import exp
from pathlib import Path

from mixminion.counters import Counters
from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parameters import Parameters
from mixminion.mix.pool import Pool
from mixminion.mixing import strategies
from mixminion.mixing.delays import truncated_exponential
from mixminion.mixing.strategies import UnknownStrategy
from mixminion.testing.cases import SyncTestCase
from mixminion.testing.clock import HeapClock
from mixminion.testing.virtual import VirtualNetwork
from tests.mixing.statistics import ks_p

N = 10_000
MEAN, CAP = 240.0, 2400.0


class PoissonLawTests(SyncTestCase):
    """What a network's packets wait in a mix under the Poisson strategy."""

    def waits(self, seed: bytes, mean: float) -> list[float]:
        """Of packets that arrive at random times with delays drawn as senders draw them."""
        clock, random = HeapClock(), SeededRandom(seed)
        network = Parameters()
        strategy = strategies.make(network.strategy, network, random)
        came: dict[int, float] = {}
        waits: list[float] = []
        pool = Pool(
            clock,
            strategy,
            lambda item, destination, due: waits.append(clock.seconds() - came[item]),
            Counters(),
        )
        for item in range(N):
            clock.advance(random.exponential(0.5))
            came[item] = clock.seconds()
            delay = truncated_exponential(random, round(mean * 1000), round(CAP * 1000)) / 1000
            pool.add(item, b"", clock.seconds() + delay, delay)
        clock.advance(CAP + 1)
        self.assertEqual((len(pool), len(waits)), (0, N))
        return waits

    @staticmethod
    def law(wait: float) -> float:
        """P(X <= x | X <= cap) of the exponential."""
        return (1 - exp(-min(wait, CAP) / MEAN)) / (1 - exp(-CAP / MEAN))

    def test_law(self) -> None:
        """The exponential truncated at the cap: Kolmogorov-Smirnov, p > 0.001."""
        self.assertGreater(ks_p(self.waits(b"law", MEAN), self.law), 0.001)

    def test_wrong_rate(self) -> None:
        """The test above sees senders whose mean is 5 % off."""
        self.assertLess(ks_p(self.waits(b"law", MEAN * 1.05), self.law), 0.001)


class ExpiryTests(SyncTestCase):
    """From when a released packet's queue counts."""

    def test_from_its_release(self) -> None:
        """A packet that a pool kept for days is not too old when it leaves; what was late after a
        stop is late still."""
        clock, left = HeapClock(), dict[int, float]()
        network = Parameters(strategy="timed-dynamic-pool", pool_minimum=0, pool_percent=100)
        strategy = strategies.make(network.strategy, network, SeededRandom(b"expiry"))

        def offer(item: int, destination: bytes, due: float) -> None:
            left[item] = due - clock.seconds()

        pool = Pool(clock, strategy, offer, Counters())
        now = clock.seconds()
        pool.add(1, b"", now + 5, 5)
        pool.add(2, b"", now - 1000, 5)
        clock.advance(network.pool_interval)
        self.assertEqual(left, {1: 0.0, 2: -1005.0})


class DynamicPoolNetworkTests(SyncTestCase):
    """Four mixes of a network whose consensus says timed dynamic pool."""

    INTERVAL, MINIMUM = 30, 3

    def setUp(self) -> None:
        parameters = Parameters(
            strategy="timed-dynamic-pool",
            pool_interval=self.INTERVAL,
            pool_minimum=self.MINIMUM,
            pool_percent=50,
            consensus_valid=604_800,
            consensus_fresh=604_800,
            consensus_interval=604_800,
        )
        self.network = VirtualNetwork(Path(self.mktemp()), parameters=parameters)
        self.addCleanup(self.network.stop)
        self.network.start()

    def held(self) -> list[int]:
        """How many each mix holds."""
        return [len(mix.server.pool) for mix in self.network.mixes if mix.server is not None]

    def test_network(self) -> None:
        """Each mix keeps its minimum, whatever delays were asked for; all the others arrive."""
        count = 60
        path = self.network.mixes
        texts = {b"message %d" % n for n in range(count)}
        packets = [self.network.packet(path, text, delay_ms=0) for text in sorted(texts)]
        self.network.send(path[0], packets)
        self.network.clock.advance(60 * self.INTERVAL)
        self.assertEqual(self.held(), [self.MINIMUM] * 4)
        arrived = Counter(message.content for message in path[3].exit.messages)
        self.assertEqual(arrived.total(), count - 4 * self.MINIMUM)
        self.assertEqual(set(arrived.values()), {1})
        self.assertTrue(arrived.keys() <= texts)

    def test_restart(self) -> None:
        """What a stopped mix held it holds again; no round is made up for."""
        mix = self.network.mixes[0]
        path = [mix, self.network.mixes[1]]
        packets = [self.network.packet(path, b"%d" % n, delay_ms=0) for n in range(20)]
        self.network.send(mix, packets)
        clock = self.network.clock
        clock.advance(1)  # unwrapped
        first = self.held()[0]
        mix.stop()
        clock.advance(10 * self.INTERVAL)
        mix.start()
        self.assertEqual(self.held()[0], first)
        clock.advance(self.INTERVAL)
        self.assertEqual(self.held()[0], first - first // 2)

    def test_unknown_strategy(self) -> None:
        """A mix of a network that mixes otherwise is not even made."""
        other = VirtualNetwork(Path(self.mktemp()), 4, parameters=Parameters(strategy="alpha"))
        error = self.assertRaises(UnknownStrategy, other.start)
        self.assertEqual(error.fields["name"], "alpha")
