"""Strategies by name."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from mixminion.crypto.rng import SeededRandom
from mixminion.directory.parameters import Parameters
from mixminion.errors import render
from mixminion.interfaces import IStrategy
from mixminion.mixing import strategies
from mixminion.mixing.dynamic_pool import DynamicPool
from mixminion.mixing.poisson import Poisson
from mixminion.mixing.strategies import STRATEGIES, UnknownStrategy
from mixminion.testing.cases import SyncTestCase

NOW = 1_700_000_000.0


class MakeTests(SyncTestCase):
    def make(self, name: str, **numbers: int) -> IStrategy:
        network = Parameters(strategy=name, **numbers)
        return strategies.make(network.strategy, network, SeededRandom(b"strategies"))

    def test_each(self) -> None:
        """Every name makes a strategy that holds nothing."""
        for name in STRATEGIES:
            strategy = self.make(name)
            verifyObject(IStrategy, strategy)
            self.assertEqual((len(strategy), strategy.next_release()), (0, None))

    def test_kinds(self) -> None:
        """The names are those of the specification, and the default is Poisson."""
        self.assertIsInstance(self.make("poisson"), Poisson)
        self.assertIsInstance(self.make("timed-dynamic-pool"), DynamicPool)
        self.assertEqual(Parameters().strategy, "poisson")

    def test_numbers(self) -> None:
        """They are the network's."""
        pool = self.make("timed-dynamic-pool", pool_interval=60, pool_minimum=2, pool_percent=50)
        for item in range(10):
            pool.add(item, 0.0, NOW)
        due = pool.next_release()
        assert due is not None
        self.assertEqual(due % 60, 0)
        self.assertEqual(len(pool.release(due)), 5)

    def test_unknown(self) -> None:
        """A network of the future is told apart from a mistake."""
        error = self.assertRaises(UnknownStrategy, self.make, "alpha")
        sentence = render(error)
        self.assertIn("strategy alpha", sentence)
        self.assertIn("poisson and timed-dynamic-pool", sentence)
