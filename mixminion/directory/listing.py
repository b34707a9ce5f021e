"""The servers of a consensus, from votes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from mixminion.directory import documents
from mixminion.directory.agreement import low_median, most, named_by
from mixminion.directory.consensus import Server
from mixminion.directory.descriptor import LIMIT, NAME, VERSION, Descriptor
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.errors import BadDocument, NewerDocument
from mixminion.directory.vote import MOST_SERVERS, Vote, VotedServer

MOST_FLAGS = 32
MOST_OCTETS = 12_000_000
"""Of all entries together, so that the consensus is not longer than everybody reads."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A server that enough votes list, and how many of them give it this nickname."""

    descriptor: Descriptor
    server: Server
    support: int


def listed(
    votes: Sequence[Vote], needed: int, descriptors: Mapping[bytes, bytes]
) -> list[tuple[Descriptor, Server]]:
    """The servers that at least *needed* of *votes* list, ascending by identity, each with the
    one of *descriptors* (envelopes by digest) that its entry is made from.

    :raises KeyError: a descriptor is not at hand.
    """
    flags = _flags(votes, needed)
    found = []
    for identity, entries in sorted(_entries(votes).items()):
        if len(entries) >= needed:
            candidate = _candidate(identity, entries, needed, flags, descriptors)
            if candidate is not None:
                found.append(candidate)
    return [(each.descriptor, each.server) for each in _small(_without_namesakes(found))]


def _flags(votes: Sequence[Vote], needed: int) -> Mapping[str, int]:
    """The flags that matter, and how many votes know each."""
    known = named_by((vote.flags_known for vote in votes), needed)
    return {
        flag: sum(flag in vote.flags_known for vote in votes) for flag in sorted(known)[:MOST_FLAGS]
    }


def _entries(votes: Sequence[Vote]) -> dict[bytes, list[VotedServer]]:
    found: dict[bytes, list[VotedServer]] = {}
    for vote in votes:
        for entry in vote.servers:
            found.setdefault(entry.identity, []).append(entry)
    return found


def _candidate(
    identity: bytes,
    entries: Sequence[VotedServer],
    needed: int,
    flags: Mapping[str, int],
    descriptors: Mapping[bytes, bytes],
) -> _Candidate | None:
    read = dict(_read(identity, {each.descriptor for each in entries}, descriptors))
    counted = [each for each in entries if each.descriptor in read]
    if len(counted) < needed:
        return None
    digest = most(
        (each.descriptor for each in counted),
        lambda digest: (-read[digest].published, -int.from_bytes(digest, "big")),
    )
    given = [each.reliability for each in counted if each.reliability is not None]
    set_by = Counter(flag for each in counted for flag in each.flags)
    server = Server.listed(
        read[digest],
        digest,
        usable_from=low_median(each.usable_from for each in counted),
        flags=(flag for flag, known in flags.items() if 2 * set_by[flag] > known),
        reliability=low_median(given) if len(given) >= needed else None,
    )
    nickname = server.nickname.lower()
    support = sum(read[each.descriptor].nickname.lower() == nickname for each in counted)
    return _Candidate(read[digest], server, support)


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


def _without_namesakes(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Of several with one nickname the one stays that most call so; a majority that agrees on a
    server cannot lose it to another one that took the name after some had voted."""
    ranked = sorted(
        candidates, key=lambda each: (-each.support, each.server.usable_from, each.server.identity)
    )
    owners: dict[str, bytes] = {}
    for each in ranked:
        owners.setdefault(each.server.nickname.lower(), each.server.identity)
    return [
        each for each in candidates if owners[each.server.nickname.lower()] == each.server.identity
    ]


def _small(candidates: list[_Candidate]) -> list[_Candidate]:
    """As many as there is room for; servers with long entries go first, for they use it up."""
    sizes = {each.server.identity: len(msgspec.json.encode(each.server)) for each in candidates}
    total = sum(sizes.values())
    gone: set[bytes] = set()
    for identity in sorted(sizes, key=lambda identity: (sizes[identity], identity), reverse=True):
        if total <= MOST_OCTETS and len(sizes) - len(gone) <= MOST_SERVERS:
            break
        gone.add(identity)
        total -= sizes[identity]
    return [each for each in candidates if each.server.identity not in gone]
