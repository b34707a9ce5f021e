"""Making a header: keys, filler, routing from the last hop to the first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mixminion.crypto.kdf import hmac_sha256
from mixminion.crypto.stream import aes_ctr
from mixminion.interfaces import Random
from mixminion.sphinx.geometry import NODE_ID, Geometry
from mixminion.sphinx.keys import Context, HopKeys
from mixminion.sphinx.slots import LastSlot, RelaySlot, encode_last, encode_relay


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a path: node id(32), its public packet key of the period, its delay."""

    node_id: bytes
    public_key: bytes
    delay_ms: int


def stream(geometry: Geometry, keys: HopKeys, routing: bytes) -> bytes:
    """*routing* and one slot of zeros, with a hop's key stream added."""
    return aes_ctr(keys.stream, keys.iv, routing + bytes(geometry.slot))


def mac(keys: HopKeys, ahead: bytes) -> bytes:
    """The MAC(32) of AD, element and routing."""
    return hmac_sha256(keys.mac, ahead)


def make(
    geometry: Geometry, path: Sequence[Hop], end: Callable[[int], LastSlot], random: Random
) -> tuple[bytes, list[bytes]]:
    """A header for *path*, and the hops' payload secrets(64) from first to last.  *end* gives the
    last slot from the last hop's delay.

    ValueError for a path that no packet can take; BadPublicKey, LowOrderPoint.
    """
    _check(geometry, path)
    elements, keys = _share(geometry, path, random)
    size, hops, ad = geometry.slot, geometry.hops, geometry.suite.ad
    streams = [stream(geometry, k, bytes(geometry.routing)) for k in keys]

    filler = b""
    for i, ks in enumerate(streams[:-1], start=1):
        filler = _xor(filler + bytes(size), ks[(hops + 1 - i) * size :])

    unused = random.octets((hops - len(path)) * size)
    plain = encode_last(geometry, end(path[-1].delay_ms), random) + unused
    routing = _xor(plain, streams[-1][: len(plain)]) + filler
    tag = mac(keys[-1], ad + elements[-1] + routing)

    for i in reversed(range(len(path) - 1)):
        following = elements[i + 1] if geometry.suite.carried else b""
        slot = RelaySlot(path[i].delay_ms, path[i + 1].node_id, tag, following)
        plain = encode_relay(geometry, slot) + routing[:-size]
        routing = _xor(plain, streams[i][: len(plain)])
        tag = mac(keys[i], ad + elements[i] + routing)
    return ad + elements[0] + routing + tag, [k.payload for k in keys]


def _check(geometry: Geometry, path: Sequence[Hop]) -> None:
    if not 1 <= len(path) <= geometry.hops:
        raise ValueError(f"a path has 1 to {geometry.hops} hops")
    if any(len(hop.node_id) != NODE_ID for hop in path):
        raise ValueError(f"a node id has {NODE_ID} octets")


def _share(
    geometry: Geometry, path: Sequence[Hop], random: Random
) -> tuple[list[bytes], list[HopKeys]]:
    """Elements and keys of every hop."""
    sender = geometry.suite.sender(random)
    elements: list[bytes] = []
    keys: list[HopKeys] = []
    for hop in path:
        if keys:
            sender.blind(keys[-1].blinding)
        element, prk = sender.share(hop.public_key)
        elements.append(element)
        keys.append(Context(geometry, hop.node_id).keys(prk))
    return elements, keys


def _xor(a: bytes, b: bytes) -> bytes:
    """Two strings of one length."""
    return (int.from_bytes(a) ^ int.from_bytes(b)).to_bytes(len(a))
