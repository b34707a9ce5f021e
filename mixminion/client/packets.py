"""From a message to a packet: the path, the delays, the keys of the period it leaves in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from mixminion.client.addresses import NEWS_EXIT
from mixminion.client.errors import NotHandedOver
from mixminion.client.outbox import Large, Packet
from mixminion.directory.consensus import Server
from mixminion.directory.view import View
from mixminion.interfaces import Random
from mixminion.mail import policy
from mixminion.mixing.delays import truncated_exponential
from mixminion.paths import language
from mixminion.paths.deviations import Deviation
from mixminion.paths.preferences import NONE, Preferences
from mixminion.paths.select import Choice, ExitRequirement, choose
from mixminion.payload import cover as covers
from mixminion.payload import deflate, fragments, frame, message
from mixminion.payload.errors import TooLarge
from mixminion.sphinx import build
from mixminion.sphinx import geometry as geometries
from mixminion.sphinx.geometry import Geometry


@dataclass(frozen=True, slots=True)
class Letter:
    """A message and how it is to travel."""

    exit: str
    recipients: tuple[str, ...]
    parts: tuple[bytes, ...]  #: of the content
    path: str  #: in path language; empty for the network's usual length

    @classmethod
    def again(cls, octets: bytes, path: str) -> Self:
        """From what the outbox kept."""
        exit, recipients, content = message.parse(octets)
        return cls(exit, recipients, (content,), path)

    @property
    def size(self) -> int:
        """Octets of the content."""
        return sum(map(len, self.parts))


@dataclass(frozen=True, slots=True)
class Built:
    """A packet for the outbox, the servers it goes through, and what is unusual about that."""

    packet: Packet
    path: tuple[Server, ...]
    warnings: tuple[Deviation, ...]


def make(
    view: View, letter: Letter, now: float, random: Random, preferences: Preferences = NONE
) -> Built:
    """A packet that leaves at *now*.

    :raises TooLarge: the message does not fit one packet.
    :raises UserError: of :mod:`mixminion.paths`, where no path can be chosen.
    """
    geometry = geometry_at(view, now)
    if letter.size > deflate.RATIO * geometry.body:
        raise TooLarge(size=letter.size, limit=geometry.body)
    content = b"".join(letter.parts)
    body = message.to_body(geometry, letter.exit, letter.recipients, content, random)
    exit, path = requirement(letter), spec(letter.path)
    choice = choose(view, path, exit, now=now, random=random, preferences=preferences)
    packet = Packet(
        entry=choice.path[0].identity,
        period=choice.period,
        octets=_build(view, choice, body, random),
        path=letter.path,
        message=message.encode(letter.exit, letter.recipients, content),
    )
    return Built(packet, choice.path, choice.warnings)


def piece_length(view: View) -> int:
    """Octets of a piece that packets of every key period of the directory carry."""
    periods = view.consensus.key_periods
    return min(
        fragments.piece_length(geometries.of(view.geometry_of(period.number))) for period in periods
    )


def destination(
    view: View, letter: Letter, now: float, random: Random, preferences: Preferences = NONE
) -> Choice:
    """A path to the server that shall put a message in fragments together, its last one.

    :raises UserError: of :mod:`mixminion.paths`, where there is none.
    """
    exit, path = requirement(letter, fragments=True), spec(letter.path)
    return choose(view, path, exit, now=now, random=random, preferences=preferences)


def fragment(
    view: View,
    large: Large,
    content: bytes,
    part_of: int,
    now: float,
    random: Random,
    preferences: Preferences = NONE,
) -> Built:
    """A packet with the fragment *content* of the message number *part_of*, over a path of its own.

    :raises TooLarge: packets have become smaller since the message was cut up.
    :raises NotHandedOver: the server that puts it together has gone.
    :raises UserError: of :mod:`mixminion.paths`, where no path can be chosen.
    """
    geometry = geometry_at(view, now)
    room = geometry.body - frame.HEAD
    if len(content) > room:
        raise TooLarge(size=len(content), limit=room)
    server = view.by_identity(large.server)
    if server is None:
        why = "the directory does not list the exit any more that has the other packets"
        raise NotHandedOver(entry="its entry", why=why)
    usual = view.parameters.hops
    path = spec(large.path) or language.PathSpec((language.Some(usual),))
    exit = ExitRequirement(large.exit, fragments=True)
    path = language.closing_at(path, server.nickname)
    choice = choose(view, path, exit, now=now, random=random, preferences=preferences)
    body = frame.encode(frame.Kind.FRAGMENT, content, geometry.body, random)
    octets = _build(view, choice, body, random)
    packet = Packet(choice.path[0].identity, choice.period, octets, large.path, content, part_of)
    return Built(packet, choice.path, choice.warnings)


def cover(
    view: View, now: float, random: Random, preferences: Preferences = NONE
) -> tuple[Server, bytes]:
    """A packet that leaves at *now*, over a path as any other's, and that its last hop throws away;
    its entry and its octets.

    :raises UserError: of :mod:`mixminion.paths`, where no path can be chosen.
    """
    choice = choose(view, None, None, now=now, random=random, preferences=preferences)
    body = covers.body(geometries.of(view.geometry_of(choice.period)), random)
    return choice.path[0], _build(view, choice, body, random)


def requirement(letter: Letter, *, fragments: bool = False) -> ExitRequirement:
    """What the last server of its path has to deliver."""
    asked = policy.asked(letter.parts[0])  # the header, if there is one
    groups = letter.recipients if letter.exit == NEWS_EXIT else ()
    recipients = len(letter.recipients)
    return ExitRequirement(letter.exit, letter.size, fragments, asked, recipients, groups)


def geometry_at(view: View, now: float) -> Geometry:
    """Of packets that leave at *now*."""
    return geometries.of(view.geometry_of(view.current_period(now)))


def spec(path: str) -> language.PathSpec | None:
    """A path that was read once already; None for the network's usual length."""
    return language.parse(path) if path else None


def _build(view: View, choice: Choice, body: bytes, random: Random) -> bytes:
    geometry = geometries.of(view.geometry_of(choice.period))
    return build.forward(geometry, hops(view, choice, random), body, random)


def hops(view: View, choice: Choice, random: Random) -> list[build.Hop]:
    """The hops of a path, each with its key and a delay."""
    parameters = view.parameters
    return [
        build.Hop(
            server.node_id,
            view.packet_key(server.identity, choice.period),
            truncated_exponential(random, parameters.mean_delay_ms, parameters.delay_cap_ms),
        )
        for server in choice.path
    ]


def accepted(view: View, period: int, now: float) -> bool:
    """Whether mixes still take packets that were built for *period*."""
    first = view.consensus.key_periods[0]
    listed = view.period(period)
    length = view.parameters.key_period
    ends = first.begins - (first.number - period - 1) * length if listed is None else listed.ends
    return now < ends + view.parameters.key_grace
