"""What sender and hop derive from their shared secret."""

from __future__ import annotations

from typing import NamedTuple

from mixminion.crypto.kdf import hkdf_expand
from mixminion.sphinx.geometry import Geometry


class HopKeys(NamedTuple):
    """Keys of one hop for one packet.  ``payload(64)`` is the payload secret."""

    mac: bytes
    stream: bytes
    iv: bytes
    payload: bytes
    blinding: bytes


class Context:
    """Binds derivations to suite, geometry and node: nothing made for one opens at another."""

    __slots__ = ("_header", "_tag")

    def __init__(self, geometry: Geometry, node_id: bytes) -> None:
        context = geometry.suite.string + geometry.digest + node_id
        self._header = context + b"header"
        self._tag = context + b"tag"

    def keys(self, prk: bytes) -> HopKeys:
        """The keys from a shared secret(32)."""
        k = hkdf_expand(prk, self._header, 160)
        return HopKeys(k[:32], k[32:64], k[64:80], k[80:128] + k[64:80], k[128:])

    def tag(self, prk: bytes) -> bytes:
        """The replay tag(16)."""
        return hkdf_expand(prk, self._tag, 16)
