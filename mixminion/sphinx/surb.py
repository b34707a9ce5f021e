"""Single-use reply blocks (doc/spec/packet.rst, "Reply blocks")."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Self

from mixminion.crypto.kdf import hkdf_expand
from mixminion.crypto.stream import chacha20
from mixminion.interfaces import Random
from mixminion.sphinx import header, payload
from mixminion.sphinx.errors import BadSurb
from mixminion.sphinx.geometry import AD, NODE_ID, Geometry
from mixminion.sphinx.header import Hop
from mixminion.sphinx.slots import SURB_ID, ReplySlot

VERSION = 1
KEY = 64

_HEAD = struct.Struct(">BB8sQQ")


@dataclass(frozen=True, slots=True)
class Surb:
    """What a replier gets.  Dates are Unix seconds, ``key(64)`` the SURB key."""

    geometry: Geometry
    not_before: int
    not_after: int
    header: bytes
    first_hop: bytes
    key: bytes

    def usable(self, now: float, cap: float) -> bool:
        """Whether a replier may use it at *now*, when no hop holds a packet for more than
        *cap* seconds: it must reach its end within the life of its packet keys."""
        return self.not_before <= now <= self.not_after - (self.geometry.hops + 1) * cap

    def encode(self) -> bytes:
        """``geometry.surb`` octets."""
        g = self.geometry
        head = _HEAD.pack(VERSION, g.suite.code, g.digest[:8], self.not_before, self.not_after)
        return head + self.header + self.first_hop + self.key

    @classmethod
    def decode(cls, geometry: Geometry, octets: bytes) -> Self:
        """Read one; BadSurb when it is none of this geometry."""
        if len(octets) != geometry.surb:
            raise BadSurb(problem="it has another length")
        version, code, digest, not_before, not_after = _HEAD.unpack_from(octets)
        if version != VERSION:
            raise BadSurb(problem="its version is unknown")
        if code != geometry.suite.code or digest != geometry.digest[:8]:
            raise BadSurb(problem="it was made for another network or other packets")
        if not_before > not_after:
            raise BadSurb(problem="it ends before it begins")
        first, key = geometry.surb - KEY - NODE_ID, geometry.surb - KEY
        head = octets[_HEAD.size : first]
        if head[:AD] != geometry.suite.ad:
            raise BadSurb(problem="its header is of another kind")
        return cls(geometry, not_before, not_after, head, octets[first:key], octets[key:])


@dataclass(frozen=True, slots=True)
class SurbKey:
    """What the owner keeps, under ``surb_id(16)``: the hops' payload secrets(64) from first to
    last, and the SURB key(64)."""

    surb_id: bytes
    hops: tuple[bytes, ...]
    key: bytes


def make(
    geometry: Geometry,
    path: Sequence[Hop],
    exit: str,
    address: str,
    not_before: int,
    not_after: int,
    random: Random,
) -> tuple[Surb, SurbKey]:
    """A reply block that ends at *address* of *exit* on the last hop.

    AddressTooLong when these do not fit; ValueError for an impossible path, name or address;
    BadPublicKey or LowOrderPoint for a hop's bad key.
    """
    surb_id, key = random.octets(SURB_ID), random.octets(KEY)

    def end(delay_ms: int) -> ReplySlot:
        return ReplySlot(delay_ms, surb_id, exit, address)

    head, secrets = header.make(geometry, path, end, random)
    surb = Surb(geometry, not_before, not_after, head, path[0].node_id, key)
    return surb, SurbKey(surb_id, tuple(secrets), key)


def tail_seed(geometry: Geometry, key: bytes) -> bytes:
    """The seed(32) of the tail, from a SURB key(64)."""
    return hkdf_expand(key, geometry.suite.string + b"tail", 32)


def tail(geometry: Geometry, seed: bytes) -> bytes:
    """What fills the payload behind a sealed reply."""
    return chacha20(seed, bytes(geometry.payload - geometry.sealed))


def open(geometry: Geometry, key: SurbKey, octets: bytes) -> bytes | None:
    """Open what arrived for a reply block: the sealed frame, ``geometry.sealed - 32`` octets, or
    None when it is not what the replier sealed, to the last octet."""
    if len(octets) != geometry.payload:
        return None
    block = payload.wrap(geometry.suite, key.hops, octets)
    sealed, rest = block[: geometry.sealed], block[geometry.sealed :]
    opened = payload.decrypt(geometry.suite, key.key, sealed)
    if not compare_digest(rest, tail(geometry, tail_seed(geometry, key.key))):
        return None
    return payload.untagged(opened)
