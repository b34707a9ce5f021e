"""Whether a consensus may be believed: signatures counted per authority, and dates.

All take *now* (Unix seconds) as an argument.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from mixminion.crypto import kdf
from mixminion.directory import certificate
from mixminion.directory.certificate import Role
from mixminion.directory.consensus import Consensus
from mixminion.directory.envelope import Envelope
from mixminion.directory.errors import (
    BadDocument,
    BadSignature,
    DirectoryEarly,
    DirectoryExpired,
    DirectoryOlder,
    NoAuthorities,
    NotEnoughSignatures,
    TwoDirectories,
)
from mixminion.util import times


class Standing(StrEnum):
    """What an envelope has of one authority."""

    SIGNED = "signed"
    BAD = "bad"  #: a signature or certificate that does not hold
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Tally:
    """The signatures on a consensus: a standing for each authority (by identity) that is
    trusted here, and how many signatures are of others."""

    standings: Mapping[bytes, Standing]
    strangers: int

    @property
    def signed(self) -> int:
        """How many trusted authorities signed."""
        return sum(1 for each in self.standings.values() if each is Standing.SIGNED)

    @property
    def needed(self) -> int:
        """How many must: more than half of those trusted."""
        return len(self.standings) // 2 + 1

    @property
    def enough(self) -> bool:
        """Whether they did."""
        return bool(self.standings) and self.signed >= self.needed

    def detail(self) -> str:
        """For people: ``signed: 1f0c9a02; absent: 77aa01bc; 2 signatures of strangers``."""
        parts = [
            f"{standing}: "
            + ", ".join(
                sorted(i.hex()[:8] for i, each in self.standings.items() if each is standing)
            )
            for standing in Standing
            if standing in self.standings.values()
        ]
        if self.strangers:
            count = "1 signature" if self.strangers == 1 else f"{self.strangers} signatures"
            parts.append(f"{count} of authorities that are not in your configuration")
        return "; ".join(parts)


def count(envelope: Envelope, authorities: Sequence[bytes], now: float) -> Tally:
    """Count the signatures of *authorities* (raw identity keys), each once whatever its keys.

    One good signature is enough for an authority, whatever else claims to be its.
    """
    standings = dict.fromkeys(authorities, Standing.ABSENT)
    strangers = 0
    for signature in envelope.signatures:
        try:
            identity = next((i for i in standings if certificate.claims(signature, i)), None)
        except BadDocument:
            identity = None
        if identity is None:
            strangers += 1
            continue
        if standings[identity] is Standing.SIGNED:
            continue
        try:
            key = certificate.signing_key(signature, Role.AUTHORITY, identity, now)
            good = envelope.signed_by(key, signature)
        except (BadSignature, BadDocument):
            good = False
        standings[identity] = Standing.SIGNED if good else Standing.BAD
    return Tally(standings, strangers)


def check_signatures(envelope: Envelope, authorities: Sequence[bytes], now: float) -> Tally:
    """The signatures, when a majority of *authorities* signed.

    :raises NoAuthorities: *authorities* is empty.
    :raises NotEnoughSignatures: fewer did; says who.
    """
    if not authorities:
        raise NoAuthorities
    tally = count(envelope, authorities, now)
    if not tally.enough:
        raise NotEnoughSignatures(
            signed=tally.signed,
            known=len(tally.standings),
            needed=tally.needed,
            detail=tally.detail(),
        )
    return tally


def check_dates(consensus: Consensus, now: float) -> None:
    """Refuse a consensus that is not valid at *now*.

    :raises DirectoryEarly: not yet.
    :raises DirectoryExpired: no longer.
    """
    if now < consensus.valid_after:
        raise DirectoryEarly(
            valid_after=times.to_text(consensus.valid_after),
            ahead=duration(consensus.valid_after - now),
        )
    if now >= consensus.valid_until:
        raise DirectoryExpired(
            valid_until=times.to_text(consensus.valid_until),
            ago=duration(now - consensus.valid_until),
        )


@dataclass(frozen=True, slots=True)
class SignedConsensus:
    """A consensus whose signatures were counted and found enough."""

    consensus: Consensus
    digest: bytes  #: SHA-256 of the payload, the name of this consensus
    octets: bytes  #: in its envelope
    tally: Tally

    @classmethod
    def verify(cls, octets: bytes, authorities: Sequence[bytes], now: float) -> Self:
        """Read and check a consensus in its envelope; dates are :func:`check_dates`' matter.

        :raises BadDocument: malformed.
        :raises NotEnoughSignatures: no majority of *authorities* signed it.
        """
        consensus, envelope = Consensus.open(octets)
        tally = check_signatures(envelope, authorities, now)
        return cls(consensus, kdf.sha256(envelope.payload), octets, tally)


def check_succession(held: SignedConsensus, offered: SignedConsensus) -> None:
    """Refuse to go back, and two documents for one time.

    :raises DirectoryOlder: *offered* is older than *held*.
    :raises TwoDirectories: both are of one time and differ.
    """
    mine, other = held.consensus.valid_after, offered.consensus.valid_after
    if other < mine:
        raise DirectoryOlder(offered=times.to_text(other), held=times.to_text(mine))
    if other == mine and held.digest != offered.digest:
        raise TwoDirectories(valid_after=times.to_text(mine))


_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def duration(seconds: float) -> str:
    """For people: ``3 days``, ``1 hour``, ``12 seconds``."""
    for unit, length in _UNITS:
        if seconds >= length:
            return _plural(int(seconds // length), unit)
    return _plural(int(seconds), "second")


def _plural(n: int, unit: str) -> str:
    return f"{n} {unit}" if n == 1 else f"{n} {unit}s"
