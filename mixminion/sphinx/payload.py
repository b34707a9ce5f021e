"""The payload: a body behind 32 zeros, enciphered as one block for every hop."""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest

from mixminion.crypto import lioness
from mixminion.sphinx.geometry import TAG
from mixminion.sphinx.suites import Suite

_ZEROS = bytes(TAG)


def encrypt(suite: Suite, secret: bytes, block: bytes) -> bytes:
    """Add one layer under a payload secret(64)."""
    return lioness.encrypt(secret, suite.string + b"lioness", block)


def decrypt(suite: Suite, secret: bytes, block: bytes) -> bytes:
    """Take one layer off."""
    return lioness.decrypt(secret, suite.string + b"lioness", block)


def wrap(suite: Suite, secrets: Sequence[bytes], block: bytes) -> bytes:
    """Add the layers of all hops, given from first to last."""
    for secret in reversed(secrets):
        block = encrypt(suite, secret, block)
    return block


def tagged(body: bytes) -> bytes:
    """*body* behind its tag."""
    return _ZEROS + body


def untagged(block: bytes) -> bytes | None:
    """The body behind its tag; None when somebody changed the block."""
    return block[TAG:] if compare_digest(block[:TAG], _ZEROS) else None
