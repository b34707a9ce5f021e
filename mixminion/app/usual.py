"""Names and numbers that the help of commands shows, which imports no more for them."""

import enum

FILE = "mixminiond.conf"
"""The configuration's name in a server's home."""

AUTHORITY_FILE = "authority.conf"
"""The same in an authority's (:mod:`mixminion.app.authority_configuration`)."""

AUTHORITY_SIGNING_DAYS = 90
"""Days for which an authority's signing key is valid."""


class Which(enum.StrEnum):
    """Keys that have a passphrase."""

    ALL = "all"
    PACKET = "packet"
    IDENTITY = "identity"
