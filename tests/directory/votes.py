"""Votes for the tests: five authorities that agree unless told otherwise, and four servers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from mixminion.crypto import kdf
from mixminion.directory.consensus import USABLE, Consensus, Server
from mixminion.directory.descriptor import Descriptor, PacketKey
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.tally import Tallied, tally
from mixminion.directory.vote import Vote, VotedPeriod, VotedServer
from mixminion.testing.directory import server_signer
from tests.directory.network import NOW, PERIOD, WEEK, descriptor, identity, packet_key, private_key

AUTHORITIES = [identity(f"authority {n}") for n in range(7)]
NAMES = ["alice", "bob", "carol", "dave"]


def signed(made: Descriptor, name: str) -> bytes:
    """In its envelope."""
    return made.sign(server_signer(private_key(name), hashlib.sha256(b"s").digest(), now=NOW))


def digest_of(octets: bytes) -> bytes:
    """Of the payload."""
    return kdf.sha256(Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=2**17).payload)


OCTETS = {name: signed(descriptor(name, n), name) for n, name in enumerate(NAMES, 1)}
DIGESTS = {name: digest_of(octets) for name, octets in OCTETS.items()}
LATER = signed(descriptor("alice", 9, published=NOW + 5), "alice")
LATE_TOO = signed(descriptor("alice", 8, published=NOW + 5), "alice")
NAMESAKE = signed(descriptor("mallory", 8, nickname="Alice"), "mallory")
MALLORY = signed(descriptor("mallory", 8), "mallory")
KEYLESS = signed(
    descriptor(
        "bob",
        2,
        packet_keys=(PacketKey(period=PERIOD, suite="xwing", key=packet_key("bob", PERIOD)),),
    ),
    "bob",
)
"""Bob, with a key of this period only."""
CLASSICAL = signed(
    descriptor(
        "carol",
        3,
        suites=("x25519",),
        packet_keys=(PacketKey(period=PERIOD, suite="x25519", key=bytes(32)),),
    ),
    "carol",
)
"""Carol, with a key of the other suite."""
UNREADABLE = b"{}"
VARIANTS = (LATER, LATE_TOO, NAMESAKE, MALLORY, KEYLESS, CLASSICAL)
DESCRIPTORS = {digest_of(each): each for each in (*OCTETS.values(), *VARIANTS)} | {
    bytes(32): UNREADABLE
}


def entry(name: str, **changes: Any) -> VotedServer:
    """What an authority says of a server."""
    fields: dict[str, Any] = {
        "identity": identity(name),
        "descriptor": DIGESTS.get(name, bytes(32)),
        "usable_from": NOW,
        "flags": (USABLE,),
    }
    return VotedServer(**fields | changes)


def period(number: int = PERIOD, suite: str = "xwing") -> VotedPeriod:
    """A key period."""
    return VotedPeriod(
        number=number,
        begins=number * WEEK,
        ends=(number + 1) * WEEK,
        geometry=PacketGeometry.make(suite, commands=304 if suite == "x25519" else 82),
    )


def vote(n: int, servers: Any = None, **changes: Any) -> Vote:
    """The vote of authority *n*."""
    entries = [entry(name) for name in NAMES] if servers is None else servers
    fields: dict[str, Any] = {
        "authority": AUTHORITIES[n],
        "nickname": f"auth{n}",
        "published": NOW - 60,
        "methods": (1,),
        "valid_after": NOW,
        "parameters": Parameters.default(),
        "key_periods": (period(), period(PERIOD + 1)),
        "flags_known": (USABLE,),
        "servers": tuple(sorted(entries, key=lambda each: each.identity)),
    }
    return Vote(**fields | changes)


def count(
    votes: Iterable[Vote],
    n: int = 5,
    previous: Consensus | None = None,
    descriptors: Mapping[bytes, bytes] = DESCRIPTORS,
) -> Tallied:
    """Their tally, among *n* authorities."""
    return tally(list(votes), AUTHORITIES[:n], descriptors, previous)


def three(**changes: Any) -> list[Vote]:
    """Three votes that agree."""
    return [vote(n, **changes) for n in range(3)]


def names(tallied: Tallied) -> list[str]:
    """Who is listed."""
    return sorted(server.nickname for server in tallied.consensus.servers)


def server(tallied: Tallied, name: str = "alice") -> Server:
    """Its entry."""
    return next(each for each in tallied.consensus.servers if each.identity == identity(name))
