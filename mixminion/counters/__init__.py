"""Names of what is counted, and one registry per node."""

from mixminion.counters.registry import Counters
from mixminion.counters.names import Name

__all__ = ["Counters", "Name"]
