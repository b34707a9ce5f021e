"""Names of what is counted, and one registry per node."""

from mixminion.counters.names import Name
from mixminion.counters.registry import Counters

__all__ = ["Counters", "Name"]
