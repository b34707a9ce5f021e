"""A second unwrap, written from ``doc/spec/packet.rst`` and ``payload.rst`` alone.

Nothing in :mod:`tests.second.unwrap` comes from the product: where both agree with the
frozen vectors and with each other, the specification said enough.
"""
