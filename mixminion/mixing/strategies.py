"""Strategies by the names that consensuses give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mixminion.errors import EX_CONFIG, OperatorError
from mixminion.interfaces import IStrategy, MixingNumbers, Random
from mixminion.mixing.dynamic_pool import DynamicPool
from mixminion.mixing.poisson import Poisson


class UnknownStrategy(OperatorError):
    """The network mixes in a way that this version does not know.  Fields: ``name``, ``known``."""

    code = "unknown-strategy"
    sentence = (
        "This network's mixes hold packets by the strategy {name}, and this version knows "
        "{known}. Install a newer version of Mixminion."
    )
    exit_code = EX_CONFIG


STRATEGIES: Mapping[str, Callable[[MixingNumbers, Random], IStrategy]] = {
    "poisson": lambda network, random: Poisson(network.tick, network.delay_cap, random),
    "timed-dynamic-pool": lambda network, random: DynamicPool(
        network.pool_interval, network.pool_minimum, network.pool_percent, random
    ),
}


def make(name: str, network: MixingNumbers, random: Random) -> IStrategy:
    """The strategy of that name, with nothing held.

    :raises UnknownStrategy: there is none.
    """
    if name not in STRATEGIES:
        raise UnknownStrategy(name=name, known=" and ".join(STRATEGIES))
    return STRATEGIES[name](network, random)
