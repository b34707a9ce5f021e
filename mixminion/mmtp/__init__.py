"""MMTP, version 2: packets from one server to the next, each acknowledged when it is on disk.

:mod:`frames` is the wire, :mod:`receiving` and :mod:`sending` the two sides' sessions as
pure machines, :mod:`server`, :mod:`link` and :mod:`client` those machines on transports.
The protocol is specified in doc/spec/mmtp.rst.
"""

ALPN = b"mmtp/2"
"""The protocol's name in TLS."""
