"""A packet with a sealed reply: for a mix that joins it to the reply block's header.

Neither its entry nor its last hop can tell it from other packets before that, and the crossover
learns nothing but the reply block's first server (doc/spec/packet.rst).
"""

from __future__ import annotations

from mixminion.client import packets
from mixminion.client.outbox import Packet, Recipe
from mixminion.client.packets import Built
from mixminion.client.reply_errors import BlockOver, CrossesAtFirst
from mixminion.crypto.kdf import sha256
from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.interfaces import Random
from mixminion.paths.constraints import links
from mixminion.paths.preferences import Preferences
from mixminion.paths.select import Choice, choose
from mixminion.payload import frame, reply
from mixminion.payload.frame import Frame
from mixminion.sphinx import build
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.errors import BadSurb
from mixminion.sphinx.surb import Surb
from mixminion.util import times

_DRAWS = 100
"""Paths looked at for one whose last server goes on to the first of the reply block."""


def read(view: View, octets: bytes) -> Surb:
    """A reply block of some key period of this network.

    :raises BadSurb: it is none.
    """
    problem = BadSurb(problem="it was made for another network or other packets")
    for period in view.consensus.key_periods:
        geometry = geometries.of(view.geometry_of(period.number))
        try:
            return Surb.decode(geometry, octets)
        except BadSurb as error:
            problem = error
    raise problem


def digest(block: Surb) -> bytes:
    """By which a used block is recognised: its header, whatever is written around that."""
    return sha256(block.header)


def not_now(view: View, block: Surb, now: float) -> str | None:
    """Why *block* cannot be used at *now*; None when it can."""
    cap = view.parameters.delay_cap_ms / 1000
    if now < block.not_before:
        return f"it is not usable before {_text(block.not_before)}"
    if not block.usable(now, cap):
        return f"its time was over on {_text(block.not_after)}, or is about to be"
    if block.geometry != packets.geometry_at(view, now):
        return "it was made for other packets than leave now"
    if view.by_node(block.first_hop) is None:
        return "the directory does not list its first server any more"
    return None


def _text(date: int) -> str:
    return times.to_text(min(date, times.LAST))


def make(
    view: View,
    block: Surb,
    inside: Frame,
    path: str,
    now: float,
    random: Random,
    preferences: Preferences,
) -> Built:
    """A packet that answers *block*, which can be used at *now*, with *inside*.

    :raises CrossesAtFirst: *path* ends at the block's first server.
    :raises UserError: of :mod:`mixminion.paths`, where no path can be chosen.
    """
    choice = _choice(view, block, path, now, random, preferences)
    geometry = geometries.of(view.geometry_of(choice.period))
    body = reply.seal(geometry, block, inside, random)
    octets = build.crossover(geometry, packets.hops(view, choice, random), body, random)
    content = inside.content
    packet = Packet(
        entry=choice.path[0].identity,
        period=choice.period,
        octets=octets,
        path=path,
        message=frame.encode(inside.kind, content, frame.HEAD + len(content), random),
        block=block.encode(),
    )
    return Built(packet, choice.path, choice.warnings)


def again(
    view: View, recipe: Recipe, now: float, random: Random, preferences: Preferences
) -> Built:
    """Another packet for one that was never handed over, so that nobody has seen its block.

    :raises BlockOver: its block cannot be used any more.
    :raises UserError: as :func:`make`.
    """
    assert recipe.block is not None
    block = check(view, recipe.block, now)
    inside = frame.parse(recipe.message)
    return make(view, block, inside, recipe.path, now, random, preferences)


def check(view: View, octets: bytes, now: float) -> Surb:
    """The block of a kept answer, if it can still be used.

    :raises BlockOver: it cannot.
    """
    try:
        block = read(view, octets)
        why = not_now(view, block, now)
    except BadSurb as error:
        raise BlockOver(entry="its entry", why=error.fields["problem"]) from None
    if why is not None:
        raise BlockOver(entry="its entry", why=why)
    return block


def _choice(
    view: View, block: Surb, path: str, now: float, random: Random, preferences: Preferences
) -> Choice:
    """A path of full length, whose last server is another than the block's first, and links to
    it where that can be had."""
    first = view.by_node(block.first_hop)
    assert first is not None  # or the block could not be used
    passable: Choice | None = None
    for _ in range(_DRAWS):
        spec = packets.spec(path)
        choice = choose(view, spec, None, now=now, random=random, preferences=preferences)
        if _crosses(choice.path[-1], first):
            return choice
        if choice.path[-1] != first:
            passable = choice
    if passable is None:
        raise CrossesAtFirst(name=first.nickname)
    return passable


def _crosses(last: Server, first: Server) -> bool:
    return last != first and links(last, first)
