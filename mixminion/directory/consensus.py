"""The consensus: what the authorities agree on for some hours, the same octets for everybody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Self

from msgspec import Meta
from typing_extensions import override

from mixminion.crypto import kdf
from mixminion.directory import documents
from mixminion.directory.descriptor import Descriptor
from mixminion.directory.documents import (
    Digest,
    Document,
    Key,
    Nickname,
    Part,
    Positive,
    Text,
    Time,
    ascending,
)
from mixminion.directory.envelope import Envelope, PayloadType, Signer, sign
from mixminion.directory.parameters import Parameters
from mixminion.directory.parts import (
    Addresses,
    Exit,
    Family,
    Jurisdiction,
    Rules,
    Words,
    check_addresses,
    check_exits,
)
from mixminion.directory.vote import PerMille, Recommended, VotedPeriod, check_periods

VERSION = 1
METHOD = 1
"""How votes become a consensus; a hand-signed one has the method it imitates."""
NAME = "consensus"
LIMIT = 16 * 2**20
"""Octets of a consensus in its envelope."""
OVERDUE = 86_400
"""Seconds for which clients use a consensus after its end, when they get no other."""
USABLE = "usable"
"""The flag of servers that paths may use."""


class KeyPeriod(VotedPeriod, frozen=True, kw_only=True):
    """One key period: packets that leave from ``begins`` until ``ends`` have this geometry and
    are made with the keys of the key document ``keys``."""

    keys: Digest


class Server(Part, frozen=True, kw_only=True):
    """A listed server: of its descriptor what others need, and what the authorities found."""

    identity: Key
    nickname: Nickname
    addresses: Addresses
    protocols: Words
    exits: Annotated[tuple[Exit, ...], Meta(max_length=64)] = ()
    accepts: Rules = ()  #: of whom it takes links
    dials: Rules = ()  #: to whom it makes links
    family: Family = ""
    jurisdiction: Jurisdiction = ""
    software: Text = ""
    insecure: Words = ()
    flags: Words = ()
    usable_from: Time  #: paths use it from this moment on
    reliability: PerMille | None = None  #: of its pings, the median of the authorities' figures
    descriptor: Digest  #: of the descriptor's payload

    def __post_init__(self) -> None:
        check_addresses(self.addresses)
        check_exits(self.exits)

    @override
    def __hash__(self) -> int:
        return hash(self.identity)

    @property
    def node_id(self) -> bytes:
        """SHA-256 of the identity: what packets call this server."""
        return kdf.sha256(self.identity)

    def exit(self, name: str) -> Exit | None:
        """The exit of that delivery name."""
        return next((each for each in self.exits if each.name == name), None)

    @classmethod
    def listed(
        cls,
        descriptor: Descriptor,
        digest: bytes,
        *,
        usable_from: int,
        flags: Iterable[str] = (USABLE,),
        reliability: int | None = None,
    ) -> Self:
        """The entry that a descriptor leads to, whose payload has that *digest*."""
        return cls(
            identity=descriptor.identity,
            nickname=descriptor.nickname,
            addresses=descriptor.addresses,
            protocols=descriptor.protocols,
            exits=descriptor.exits,
            accepts=descriptor.accepts,
            dials=descriptor.dials,
            family=descriptor.family,
            jurisdiction=descriptor.jurisdiction,
            software=descriptor.software,
            insecure=descriptor.insecure,
            flags=tuple(sorted(flags)),
            usable_from=usable_from,
            reliability=reliability,
            descriptor=digest,
        )


class Commitment(Part, frozen=True, kw_only=True):
    """What an authority will reveal for the next shared random value, hashed."""

    authority: Key
    commitment: Digest


class SharedRandom(Part, frozen=True, kw_only=True):
    """A value nobody chose, and the commitments to the next one, ascending by authority.

    There is no ``value`` where nobody revealed anything that had been committed to.
    """

    value: Digest | None = None
    commitments: Annotated[tuple[Commitment, ...], Meta(max_length=64)] = ()


class Consensus(Document, frozen=True, kw_only=True):
    """Parameters, key periods and servers; members are in ``doc/spec/directory.rst``."""

    version: int = documents.written(VERSION)
    method: Positive
    test_network: bool = False
    valid_after: Time
    fresh_until: Time
    valid_until: Time
    previous: Digest | None = None  #: of the last one's payload; left out in the first
    gap: bool = False  #: there was no majority for one previous
    parameters: Parameters
    recommended: Recommended | None = None
    shared_random: SharedRandom | None = None
    key_periods: Annotated[tuple[KeyPeriod, ...], Meta(min_length=1, max_length=8)]
    servers: tuple[Server, ...]

    def __post_init__(self) -> None:
        if not self.valid_after < self.fresh_until <= self.valid_until:
            raise ValueError("its times are not in order")
        check_periods(self.key_periods, self.valid_after, self.parameters.hops)
        ids = [server.identity for server in self.servers]
        if not ascending(ids):
            raise ValueError("the servers are not ascending by identity")
        if len({server.nickname.lower() for server in self.servers}) != len(ids):
            raise ValueError("two servers have one nickname")

    @override
    def untyped(self) -> Iterable[object]:
        return (exit.policy for server in self.servers for exit in server.exits if exit.policy)

    def sign(self, signers: Sequence[Signer]) -> bytes:
        """The consensus in its envelope, signed by authorities."""
        return sign(PayloadType.CONSENSUS, self.encode(), signers).encode()

    @classmethod
    def open(cls, octets: bytes) -> tuple[Self, Envelope]:
        """Read a consensus and its envelope; signatures and dates are not checked
        (:mod:`mixminion.directory.checks` does that).

        :raises BadDocument: malformed.
        """
        envelope = Envelope.decode(octets, PayloadType.CONSENSUS, limit=LIMIT)
        consensus = documents.decode(cls, envelope.payload, name=NAME, version=VERSION, limit=LIMIT)
        return consensus, envelope
