"""From a message to a packet: the path, the delays, the keys of the period it leaves in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from mixminion.client.errors import MessageTooLarge
from mixminion.client.outbox import Packet
from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.interfaces import Random
from mixminion.mixing.delays import truncated_exponential
from mixminion.paths import language
from mixminion.paths.deviations import Deviation
from mixminion.paths.select import ExitRequirement, choose
from mixminion.payload import message
from mixminion.payload.errors import TooLarge
from mixminion.sphinx import build
from mixminion.sphinx import geometry as geometries


@dataclass(frozen=True, slots=True)
class Letter:
    """A message and how it is to travel."""

    exit: str
    recipients: tuple[str, ...]
    content: bytes
    path: str  #: in path language; empty for the network's usual length

    @classmethod
    def again(cls, octets: bytes, path: str) -> Self:
        """From what the outbox kept."""
        exit, recipients, content = message.parse(octets)
        return cls(exit, recipients, content, path)


@dataclass(frozen=True, slots=True)
class Built:
    """A packet for the outbox, the servers it goes through, and what is unusual about that."""

    packet: Packet
    path: tuple[Server, ...]
    warnings: tuple[Deviation, ...]


def make(view: View, letter: Letter, now: float, random: Random) -> Built:
    """A packet that leaves at *now*.

    :raises MessageTooLarge: the message does not fit one packet.
    :raises UserError: of :mod:`mixminion.paths`, where no path can be chosen.
    """
    geometry = geometries.of(view.geometry_of(view.current_period(now)))
    try:
        body = message.to_body(geometry, letter.exit, letter.recipients, letter.content, random)
    except TooLarge as error:
        raise MessageTooLarge(**error.fields) from None
    choice = choose(
        view,
        language.parse(letter.path) if letter.path else None,
        ExitRequirement(letter.exit, len(letter.content)),
        now=now,
        random=random,
    )
    parameters = view.parameters
    hops = [
        build.Hop(
            server.node_id,
            view.packet_key(server.identity, choice.period),
            truncated_exponential(random, parameters.mean_delay_ms, parameters.delay_cap_ms),
        )
        for server in choice.path
    ]
    packet = Packet(
        entry=choice.path[0].identity,
        period=choice.period,
        octets=build.forward(geometry, hops, body, random),
        path=letter.path,
        message=message.encode(letter.exit, letter.recipients, letter.content),
    )
    return Built(packet, choice.path, choice.warnings)


def accepted(view: View, period: int, now: float) -> bool:
    """Whether mixes still take packets that were built for *period*."""
    first = view.consensus.key_periods[0]
    listed = view.period(period)
    length = view.parameters.key_period
    ends = first.begins - (first.number - period - 1) * length if listed is None else listed.ends
    return now < ends + view.parameters.key_grace
