"""From votes to a consensus: a pure function, so that all who have the same votes make the same
octets.  Method 1; ``doc/spec/directory.rst`` has its rules, and every one of them is such that no
minority of the authorities changes what the others agree on.

Servers are counted in :mod:`mixminion.directory.listing`, parameters and key periods in
:mod:`mixminion.directory.terms`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from mixminion.crypto import kdf
from mixminion.directory import consensus as consensuses
from mixminion.directory import documents, keydoc, listing, terms
from mixminion.directory.agreement import majority, named_by
from mixminion.directory.consensus import Commitment, Consensus, KeyPeriod, SharedRandom
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.errors import BadDocument
from mixminion.directory.keydoc import KeyDocument, ServerKey
from mixminion.directory.vote import Vote, VotedPeriod
from mixminion.errors import PeerError

METHODS = (1,)
"""The methods known here; the greatest that most authorities know is used."""
LONGEST = 12_500_000
"""Octets of a consensus without its envelope, in which there is room for 64 signatures then."""
SHARED_RANDOM = b"mixminion shared random 1"


class NoConsensus(PeerError):
    """The votes make none; ``problem`` says what is missing."""

    code = "no-consensus"
    sentence = "The votes make no consensus: {problem}."


@dataclass(frozen=True, slots=True)
class Tallied:
    """A consensus that nobody has signed yet, and its key documents by digest."""

    consensus: Consensus
    keys: Mapping[bytes, bytes]
    payload: bytes  #: the consensus' octets: what is signed


def previous_of(votes: Sequence[Vote], authorities: Sequence[bytes]) -> tuple[bytes | None, bool]:
    """The digest that a majority of all *authorities* name as the last consensus, and whether
    there is a gap: no majority for any.  ``(None, False)`` where a majority knows of none."""
    found = named_by(([vote.previous] for vote in votes), majority(authorities))
    return (found.pop(), False) if found else (None, True)


def method_of(votes: Sequence[Vote], authorities: Sequence[bytes]) -> int:
    """The greatest method that a majority of all *authorities* know.

    :raises NoConsensus: there is none.
    """
    known = named_by((vote.methods for vote in votes), majority(authorities))
    if not known:
        raise NoConsensus(problem="no method is known to most authorities")
    return max(known)


def tally(
    votes: Sequence[Vote],
    authorities: Sequence[bytes],
    descriptors: Mapping[bytes, bytes],
    previous: Consensus | None,
) -> Tallied:
    """The consensus of *votes*, one each of some of *authorities* (raw identity keys), all for
    one time, in any order.

    *descriptors* has every descriptor that a vote names, in its envelope, by the digest of its
    payload; signatures were checked before.  *previous* is the document that
    :func:`previous_of` names, None where there is none.

    :raises NoConsensus: fewer than a majority voted, or they agree on too little.
    :raises KeyError: a descriptor is not at hand.
    :raises ValueError: two votes are of one authority, or for two times, or one is a stranger's.
    """
    ordered = sorted(votes, key=lambda vote: vote.authority)
    needed = majority(authorities)
    if len({vote.authority for vote in ordered} & set(authorities)) != len(ordered):
        raise ValueError("two votes of one authority, or a stranger's")
    if len(ordered) < needed:
        raise NoConsensus(problem=f"{len(ordered)} votes, and it takes {needed}")
    method = method_of(ordered, authorities)
    if method not in METHODS:
        raise NoConsensus(problem=f"method {method} is not known here; install a newer release")
    (valid_after,) = {vote.valid_after for vote in ordered}
    digest, gap = previous_of(ordered, authorities)
    before = None if digest is None else previous
    periods = terms.key_periods(ordered, needed, valid_after, before)
    if not periods:
        raise NoConsensus(problem="most authorities agree on no key period for its time")
    parameters = terms.parameters(ordered, needed, before)
    deepest = min(period.geometry.hops for period in periods)
    parameters = msgspec.structs.replace(parameters, hops=min(parameters.hops, deepest))
    listed = listing.listed(ordered, needed, descriptors)
    keys = [_key_document(period, (each for each, _ in listed)) for period in periods]
    return _made(
        Consensus(
            method=method,
            test_network=sum(vote.test_network for vote in ordered) >= needed,
            valid_after=valid_after,
            fresh_until=valid_after + parameters.consensus_fresh,
            valid_until=valid_after + parameters.consensus_valid,
            previous=digest,
            gap=gap,
            parameters=parameters,
            recommended=terms.recommended(ordered, needed),
            shared_random=_shared_random(ordered, valid_after, before),
            key_periods=tuple(
                KeyPeriod(**msgspec.structs.asdict(period), keys=kdf.sha256(document))
                for period, document in zip(periods, keys, strict=True)
            ),
            servers=tuple(server for _, server in listed),
        ),
        keys,
    )


def _made(consensus: Consensus, keys: Sequence[bytes]) -> Tallied:
    """With its octets, which have to be such as everybody reads: nobody signs anything else."""
    payload = consensus.encode()
    try:
        documents.decode(
            Consensus,
            payload,
            name=consensuses.NAME,
            version=consensuses.VERSION,
            limit=LONGEST,
        )
        for each in keys:
            if len(each) > keydoc.LIMIT:
                raise BadDocument(document=keydoc.NAME, problem="too long")
    except BadDocument as error:
        raise NoConsensus(problem=error.fields["problem"]) from None
    return Tallied(consensus, {kdf.sha256(each): each for each in keys}, payload)


def _key_document(period: VotedPeriod, descriptors: Iterable[Descriptor]) -> bytes:
    wanted = (period.number, period.geometry.suite)
    return KeyDocument(
        period=period.number,
        suite=period.geometry.suite,
        keys=tuple(
            ServerKey(identity=descriptor.identity, key=key.key)
            for descriptor in descriptors
            for key in descriptor.packet_keys
            if (key.period, key.suite) == wanted
        ),
    ).encode()


def _shared_random(
    votes: Sequence[Vote], valid_after: int, previous: Consensus | None
) -> SharedRandom | None:
    """From what is revealed now of what the previous consensus has commitments to."""
    held = previous.shared_random if previous is not None else None
    committed = {each.authority: each.commitment for each in held.commitments} if held else {}
    revealed = [
        vote.authority + vote.reveal
        for vote in votes
        if vote.reveal is not None and committed.get(vote.authority) == kdf.sha256(vote.reveal)
    ]
    value = kdf.sha256(SHARED_RANDOM + valid_after.to_bytes(8, "big") + b"".join(revealed))
    commitments = tuple(
        Commitment(authority=vote.authority, commitment=vote.commitment)
        for vote in votes
        if vote.commitment is not None
    )
    if not revealed and not commitments:
        return None
    return SharedRandom(value=value if revealed else None, commitments=commitments)
