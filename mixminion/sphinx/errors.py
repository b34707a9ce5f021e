"""Why a packet is dropped, and what may be wrong with a path or a reply block."""

from __future__ import annotations

from enum import StrEnum

from mixminion.errors import PeerError, UserError


class Reason(StrEnum):
    """Why a packet disappears; doc/spec/packet.rst, "Unwrapping", in the order of the checks."""

    LENGTH = "length"  #: not the network's packet length
    VERSION = "version"  #: the AD is not the suite's
    ELEMENT = "element"  #: a point of low order
    MAC = "mac"  #: the header is not what its sender made for this key
    SLOT = "slot"  #: the slot follows no template
    PAYLOAD = "payload"  #: at the last hop, the payload was changed on its way
    CROSSOVER = "crossover"  #: the body of a crossover packet is not such a frame
    DELAY = "delay"  #: the mix's own check: above the network's cap


class Dropped(PeerError):
    """The packet disappears; ``reason`` is counted."""

    code = "dropped"
    sentence = "A packet was dropped ({reason})."

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason=reason)
        self.reason = reason


class AddressTooLong(UserError):
    """A reply's exit name and address do not fit their slot."""

    code = "address-too-long"
    sentence = (
        "The answer address takes {size} octets with its exit's name; reply blocks of this "
        "network carry {limit}. Use a shorter one."
    )


class BadSurb(UserError):
    """Octets that are no reply block of this network."""

    code = "bad-surb"
    sentence = "This is not a reply block that this network can use ({problem}); ask for a new one."
