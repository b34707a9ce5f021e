"""Makes the module known; it is imported when a configuration names it."""

from mixminion.exits.registry import LazyModule

shelf = LazyModule("shelf", "example_shelf")
