"""The capability of a mailbox: an Ed25519 public key, and how people write it.

A mailbox exists by its key alone: whoever knows the public key can have messages held for it,
whoever has the private key fetches them.  As text it is base64url without padding (RFC 4648),
43 characters, because a reply's slot has room for no longer address in every suite.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from mixminion.payload.errors import BadCapability

LENGTH = 32  #: octets of a capability
CHARACTERS = 43  #: of its text

_TEXT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def to_text(capability: bytes) -> str:
    """The 43 characters of a capability."""
    return urlsafe_b64encode(capability).decode("ascii").rstrip("=")


def parse(text: str) -> bytes:
    """The 32 octets of a capability; raises :class:`BadCapability` for any other text than
    :func:`to_text` gives."""
    if _TEXT.fullmatch(text) is not None:
        capability = urlsafe_b64decode(text + "=")
        if to_text(capability) == text:  # the last character's two spare bits are zero
            return capability
    raise BadCapability
