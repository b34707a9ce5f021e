"""What an authority knows of one server: values, made of its descriptor and of decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address
from typing import Self

import msgspec

from mixminion.crypto import kdf
from mixminion.directory import certificate, documents
from mixminion.directory.descriptor import LIMIT, NAME, VERSION, Descriptor
from mixminion.directory.envelope import Envelope, PayloadType
from mixminion.directory.parts import is_public
from mixminion.util.hostport import HostPort

HARMLESS = frozenset({"drop", "mailbox"})
"""Exit modules that hand nothing to anybody outside the network."""


class Decision(StrEnum):
    """What the operator said of a server."""

    NONE = "none"
    APPROVED = "approved"
    REJECTED = "rejected"
    BANNED = "banned"


@dataclass(frozen=True, slots=True)
class Described:
    """A descriptor as it is kept in memory: its packet keys, most of its length, by digest."""

    digest: bytes  #: of the payload
    said: Descriptor  #: without its packet keys
    keys: Mapping[int, tuple[str, bytes]]  #: by period: suite, and SHA-256 of the key
    begins: int  #: from when it is valid, its signature included; Unix seconds
    ends: int

    @classmethod
    def read(cls, octets: bytes, now: float) -> Self:
        """From the octets a server published.

        :raises BadDocument: they are no descriptor.
        :raises BadSignature: it is not signed by its identity, or not valid *now*.
        """
        Descriptor.verify(octets, now)
        return cls.stored(octets)

    @classmethod
    def stored(cls, octets: bytes) -> Self:
        """From octets that were verified when they came.

        :raises BadDocument: they are no descriptor.
        """
        envelope = Envelope.decode(octets, PayloadType.DESCRIPTOR, limit=LIMIT)
        said = documents.decode(
            Descriptor, envelope.payload, name=NAME, version=VERSION, limit=LIMIT
        )
        begins, ends = said.valid_after, said.valid_until
        statement = next((each.certificate for each in envelope.signatures), None)
        if statement is not None:
            dates = certificate.read(statement)
            begins, ends = max(begins, dates.valid_after), min(ends, dates.valid_until)
        return cls(
            kdf.sha256(envelope.payload),
            msgspec.structs.replace(said, packet_keys=()),
            {each.period: (each.suite, kdf.sha256(each.key)) for each in said.packet_keys},
            begins,
            ends,
        )

    def valid(self, now: float) -> bool:
        """Whether it can be listed in a consensus of that moment."""
        return self.begins <= now < self.ends

    @property
    def exits(self) -> tuple[str, ...]:
        """The names of exits that hand things to others."""
        return tuple(each.name for each in self.said.exits if each.module not in HARMLESS)

    def operators(self) -> Iterator[str]:
        """By what its operator is recognised, if he wants to be."""
        if self.said.family:
            yield f"family {self.said.family.lower()}"
        if self.said.contact.strip():
            yield f"contact {self.said.contact.strip().lower()}"

    def networks(self) -> Iterator[str]:
        """The networks it is in, as far as its addresses tell."""
        yield from dict.fromkeys(filter(None, map(network_of, self.said.addresses)))

    def hidden(self) -> Iterator[HostPort]:
        """Its addresses that not everybody can reach."""
        return (place for place in self.said.addresses if not is_public(place))


def network_of(place: HostPort) -> str | None:
    """The /16 of an IPv4 address, the /32 of an IPv6 one; None for a name."""
    address = place.address
    if address is None:
        return None
    bits = 16 if isinstance(address, IPv4Address) else 32
    packed = address.packed[: bits // 8] + bytes(len(address.packed) - bits // 8)
    return f"{type(address)(packed)}/{bits}"


@dataclass(frozen=True, slots=True)
class Dialled:
    """What came of dialling one published address; times are Unix seconds."""

    failures: int  #: in a row
    tried: int
    reached: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One server."""

    identity: bytes
    first_seen: int
    nickname: str | None = None
    decision: Decision = Decision.NONE
    exit: bool = False
    note: str = ""
    first_listed: int | None = None
    described: Described | None = None
    dials: Mapping[str, Dialled] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """For people."""
        return self.nickname or self.identity.hex()[:8]
