"""What can be said of reply blocks in a file, without using them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from mixminion.client import blocks_text
from mixminion.directory.view import View
from mixminion.errors import MixminionError
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.errors import BadSurb
from mixminion.sphinx.geometry import NODE_ID, Geometry
from mixminion.sphinx.surb import KEY, Surb

HEAD = 26
"""Octets of a reply block before its header."""


@dataclass(frozen=True, slots=True)
class ReplyBlock:
    """A block that was handed out, of the identity with that id and name.  Dates are Unix
    seconds, ``made`` and ``used`` hours of them; ``used`` is when its answer was read, None before.
    """

    number: int
    surb_id: bytes = field(repr=False)
    identity: int
    name: str
    geometry: Geometry = field(repr=False)
    period: int
    not_before: int
    not_after: int
    address: str = field(repr=False)
    made: int
    used: int | None


class State(StrEnum):
    """Whether a block can be answered."""

    USABLE = "usable"
    EARLY = "not-yet"  #: its key period has not begun
    LATE = "expired"  #: an answer would not arrive within its key period
    FOREIGN = "another-network"  #: for other packets than those of the directory held here
    BROKEN = "broken"  #: cut off, or with dates that cannot be
    UNKNOWN = "unknown"  #: no directory is held here


@dataclass(frozen=True, slots=True)
class Inspected:
    """One block of a file.  Dates are Unix seconds; ``suite`` is None for what cannot be read;
    ``own`` is what is remembered of it where we made it, ``used`` whether we have answered it."""

    state: State
    suite: str | None
    not_before: int | None
    not_after: int | None
    own: ReplyBlock | None
    used: bool


def inspect(
    block: bytes, view: View | None, now: float, own: ReplyBlock | None, used: bool
) -> Inspected:
    """Look at *block* with the directory that is held, if one is."""
    try:
        head = blocks_text.head(block)
    except BadSurb:
        return Inspected(State.BROKEN, None, None, None, own, used)
    state = State.UNKNOWN if view is None else _state(block, head, view, now)
    return Inspected(state, head.suite, head.not_before, head.not_after, own, used)


def header_of(block: bytes) -> bytes:
    """The packet header in a block, whatever network it is for."""
    return block[HEAD : -(NODE_ID + KEY)]


def _state(block: bytes, head: blocks_text.Head, view: View, now: float) -> State:
    matching = [g for g in _geometries(view) if g.digest[:8] == head.digest]
    if not matching or matching[0].suite.name != head.suite:
        return State.FOREIGN
    try:
        surb = Surb.decode(matching[0], block)
    except BadSurb:
        return State.BROKEN
    if view.by_node(surb.first_hop) is None:
        return State.FOREIGN
    if now < surb.not_before:
        return State.EARLY
    return State.USABLE if surb.usable(now, view.parameters.delay_cap) else State.LATE


def _geometries(view: View) -> list[Geometry]:
    found: list[Geometry] = []
    for number in view.periods:
        try:
            found.append(geometries.of(view.geometry_of(number)))
        except MixminionError:  # of a suite that is not known here
            continue
    return found
