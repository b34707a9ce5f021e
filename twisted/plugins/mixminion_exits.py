"""The exit modules that come with Mixminion."""

from mixminion.exits.registry import LazyModule

drop = LazyModule("drop", "mixminion.exits.drop")
mailbox = LazyModule("mailbox", "mixminion.exits.mailbox")
mbox = LazyModule("mbox", "mixminion.exits.mbox")
nntp = LazyModule("nntp", "mixminion.exits.nntp")
smtp = LazyModule("smtp", "mixminion.exits.smtp")
