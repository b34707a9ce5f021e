"""Packets in a file, on their way to another machine that sends them.

The form is in ``doc/spec/packet-file.rst``; integers are big-endian::

    "mixminion packet" 16 | version 1 | zeros 3 | packet length 4 | count 4
    (entry 32 | key period 8 | packet)*
    SHA-256 of all that 32

Whoever finds such a file sees which servers take its packets; all else is encrypted.
"""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from mixminion.client.outbox_errors import NotPackets
from mixminion.crypto.kdf import sha256

MAGIC = b"mixminion packet"
VERSION = 1

_HEAD = struct.Struct(">16sB3xII")
_RECORD = struct.Struct(">32sQ")
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class Carried:
    """A packet, the server that takes it, and the key period it was built for."""

    entry: bytes  #: identity, 32 octets
    period: int
    octets: bytes


def encode(packets: Sequence[Carried]) -> bytes:
    """A file with *packets*, of which there is at least one and which are of one length."""
    (length,) = {len(each.octets) for each in packets}
    parts = [_HEAD.pack(MAGIC, VERSION, length, len(packets))]
    for each in packets:
        parts += (_RECORD.pack(each.entry, each.period), each.octets)
    whole = b"".join(parts)
    return whole + sha256(whole)


def parse(octets: bytes) -> list[Carried]:
    """What is in a file.

    :raises NotPackets: it is none, one of another version, or damaged.
    """
    if len(octets) < _HEAD.size or not octets.startswith(MAGIC):
        raise NotPackets(why="it does not begin as one")
    _, version, length, count = _HEAD.unpack_from(octets)
    if version != VERSION:
        raise NotPackets(why=f"it has version {version}, and this program knows {VERSION}")
    record = _RECORD.size + length
    if len(octets) != _HEAD.size + count * record + _DIGEST:
        raise NotPackets(why="it is not complete")
    if not hmac.compare_digest(sha256(octets[:-_DIGEST]), octets[-_DIGEST:]):
        raise NotPackets(why="it is damaged")
    found = []
    for at in range(_HEAD.size, len(octets) - _DIGEST, record):
        entry, period = _RECORD.unpack_from(octets, at)
        found.append(Carried(entry, period, octets[at + _RECORD.size : at + record]))
    return found
