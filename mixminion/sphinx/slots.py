"""The four templates of a slot (doc/spec/packet.rst, "Slots").

Octet 5 decides which; nothing is optional, and whatever does not follow its template is
no slot at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from mixminion.interfaces import Random
from mixminion.sphinx.errors import AddressTooLong
from mixminion.sphinx.geometry import RELAY, Geometry
from mixminion.sphinx.text import is_address, is_exit_name

SURB_ID = 16

_DELAY = 0x80
_NEXT = 1
_REPLY = 3
_DELIVER = 4
_CROSSOVER = 5

_NAME = 24  # where a reply's exit name begins
REPLY_FIXED = 27  #: what a reply slot takes besides exit name and address


class RelaySlot(NamedTuple):
    """Octets for the next hop: its ``node_id(32)``, ``mac(32)``, and in suite xwing its element."""

    delay_ms: int
    node_id: bytes
    mac: bytes
    carried: bytes


@dataclass(frozen=True, slots=True)
class ForwardSlot:
    """The end of a path whose payload is for this node's exits, or cover."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class CrossoverSlot:
    """The end of a path whose payload has a sealed reply."""

    delay_ms: int


@dataclass(frozen=True, slots=True)
class ReplySlot:
    """The end of a reply block's path."""

    delay_ms: int
    surb_id: bytes
    exit: str
    address: str


Slot = RelaySlot | ForwardSlot | CrossoverSlot | ReplySlot
LastSlot = ForwardSlot | CrossoverSlot | ReplySlot


def _head(delay_ms: int, kind: int) -> bytes:
    return bytes((_DELAY, *delay_ms.to_bytes(4), kind))


def encode_relay(geometry: Geometry, slot: RelaySlot) -> bytes:
    """A slot for any hop but the last."""
    zeros = bytes(geometry.commands - RELAY)
    return _head(slot.delay_ms, _NEXT) + slot.node_id + slot.mac + zeros + slot.carried


def encode_last(geometry: Geometry, slot: LastSlot, random: Random) -> bytes:
    """A slot for the last hop; AddressTooLong when a reply's address does not fit."""
    match slot:
        case ForwardSlot():
            octets = _head(slot.delay_ms, _DELIVER)
        case CrossoverSlot():
            octets = _head(slot.delay_ms, _CROSSOVER)
        case ReplySlot():
            octets = _reply(geometry, slot)
    octets += b"\0"
    return octets + random.octets(geometry.slot - len(octets))


def _reply(geometry: Geometry, slot: ReplySlot) -> bytes:
    name, address = slot.exit.encode(), slot.address.encode()
    if not is_exit_name(name) or not is_address(address):
        raise ValueError("not an exit name or not an address")
    size, limit = len(name) + len(address), geometry.slot - REPLY_FIXED
    if size > limit:
        raise AddressTooLong(size=size, limit=limit)
    named = slot.surb_id + bytes((_DELIVER, len(name))) + name
    return _head(slot.delay_ms, _REPLY) + named + len(address).to_bytes(2) + address


def parse(geometry: Geometry, slot: bytes) -> Slot | None:
    """What a slot of ``geometry.slot`` octets says; None when it follows no template."""
    kind = slot[5]
    if slot[0] != _DELAY:
        return None
    delay_ms = int.from_bytes(slot[1:5])
    if kind == _NEXT:
        if any(slot[RELAY : geometry.commands]):
            return None
        return RelaySlot(delay_ms, slot[6:38], slot[38:70], slot[geometry.commands :])
    if kind == _REPLY:
        return _parse_reply(delay_ms, slot)
    if slot[6] != 0:
        return None
    if kind == _DELIVER:
        return ForwardSlot(delay_ms)
    if kind == _CROSSOVER:
        return CrossoverSlot(delay_ms)
    return None


def _parse_reply(delay_ms: int, slot: bytes) -> ReplySlot | None:
    if slot[22] != _DELIVER:
        return None
    name_end = _NAME + slot[23]
    begin = name_end + 2
    end = begin + int.from_bytes(slot[name_end:begin])
    if end >= len(slot) or slot[end] != 0:
        return None
    name, address = slot[_NAME:name_end], slot[begin:end]
    if not is_exit_name(name) or not is_address(address):
        return None
    return ReplySlot(delay_ms, slot[6:22], name.decode(), address.decode())
