"""The exit modules that come with Mixminion."""

from mixminion.exits.registry import LazyModule

drop = LazyModule("drop", "mixminion.exits.drop")
smtp = LazyModule("smtp", "mixminion.exits.smtp")
