"""Any votes whatever, for hypothesis: well-formed, about a few servers, agreeing now and then."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from mixminion.crypto import kdf
from mixminion.directory.consensus import USABLE, Commitment, Consensus, SharedRandom
from mixminion.directory.parameters import PacketGeometry, Parameters
from mixminion.directory.vote import Recommended, Vote, VotedPeriod, VotedServer
from tests.directory.network import NOW, PERIOD, WEEK, identity
from tests.directory.votes import AUTHORITIES, DESCRIPTORS, DIGESTS, NAMES, entry, three, vote
from tests.directory.votes import count as tallied

FLAGS = ("fast", USABLE, "zzz")
DIGEST = b"\x07" * 32
"""What votes call the previous consensus."""
SECRETS = {each: kdf.sha256(each) for each in AUTHORITIES}
"""What each authority reveals, if it does."""

numbers = st.one_of(st.integers(1, 9), st.integers(1, 2**53 - 1))
digests = st.sampled_from([DIGEST, bytes(32), b"\x08" * 32])
words = st.sampled_from(["poisson", "a", "zz"])


def subset(values: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    """Some of *values*, in their order."""
    return st.sets(st.sampled_from(values)).map(lambda some: tuple(sorted(some)))


@st.composite
def geometries(draw: st.DrawFn, packet: int) -> PacketGeometry:
    """One of those that packets of that length can have, or of a suite nobody knows."""
    suite = draw(st.sampled_from(["xwing", "x25519", "hqc"]))
    hops = draw(st.integers(4, 6))
    if suite == "hqc":
        return PacketGeometry(suite=suite, hops=hops, commands=9, packet=packet, digest=bytes(32))
    return PacketGeometry.make(suite, hops=hops, commands=82, packet=packet)


@st.composite
def periods(draw: st.DrawFn) -> tuple[VotedPeriod, ...]:
    """A chain of them that begins with the current one, mostly the usual."""
    packet = draw(st.sampled_from([32_768, 32_768, 32_768, 30_000]))
    first = draw(st.sampled_from([PERIOD, PERIOD, PERIOD, 9]))
    begins = draw(st.sampled_from([PERIOD * WEEK, PERIOD * WEEK, NOW, 0]))
    ends = draw(st.sampled_from([(PERIOD + 1) * WEEK, (PERIOD + 1) * WEEK, NOW + 1]))
    found = []
    for number in range(first, first + draw(st.integers(1, 4))):
        geometry = draw(st.just(PacketGeometry.make(packet=packet)) | geometries(packet))
        found.append(VotedPeriod(number=number, begins=begins, ends=ends, geometry=geometry))
        begins, ends = ends, ends + draw(st.sampled_from([WEEK, WEEK, 5]))
    return tuple(found)


@st.composite
def parameters(draw: st.DrawFn, hops: int) -> Parameters:
    """Any that one vote can have."""
    fresh, valid = sorted(draw(st.lists(st.integers(1, 2**31), min_size=2, max_size=2)))
    return Parameters(
        tick_ms=draw(numbers),
        strategy=draw(words),
        hops=draw(st.integers(1, hops)),
        fragments=draw(numbers),
        pool_minimum=draw(st.integers(0, 3)),
        consensus_fresh=fresh,
        consensus_valid=valid,
    )


@st.composite
def entries(draw: st.DrawFn, known: tuple[str, ...], name: str) -> VotedServer:
    """Something about a server, often what everybody says; the descriptor may be any."""
    usual = st.just(DIGESTS.get(name, bytes(32)))
    own = st.sampled_from(sorted(DESCRIPTORS))
    return entry(
        name,
        descriptor=draw(st.one_of(usual, usual, own)),
        usable_from=draw(st.sampled_from([NOW, NOW + 1, 0, NOW + WEEK])),
        flags=draw(subset(known)) if known else (),
        reliability=draw(st.none() | st.integers(0, 1000)),
    )


@st.composite
def contents(draw: st.DrawFn, names: tuple[str, ...] = (*NAMES, "mallory")) -> dict[str, Any]:
    """All that a vote says but for its author, about servers of *names*."""
    chain = draw(periods())
    known = draw(st.just(FLAGS) | subset(FLAGS))
    listed = [draw(entries(known, name)) for name in names if draw(st.integers(0, 3))]
    releases = st.builds(
        Recommended, clients=subset(("1", "2", "\u00e9")), servers=subset(("1", "2"))
    )
    return {
        "methods": draw(st.sampled_from([(1,), (1,), (1, 2), (0, 1, 7), (2,)])),
        "test_network": draw(st.booleans()),
        "previous": draw(st.none() | digests),
        "parameters": draw(parameters(min(each.geometry.hops for each in chain))),
        "key_periods": chain,
        "flags_known": known,
        "recommended": draw(st.none() | releases),
        "commitment": draw(st.none() | digests),
        "reveal": draw(st.none() | digests),
        "servers": tuple(sorted(listed, key=lambda each: each.identity)),
    }


@st.composite
def any_votes(draw: st.DrawFn, least: int = 1, most: int = 5) -> list[Vote]:
    """Some votes, in any order, some of which reveal what they had committed to."""
    authors = draw(st.permutations(range(most)))[: draw(st.integers(least, most))]
    votes = []
    for n in authors:
        said = draw(contents())
        if draw(st.booleans()):
            said["reveal"] = SECRETS[AUTHORITIES[n]]
        votes.append(vote(n, **said))
    return votes


@st.composite
def befores(draw: st.DrawFn) -> Consensus:
    """A previous consensus, with commitments."""
    made = tallied(three(key_periods=draw(periods()))).consensus
    commitments = tuple(
        Commitment(authority=each, commitment=kdf.sha256(SECRETS[each]))
        for each in sorted(AUTHORITIES)
    )
    return Consensus(
        method=1,
        valid_after=made.valid_after,
        fresh_until=made.fresh_until,
        valid_until=made.valid_until,
        parameters=draw(st.builds(Parameters, strategy=words)),
        key_periods=made.key_periods,
        shared_random=draw(st.none() | st.just(SharedRandom(commitments=commitments))),
        servers=(),
    )


ALICE = identity("alice")
