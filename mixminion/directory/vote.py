"""A vote: what one authority says a consensus should be, signed by it.

In its envelope it may carry other authorities' signatures as well: countersignatures, which
say that their authors had it, and every descriptor it names, in time (:mod:`mixminion.authority`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Self

from msgspec import Meta

from mixminion.directory import documents
from mixminion.directory.documents import (
    Count,
    Digest,
    Document,
    Key,
    Nickname,
    Part,
    Text,
    Time,
    ascending,
)
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.parameters import PacketGeometry, Parameters, check_packet_length
from mixminion.directory.parts import Words
from mixminion.util import times

VERSION = 1
NAME = "vote"
LIMIT = 8 * 2**20
"""Octets of a vote in its envelope: 20,000 servers."""
MOST_SERVERS = 20_000

Versions = Annotated[tuple[Text, ...], Meta(max_length=32)]
PerMille = Annotated[int, Meta(ge=0, le=1000)]


class VotedServer(Part, frozen=True, kw_only=True):
    """One server that the authority lists, and what it found about it."""

    identity: Key
    descriptor: Digest  #: of its descriptor's payload
    usable_from: Time
    flags: Words = ()  #: of those in ``flags_known``
    reliability: PerMille | None = None  #: median of the pingers' figures, if there are enough


class VotedPeriod(Part, frozen=True, kw_only=True):
    """A key period, and the geometry its packets should have."""

    number: Count
    begins: Time
    ends: Time
    geometry: PacketGeometry


def check_periods(periods: Sequence[VotedPeriod], valid_after: int, hops: int) -> None:
    """ValueError unless a consensus of *valid_after* can have *periods*, and paths of *hops*."""
    for a, b in pairwise(periods):
        if b.number != a.number + 1 or b.begins != a.ends:
            raise ValueError("the key periods do not follow each other")
    if any(period.begins >= period.ends for period in periods):
        raise ValueError("a key period ends before it begins")
    if not periods[0].begins <= valid_after < periods[0].ends:
        raise ValueError("the first key period is not the current one")
    if any(period.geometry.hops < hops for period in periods):
        raise ValueError("the paths are longer than a header")
    check_packet_length(period.geometry for period in periods)


class Recommended(Part, frozen=True, kw_only=True):
    """Releases that are recommended; none named says nothing about any."""

    clients: Versions = ()
    servers: Versions = ()


class Vote(Document, frozen=True, kw_only=True):
    """Members are in ``doc/spec/directory.rst``."""

    version: int = documents.written(VERSION)
    authority: Key  #: its long-term identity
    nickname: Nickname
    contact: Text = ""
    published: Time
    methods: Annotated[tuple[Count, ...], Meta(min_length=1, max_length=16)]
    valid_after: Time  #: of the consensus it is for
    test_network: bool = False
    previous: Digest | None = None  #: the last consensus it holds; None when there never was one
    parameters: Parameters
    key_periods: Annotated[tuple[VotedPeriod, ...], Meta(min_length=1, max_length=8)]
    flags_known: Words  #: the flags it votes on, ascending
    recommended: Recommended | None = None
    commitment: Digest | None = None  #: SHA-256 of what the next vote reveals
    reveal: Digest | None = None  #: what the commitment in the previous consensus hides
    servers: Annotated[tuple[VotedServer, ...], Meta(max_length=MOST_SERVERS)]

    def __post_init__(self) -> None:
        if not ascending(self.methods) or not ascending(self.flags_known):
            raise ValueError("its methods or flags are not ascending")
        if not ascending(server.identity for server in self.servers):
            raise ValueError("its servers are not ascending by identity")
        check_periods(self.key_periods, self.valid_after, self.parameters.hops)
        fresh, valid = self.parameters.consensus_fresh, self.parameters.consensus_valid
        if not fresh <= valid <= times.LAST - self.valid_after:
            raise ValueError("its consensus would have no dates")
        known = {*self.flags_known}
        if any(not ascending(s.flags) or not known >= {*s.flags} for s in self.servers):
            raise ValueError("a server's flags are not ascending, or not voted on")

    def sign(self, signer: Signer) -> Envelope:
        """The vote in its envelope; *signer* is the signing key with its certificate of role
        ``authority``."""
        return sign(PayloadType.VOTE, self.encode(), [signer])

    @classmethod
    def open(cls, octets: bytes) -> tuple[Self, Envelope]:
        """Read a vote and its envelope; signatures and descriptors are not checked.

        :raises BadDocument: malformed.
        """
        envelope = Envelope.decode(octets, PayloadType.VOTE, limit=LIMIT)
        vote = documents.decode(cls, envelope.payload, name=NAME, version=VERSION, limit=LIMIT)
        return vote, envelope
