"""The sealed crossover: the only way a reply block is used.

The replier seals a reply and sends it to a mix drawn at random, which joins it to the
reply block's header and sends it on without being able to read either.
"""

from __future__ import annotations

from mixminion.interfaces import Random
from mixminion.sphinx import payload
from mixminion.sphinx.geometry import FRAME, NODE_ID, TAG, Geometry
from mixminion.sphinx.surb import Surb, tail, tail_seed

KIND = 4  #: of the frame, see doc/spec/payload.rst

_SEED = 32


def seal(geometry: Geometry, surb: Surb, frame: bytes, random: Random) -> bytes:
    """The content of a crossover frame, ``geometry.body - 8`` octets, that carries *frame* (of
    kind reply) to the owner of *surb*.

    ValueError when *frame* has more than ``geometry.sealed - 32`` octets; a shorter one is filled
    up at random.
    """
    room = geometry.sealed - TAG
    if len(frame) > room:
        raise ValueError(f"a sealed reply has room for {room} octets")
    inside = payload.tagged(frame + random.octets(room - len(frame)))
    sealed = payload.encrypt(geometry.suite, surb.key, inside)
    return surb.first_hop + tail_seed(geometry, surb.key) + surb.header + sealed


def frame_head(geometry: Geometry) -> bytes:
    """The first eight octets of every crossover frame: it fills its body."""
    return bytes((1, KIND, 0, 0)) + (geometry.body - FRAME).to_bytes(4)


def cross(geometry: Geometry, body: bytes) -> tuple[bytes, bytes] | None:
    """What a crossover mix sends: the next hop's node id(32) and the packet; None when *body* is
    no crossover frame."""
    if body[:FRAME] != frame_head(geometry):
        return None
    seed_at = FRAME + NODE_ID
    rest_at = seed_at + _SEED
    packet = body[rest_at:] + tail(geometry, body[seed_at:rest_at])
    return body[FRAME:seed_at], packet
