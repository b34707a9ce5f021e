"""``directory-10k-tally``: what it costs an authority to make a consensus of 10,000 servers from
five votes, one of which has another descriptor of every server.  Bare is decoding the JSON of
their descriptors and encoding that of the consensus and of three key documents.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import msgspec

from mixminion.benchmarks import large
from mixminion.benchmarks.large import AUTHORITIES, NOW, PERIODS, WEEK
from mixminion.crypto import kdf
from mixminion.crypto import sign as ed25519
from mixminion.directory.consensus import USABLE, Consensus, Server
from mixminion.directory.descriptor import Descriptor, PacketKey
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.parameters import Parameters
from mixminion.directory.tally import tally
from mixminion.directory.vote import Vote, VotedPeriod, VotedServer

TURNS = 5
R = TypeVar("R")


def run() -> list[dict[str, Any]]:
    """The row."""
    votes, descriptors = make()
    authorities = [vote.authority for vote in votes]
    ours, bare = [], []
    for _ in range(TURNS):
        made, taken = _timed(lambda: tally(votes, authorities, descriptors, None))
        ours.append(taken)
        documents = [made.payload, *made.keys.values()]
        bare.append(_timed(partial(_bare, descriptors, documents))[1])
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return [
        {
            "name": "directory-10k-tally",
            "value": round(statistics.median(ours) * 1e3, 1),
            "unit": "ms",
            "bound": round(statistics.median(bare) * 1e3, 1),
            "ratio": round(statistics.median(ratios), 3),
        }
    ]


def make(servers: int = large.SERVERS) -> tuple[list[Vote], dict[bytes, bytes]]:
    """Five votes, and the descriptors they name in their envelopes by digest."""
    consensus, _ = Consensus.open(large.make(servers).consensus)
    signer = Signer.of(bytes(32))
    descriptors: dict[bytes, bytes] = {}
    votes = []
    for n in range(AUTHORITIES):
        entries = []
        for server in consensus.servers:
            payload = _descriptor(server, NOW + (n == 0)).encode()
            digest = kdf.sha256(payload)
            if digest not in descriptors:
                descriptors[digest] = sign(PayloadType.DESCRIPTOR, payload, [signer]).encode()
            entries.append(
                VotedServer(
                    identity=server.identity,
                    descriptor=digest,
                    usable_from=server.usable_from,
                    flags=(USABLE,),
                    reliability=990 + n,
                )
            )
        votes.append(_vote(n, consensus, entries))
    return votes, descriptors


def descriptors(servers: int = large.SERVERS) -> Iterator[bytes]:
    """One of each server, in its envelope."""
    consensus, _ = Consensus.open(large.make(servers).consensus)
    signer = Signer.of(bytes(32))
    for server in consensus.servers:
        yield sign(PayloadType.DESCRIPTOR, _descriptor(server, NOW).encode(), [signer]).encode()


def _vote(n: int, consensus: Consensus, entries: list[VotedServer]) -> Vote:
    return Vote(
        authority=ed25519.public(hashlib.sha256(f"authority {n}".encode()).digest()),
        nickname=f"authority{n}",
        published=NOW - 60,
        methods=(1,),
        valid_after=NOW,
        parameters=Parameters.default(),
        key_periods=tuple(
            VotedPeriod(
                number=each.number, begins=each.begins, ends=each.ends, geometry=each.geometry
            )
            for each in consensus.key_periods
        ),
        flags_known=(USABLE,),
        servers=tuple(entries),
    )


def _descriptor(server: Server, published: int) -> Descriptor:
    return Descriptor(
        identity=server.identity,
        nickname=server.nickname,
        start=1,
        published=published,
        valid_after=NOW - WEEK,
        valid_until=NOW + WEEK,
        addresses=server.addresses,
        protocols=server.protocols,
        suites=("xwing",),
        packet_keys=tuple(
            PacketKey(
                period=period,
                suite="xwing",
                key=hashlib.shake_256(server.identity + period.to_bytes(4, "big")).digest(1216),
            )
            for period in range(NOW // WEEK, NOW // WEEK + PERIODS)
        ),
        exits=server.exits,
        family=server.family,
        jurisdiction=server.jurisdiction,
        software=server.software,
    )


def _bare(descriptors: dict[bytes, bytes], documents: list[bytes]) -> None:
    for octets in descriptors.values():
        msgspec.json.decode(msgspec.json.decode(octets, type=Envelope).payload)
    for octets in documents:
        msgspec.json.encode(msgspec.json.decode(octets))


def _timed(work: Callable[[], R]) -> tuple[R, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
