"""Making packets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mixminion.interfaces import Random
from mixminion.sphinx import header, payload
from mixminion.sphinx.geometry import Geometry
from mixminion.sphinx.header import Hop
from mixminion.sphinx.slots import CrossoverSlot, ForwardSlot, LastSlot

__all__ = ["Hop", "crossover", "forward"]


def forward(geometry: Geometry, path: Sequence[Hop], body: bytes, random: Random) -> bytes:
    """A packet whose last hop delivers *body*, ``geometry.body`` octets (mixminion.payload).

    ValueError for another length or an impossible path; BadPublicKey or LowOrderPoint for a
    hop's bad key.
    """
    return _packet(geometry, path, ForwardSlot, body, random)


def crossover(geometry: Geometry, path: Sequence[Hop], body: bytes, random: Random) -> bytes:
    """A packet whose last hop sends on the sealed reply in *body*, a frame of kind crossover
    (mixminion.payload.reply); errors as :func:`forward`."""
    return _packet(geometry, path, CrossoverSlot, body, random)


def _packet(
    geometry: Geometry,
    path: Sequence[Hop],
    end: Callable[[int], LastSlot],
    body: bytes,
    random: Random,
) -> bytes:
    if len(body) != geometry.body:
        raise ValueError(f"a body has {geometry.body} octets")
    head, secrets = header.make(geometry, path, end, random)
    return head + payload.wrap(geometry.suite, secrets, payload.tagged(body))
