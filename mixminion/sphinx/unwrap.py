"""Taking one layer off a packet (doc/spec/packet.rst, "Unwrapping")."""

from __future__ import annotations

from dataclasses import dataclass
from hmac import compare_digest

from mixminion.crypto.errors import LowOrderPoint
from mixminion.sphinx import header, payload
from mixminion.sphinx.crossover import cross
from mixminion.sphinx.errors import Dropped, Reason
from mixminion.sphinx.geometry import AD, MAC, NODE_ID, Geometry
from mixminion.sphinx.keys import Context
from mixminion.sphinx.slots import CrossoverSlot, ForwardSlot, RelaySlot, ReplySlot, parse


@dataclass(frozen=True, slots=True)
class Relay:
    """Send ``packet`` to the node ``next(32)`` after the delay.  A crossover is one too."""

    tag: bytes
    next: bytes
    delay_ms: int
    packet: bytes


@dataclass(frozen=True, slots=True)
class Deliver:
    """A frame of ``geometry.body`` octets for this node's exits, or cover."""

    tag: bytes
    delay_ms: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A sealed payload, ``geometry.payload`` octets, for ``address`` at ``exit``; only the owner of
    the reply block ``surb_id(16)`` can tell whether it is intact."""

    tag: bytes
    delay_ms: int
    surb_id: bytes
    exit: str
    address: str
    payload: bytes


Answer = Relay | Deliver | Reply


class Unwrapper:
    """A node with one packet key, loaded once.  ValueError when key or id have a wrong length."""

    __slots__ = ("_context", "_geometry", "_receiver")

    def __init__(self, geometry: Geometry, node_id: bytes, private_key: bytes) -> None:
        if len(node_id) != NODE_ID:
            raise ValueError(f"a node id has {NODE_ID} octets")
        self._geometry = geometry
        self._context = Context(geometry, node_id)
        self._receiver = geometry.suite.receiver(private_key)

    def unwrap(self, packet: bytes) -> Answer:
        """What to do with *packet*.  Dropped, and nothing else, whatever the octets are.

        Whether ``tag(16)`` is new is for the caller to decide, in the transaction that keeps
        the answer; so is whether the delay is allowed.
        """
        g, suite = self._geometry, self._geometry.suite
        if len(packet) != g.packet:
            raise Dropped(Reason.LENGTH)
        if packet[:AD] != suite.ad:
            raise Dropped(Reason.VERSION)
        routing_at = AD + suite.element
        mac_at = g.header - MAC
        element = packet[AD:routing_at]
        try:
            prk = self._receiver.secret(element)
        except LowOrderPoint:
            raise Dropped(Reason.ELEMENT) from None
        keys = self._context.keys(prk)
        if not compare_digest(header.mac(keys, packet[:mac_at]), packet[mac_at : g.header]):
            raise Dropped(Reason.MAC)
        plain = header.stream(g, keys, packet[routing_at:mac_at])
        slot = parse(g, plain[: g.slot])
        if slot is None:
            raise Dropped(Reason.SLOT)
        tag = self._context.tag(prk)
        block = payload.decrypt(suite, keys.payload, packet[g.header :])
        match slot:
            case RelaySlot(delay_ms, node_id, mac, carried):
                element = suite.next_element(element, carried, keys.blinding)
                following = b"".join((suite.ad, element, plain[g.slot :], mac, block))
                return Relay(tag, node_id, delay_ms, following)
            case ReplySlot(delay_ms, surb_id, exit, address):
                return Reply(tag, delay_ms, surb_id, exit, address, block)
            case ForwardSlot(delay_ms):
                return Deliver(tag, delay_ms, _body(block))
            case CrossoverSlot(delay_ms):
                crossed = cross(g, _body(block))
                if crossed is None:
                    raise Dropped(Reason.CROSSOVER)
                return Relay(tag, crossed[0], delay_ms, crossed[1])


def _body(block: bytes) -> bytes:
    body = payload.untagged(block)
    if body is None:
        raise Dropped(Reason.PAYLOAD)
    return body
