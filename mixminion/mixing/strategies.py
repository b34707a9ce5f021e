"""Strategies by the names that consensuses give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from mixminion.errors import EX_CONFIG, OperatorError
from mixminion.interfaces import IStrategy, Random
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


class Numbers(Protocol):
    """The network's parameters, as far as strategies want them; durations in seconds."""

    @property
    def tick(self) -> float: ...

    @property
    def delay_cap(self) -> float: ...

    @property
    def pool_interval(self) -> int: ...

    @property
    def pool_minimum(self) -> int: ...

    @property
    def pool_percent(self) -> int: ...


STRATEGIES: Mapping[str, Callable[[Numbers, Random], IStrategy]] = {
    "poisson": lambda network, random: Poisson(network.tick, network.delay_cap, random),
    "timed-dynamic-pool": lambda network, random: DynamicPool(
        network.pool_interval, network.pool_minimum, network.pool_percent, random
    ),
}


def make(name: str, network: Numbers, random: Random) -> IStrategy:
    """The strategy of that name, with nothing held.

    :raises UnknownStrategy: there is none.
    """
    if name not in STRATEGIES:
        raise UnknownStrategy(name=name, known=" and ".join(STRATEGIES))
    return STRATEGIES[name](network, random)
