"""The signatures on the consensus of one instant, collected from everybody who made the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from mixminion.crypto import kdf
from mixminion.directory import detached
from mixminion.directory.agreement import majority
from mixminion.directory.certificate import claims
from mixminion.directory.checks import SignedConsensus, Standing, Tally
from mixminion.directory.consensus import Consensus
from mixminion.directory.detached import Detached
from mixminion.directory.envelope import Envelope, PayloadType, Signature, Signer, sign
from mixminion.directory.errors import BadDocument


class Collection:
    """A *consensus* in its *envelope*, and who of *authorities* signed it."""

    def __init__(
        self, consensus: Consensus, envelope: Envelope, authorities: Sequence[bytes]
    ) -> None:
        self.consensus = consensus
        self.digest = kdf.sha256(envelope.payload)
        self._authorities = tuple(dict.fromkeys(authorities))
        self._payload = envelope.payload
        self._signatures: dict[bytes, Signature] = {}  # by identity
        self.add(envelope.signatures)

    @classmethod
    def made(cls, consensus: Consensus, authorities: Sequence[bytes]) -> Self:
        """One that nobody has signed yet."""
        return cls(consensus, sign(PayloadType.CONSENSUS, consensus.encode(), []), authorities)

    @classmethod
    def read(cls, octets: bytes, authorities: Sequence[bytes]) -> Self:
        """One that was kept or fetched.

        :raises BadDocument: malformed.
        """
        consensus, envelope = Consensus.open(octets)
        return cls(consensus, envelope, authorities)

    @property
    def envelope(self) -> Envelope:
        """The consensus with one good signature of everybody who signed."""
        ordered = sorted(self._signatures.values(), key=lambda signature: signature.keyid)
        return Envelope(
            payload=self._payload,
            payload_type=str(PayloadType.CONSENSUS),
            signatures=tuple(ordered),
        )

    @property
    def signers(self) -> frozenset[bytes]:
        """Who signed, by identity."""
        return frozenset(self._signatures)

    @property
    def enough(self) -> bool:
        """Whether it is a majority of all authorities."""
        return len(self._signatures) >= majority(self._authorities)

    def sign(self, signer: Signer) -> None:
        """Add a signature of our own."""
        self.add(sign(PayloadType.CONSENSUS, self._payload, [signer]).signatures)

    def add(self, signatures: Iterable[Signature]) -> frozenset[bytes]:
        """Add those that are good and of somebody who has not signed yet; whose they are."""
        envelope, at = self.envelope, self.consensus.valid_after
        found: dict[bytes, Signature] = {}
        for each in signatures:
            lacking = [i for i in self._authorities if i not in self._signatures | found]
            who = detached.signer(envelope, each, lacking, at)
            if who is not None:
                found[who] = each
        self._signatures |= found
        return frozenset(found)

    def detached(self) -> bytes | None:
        """The signatures alone; None while there are none."""
        if not self._signatures:
            return None
        return Detached(
            valid_after=self.consensus.valid_after,
            digest=self.digest,
            signatures=self.envelope.signatures,
        ).encode()

    def signed(self) -> SignedConsensus | None:
        """The consensus, if enough have signed it."""
        if not self.enough:
            return None
        standings = {
            each: Standing.SIGNED if each in self._signatures else Standing.ABSENT
            for each in self._authorities
        }
        octets = self.envelope.encode()
        return SignedConsensus(self.consensus, self.digest, octets, Tally(standings, 0))


def claimed(detached: Detached, authorities: Iterable[bytes]) -> frozenset[bytes]:
    """Who of *authorities* is said to have signed; without the consensus nobody can tell."""
    return frozenset(
        identity
        for identity in authorities
        for signature in detached.signatures
        if _claims(signature, identity)
    )


def _claims(signature: Signature, identity: bytes) -> bool:
    try:
        return claims(signature, identity)
    except BadDocument:
        return False
