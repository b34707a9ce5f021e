"""Cover: a body that its last hop throws away."""

from __future__ import annotations

from mixminion.interfaces import Random
from mixminion.payload import frame
from mixminion.sphinx.geometry import Geometry


def body(geometry: Geometry, random: Random) -> bytes:
    """``geometry.body`` octets for :func:`mixminion.sphinx.build.forward`."""
    return frame.encode(frame.Kind.COVER, b"", geometry.body, random)
