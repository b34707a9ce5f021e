"""What can be wrong with keys and points that other people sent."""

from __future__ import annotations

from mixminion.errors import PeerError


class LowOrderPoint(PeerError):
    """An X25519 exchange gave zero: the other side's point has low order."""

    code = "low-order-point"
    sentence = "The other side sent a key that would make every secret the same."


class BadPublicKey(PeerError):
    """A public key that is not one: wrong length or encoding."""

    code = "bad-public-key"
    sentence = "A published key is malformed; fetch the directory again."
