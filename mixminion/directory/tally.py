"""From votes to a consensus: a pure function, so that all who have the same votes make the same
octets.  Method 1; ``doc/spec/directory.rst`` has its rules, and every one of them is such that no
minority of the authorities changes what the others agree on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mixminion.crypto import kdf
from mixminion.directory import documents
from mixminion.directory.agreement import low_median, majority, most, named_by
from mixminion.directory.consensus import (
    Commitment,
    Consensus,
    KeyPeriod,
    Server,
    SharedRandom,
)
from mixminion.directory.descriptor import LIMIT, NAME, VERSION, Descriptor
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.errors import BadDocument, NewerDocument
from mixminion.directory.keydoc import KeyDocument, ServerKey
from mixminion.directory.parameters import Parameters
from mixminion.directory.vote import Recommended, Vote, VotedPeriod, VotedServer
from mixminion.errors import PeerError

METHODS = (1,)
"""The methods known here; the greatest that most authorities know is used."""
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
    parameters = _parameters(ordered)
    listed = _listed(ordered, needed, descriptors)
    keys, periods = _keys(ordered, needed, [each for each, _ in listed])
    digest, gap = previous_of(ordered, authorities)
    try:
        consensus = Consensus(
            method=method,
            test_network=sum(vote.test_network for vote in ordered) >= needed,
            valid_after=valid_after,
            fresh_until=valid_after + parameters.consensus_fresh,
            valid_until=valid_after + parameters.consensus_valid,
            previous=digest,
            gap=gap,
            parameters=parameters,
            recommended=_recommended(ordered, needed),
            shared_random=_shared_random(ordered, valid_after, previous),
            key_periods=periods,
            servers=tuple(server for _, server in listed),
        )
    except ValueError as error:
        raise NoConsensus(problem=str(error)) from None
    return Tallied(consensus, keys)


# -- the network ---------------------------------------------------------------------------------


def _parameters(votes: Sequence[Vote]) -> Parameters:
    """Each number the low median, each word the one with the most votes."""
    agreed: dict[str, Any] = {}
    for name in Parameters.__struct_fields__:
        values = [getattr(vote.parameters, name) for vote in votes]
        words = isinstance(values[0], str)
        agreed[name] = most(values, lambda word: word) if words else low_median(values)
    return Parameters(**agreed)


def _recommended(votes: Sequence[Vote], needed: int) -> Recommended | None:
    """Releases that a majority of all authorities recommend."""
    found = [vote.recommended for vote in votes if vote.recommended is not None]
    agreed = Recommended(
        clients=tuple(sorted(named_by((each.clients for each in found), needed))),
        servers=tuple(sorted(named_by((each.servers for each in found), needed))),
    )
    return agreed if agreed.clients or agreed.servers else None


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
    value = kdf.sha256(SHARED_RANDOM + valid_after.to_bytes(8) + b"".join(revealed))
    commitments = tuple(
        Commitment(authority=vote.authority, commitment=vote.commitment)
        for vote in votes
        if vote.commitment is not None
    )
    if not revealed and not commitments:
        return None
    return SharedRandom(value=value if revealed else None, commitments=commitments)


def _keys(
    votes: Sequence[Vote], needed: int, descriptors: Sequence[Descriptor]
) -> tuple[dict[bytes, bytes], tuple[KeyPeriod, ...]]:
    """Key documents by digest, and the key periods that name them."""
    by_number: dict[int, list[VotedPeriod]] = {}
    for vote in votes:
        for period in vote.key_periods:
            by_number.setdefault(period.number, []).append(period)
    keys, periods = {}, []
    for number, voted in sorted(by_number.items()):
        if len(voted) < needed:
            continue
        period = most(voted, msgspec.json.Encoder(order="sorted").encode)
        document = _key_document(period, descriptors).encode()
        digest = kdf.sha256(document)
        keys[digest] = document
        periods.append(
            KeyPeriod(
                number=number,
                begins=period.begins,
                ends=period.ends,
                geometry=period.geometry,
                keys=digest,
            )
        )
    if not periods:
        raise NoConsensus(problem="no key period is named by most authorities")
    return keys, tuple(periods)


def _key_document(period: VotedPeriod, descriptors: Sequence[Descriptor]) -> KeyDocument:
    suite = period.geometry.suite
    return KeyDocument(
        period=period.number,
        suite=suite,
        keys=tuple(
            ServerKey(identity=descriptor.identity, key=key.key)
            for descriptor in descriptors
            for key in descriptor.packet_keys
            if (key.period, key.suite) == (period.number, suite)
        ),
    )


# -- servers -------------------------------------------------------------------------------------


def _listed(
    votes: Sequence[Vote], needed: int, descriptors: Mapping[bytes, bytes]
) -> list[tuple[Descriptor, Server]]:
    """The servers that a majority of all authorities list, ascending by identity."""
    flags = named_by((vote.flags_known for vote in votes), needed)
    voting = {flag: sum(flag in vote.flags_known for vote in votes) for flag in flags}
    candidates = []
    for identity, voted in sorted(_entries(votes).items()):
        if len(voted) < needed:
            continue
        read = dict(_read(identity, {each.descriptor for each in voted}, descriptors))
        entries = [each for each in voted if each.descriptor in read]
        if len(entries) < needed:
            continue
        latest = {digest: (-read[digest].published, _complement(digest)) for digest in read}
        digest = most((each.descriptor for each in entries), latest.__getitem__)
        given = [each.reliability for each in entries if each.reliability is not None]
        server = Server.listed(
            read[digest],
            digest,
            usable_from=low_median(each.usable_from for each in entries),
            flags=[f for f in flags if 2 * sum(f in e.flags for e in entries) > voting[f]],
            reliability=low_median(given) if len(given) >= needed else None,
        )
        candidates.append((len(entries), read[digest], server))
    return _without_namesakes(candidates)


def _entries(votes: Sequence[Vote]) -> dict[bytes, list[VotedServer]]:
    found: dict[bytes, list[VotedServer]] = {}
    for vote in votes:
        for entry in vote.servers:
            found.setdefault(entry.identity, []).append(entry)
    return found


def _read(
    identity: bytes, digests: set[bytes], descriptors: Mapping[bytes, bytes]
) -> Iterator[tuple[bytes, Descriptor]]:
    """Those of *digests* that are descriptors of *identity*; whoever votes for another thing
    does not vote for the server."""
    for digest in digests:
        octets = descriptors[digest]
        try:
            envelope = Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=LIMIT)
            descriptor = documents.decode(
                Descriptor, envelope.payload, name=NAME, version=VERSION, limit=LIMIT
            )
        except (BadDocument, NewerDocument):
            continue
        if descriptor.identity == identity:
            yield digest, descriptor


def _complement(digest: bytes) -> bytes:
    """Least for the greatest."""
    return bytes(255 - octet for octet in digest)


def _without_namesakes(
    candidates: Sequence[tuple[int, Descriptor, Server]],
) -> list[tuple[Descriptor, Server]]:
    """Of two with one nickname the one with more votes stays, then the one that is usable
    earlier, then the one whose identity is less."""
    ranked = sorted(candidates, key=lambda each: (-each[0], each[2].usable_from, each[2].identity))
    owners: dict[str, bytes] = {}
    for _, _, server in ranked:
        owners.setdefault(server.nickname.lower(), server.identity)
    return [
        (descriptor, server)
        for _, descriptor, server in candidates
        if owners[server.nickname.lower()] == server.identity
    ]
