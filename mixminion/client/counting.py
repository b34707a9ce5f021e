"""How many packets a message takes, before anything of it is made."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from mixminion.client import packets, splitting
from mixminion.client.packets import Letter
from mixminion.directory.view import View
from mixminion.interfaces import Random
from mixminion.payload import deflate, message
from mixminion.payload.errors import TooLarge


@dataclass(frozen=True, slots=True)
class Counted:
    """A message of ``size`` octets as the exit gets it takes ``packets``, of which ``needed`` have
    to arrive; messages of the network are meant to take at most ``limit``."""

    size: int
    packets: int
    needed: int
    limit: int


def count(view: View, letter: Letter, copies: int, now: float, random: Random) -> Counted:
    """What :meth:`mixminion.client.sender.Sender.send` would send at *now*."""
    limit = view.parameters.fragments
    geometry = packets.geometry_at(view, now)
    if copies == 1 and letter.size <= deflate.RATIO * geometry.body:
        content = b"".join(letter.parts)
        with suppress(TooLarge):
            message.to_body(geometry, letter.exit, letter.recipients, content, random)
            return Counted(letter.size, 1, 1, limit)
    piece = packets.piece_length(view)
    split = splitting.split(letter.exit, letter.recipients, letter.parts, piece, copies, random)
    return Counted(letter.size, split.packets, split.needed, limit)
