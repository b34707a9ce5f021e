"""MMTP, version 2: packets from one server to the next, each acknowledged when it is on disk.

:mod:`frames` is the wire, :mod:`receiving` and :mod:`sending` the two sides' sessions as
pure machines, :mod:`server`, :mod:`link` and :mod:`client` those machines on transports.
The protocol is specified in doc/spec/mmtp.rst.

Beside it is the protocol by which the owner of a mailbox fetches what is held for him
(doc/spec/mailbox.rst): :mod:`fetch_frames`, :mod:`serving` and :mod:`asking`,
:mod:`fetch_server` and :mod:`fetch_client`.
"""

ALPN = b"mmtp/2"
"""The protocol's name in TLS."""

FETCH_ALPN = b"mmtp-fetch/1"
"""The name of the other one."""
